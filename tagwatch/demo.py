"""The demo: a town that never was, on embedded parts. One second of the demo is a minute and a half of the town."""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from crime_match.crimes.crime import Crime
from crime_match.crimes.store import File, import_crimes
from crime_match.question import Question
from engine import database
from engine.activations import Activations
from engine.errors import InputError
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import HOUR_US, MINUTE_US, SECOND_US, system_clock, to_iso
from tagwatch import configuration
from tagwatch.access import accounts
from tagwatch.access.passwords import make_password
from tagwatch.access.roles import ROLES
from tagwatch.channels import notifiers_of
from tagwatch.embedded import embedded_broker, embedded_database
from tagwatch.near import near_in_database
from tagwatch.publish import Published, publish
from tagwatch.running import alongside, log_to_stderr
from tagwatch.service import Service, initialise
from tagwatch.settings import Broker, Console, Database, RawLog, Settings
from tagwatch.simulate.world import START_US, World, simulate

SPEEDUP = 90.0
OPENING_US = START_US + 20 * HOUR_US
"""The demo opens at 20:00: curfews have begun."""
TOWN_FROM_US = OPENING_US - 20 * MINUTE_US
"""The tags are put on at 19:40; what they noted until the demo opens they upload then."""
STAGE_US = (OPENING_US + 2 * MINUTE_US, OPENING_US + 17 * MINUTE_US)
_CLOSING_S = 6.0  # what the end takes: the last uploads, the question, the summary


@dataclass(slots=True)
class Play:
    """The demo's clock and what happened in it."""

    world: World
    started_s: float = 0.0
    published: Published | None = None
    answer: dict[str, Any] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def clock(self) -> int:
        """The town's time: it stands still until the tags begin to report."""
        passed = time.monotonic() - self.started_s if self.started_s else 0.0
        return OPENING_US + int(passed * SPEEDUP * 1_000_000)


def run_demo(
    for_: str | None, *, no_browser: bool, port: int, data: Path | None, wearers: int = 200, seed: int = 1
) -> None:
    """Run the demo until Ctrl-C, or for a time such as 30s; the last line of standard output is then a JSON summary."""
    seconds = None if for_ is None else _seconds(for_)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        home = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tagwatch-demo-")))
        home.mkdir(parents=True, exist_ok=True)
        _open_for_server(home)
        _say(f"making a town with {wearers} wearers ...")
        play = Play(simulate(wearers, 1, seed, TOWN_FROM_US, live_share=1.0, stage_us=STAGE_US))
        _say("starting PostgreSQL and the MQTT broker ...")
        url = stack.enter_context(embedded_database(home / "postgres"))
        settings = Settings(
            broker=Broker(url=stack.enter_context(embedded_broker()), protocol="3.1.1"), database=Database(url=url),
            raw_log=RawLog(folder=home / "raw-log"), console=Console(port=port, demo=True),
        )  # fmt: skip
        _prepare(settings, play.world)
        _say(_accounts(settings, play.world))
        _play(play, settings, seconds, stop, no_browser=no_browser)


def _play(play: Play, settings: Settings, seconds: float | None, stop: threading.Event, *, no_browser: bool) -> None:
    log_to_stderr()
    notifiers = notifiers_of(settings, play.clock)
    service = Service(settings, play.clock)
    errors: list[BaseException] = []
    worker = threading.Thread(target=_guarded, args=(service.run, errors, stop), name="service", daemon=True)
    scene = {"streets": _streets(play.world), "zones": play.world.zones}
    with alongside(service, settings, notifiers, play.clock, scene) as address:
        worker.start()
        while not service.ready.wait(0.1) and not stop.is_set():
            pass
        _say(f"watch it on {address}  (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(address)
        tags = _start_tags(play, settings, seconds, errors, stop)
        _until_end(play, settings, seconds, tags, stop)
        service.stopping.set()
        worker.join(20.0)
    if errors:
        raise errors[0]
    if seconds is not None:
        print(json.dumps(_summary(play, service, settings)), flush=True)


def _start_tags(
    play: Play, settings: Settings, seconds: float | None, errors: list[BaseException], stop: threading.Event
) -> threading.Thread:
    span_s = 24 * 3600 / SPEEDUP if seconds is None else max(18.0, seconds - _CLOSING_S)
    fixes = _uploads(play.world, OPENING_US + int(span_s * SPEEDUP * 1_000_000))

    def send() -> None:
        play.published = publish(fixes, settings.broker.url, speedup=SPEEDUP, wait_s=20.0)

    play.started_s = time.monotonic()
    tags = threading.Thread(target=_guarded, args=(send, errors, stop), name="tags", daemon=True)
    tags.start()
    return tags


def _uploads(world: World, until_us: int) -> Fixes:
    """What the tags send from the opening until an instant, in order of arrival."""
    fixes = world.between(TOWN_FROM_US, until_us)
    fixes = fixes.take((fixes.received_s * SECOND_US >= OPENING_US) & (fixes.received_s * SECOND_US < until_us))
    return fixes.take(np.lexsort((fixes.time_us, fixes.device, fixes.received_s)))


def _before_opening(world: World) -> Fixes:
    """What had come before the page opens: it is stored, as in a centre that has been at work for long."""
    fixes = world.between(TOWN_FROM_US, OPENING_US)
    return fixes.take(fixes.received_s * SECOND_US < OPENING_US)


def _until_end(
    play: Play, settings: Settings, seconds: float | None, tags: threading.Thread, stop: threading.Event
) -> None:
    """Ask once the window of the burglary and what was padded to it are over, and at the end; leave when it is time."""
    asked = False
    while not stop.wait(0.2):
        if not asked and play.clock() > STAGE_US[1] + 12 * MINUTE_US:
            asked = True
            _report_crimes(play, settings)
            _ask(play, settings)
        if seconds is not None and not tags.is_alive():
            break
    if asked or seconds is not None:
        _ask(play, settings)
        _tell(play)


def _report_crimes(play: Play, settings: Settings) -> None:
    """The force sends the crimes that are over by now: the console can match them."""
    crimes = [Crime(**crime._asdict()) for crime in play.world.crimes if crime.to_us <= play.clock()]
    name = "crimes of the demo"
    file = File(name, sha256(name.encode()).hexdigest(), "csv", len(crimes), 0, 0)
    with database.connect(settings.database.url) as connection, connection.transaction():
        import_crimes(connection, crimes, file, play.clock())


def _ask(play: Play, settings: Settings) -> None:
    crime = next(c for c in play.world.crimes if c.reference == _staged_crime(play.world))
    question = Question(crime.lat, crime.lon, crime.from_us, crime.to_us, uncertainty_m=crime.uncertainty_m)
    with database.connect(settings.database.url) as connection:
        matches = near_in_database(connection, question, Activations(play.world.activations)).matches
    rows = [
        {"wearer": m.wearer, "verdict": m.verdict, "closest_m": m.closest_m, "coverage": m.coverage, "reasons": m.reasons}
        for m in matches
    ]
    play.counts = {v: sum(m.verdict == v for m in matches) for v in ("placed", "possible", "excluded", "unmonitored")}
    asked = f"Burglary {crime.reference}, {to_iso(crime.from_us)} to {to_iso(crime.to_us)}"
    play.answer = {"question": asked, "rows": rows}


def _tell(play: Play) -> None:
    assert play.answer is not None
    _say(f"\nWho was near? {play.answer['question']}")
    for row in play.answer["rows"]:
        if row["verdict"] == "placed":
            _say(f"  placed: {row['wearer']}, closest {row['closest_m']:.0f} m, coverage {row['coverage'] * 100:.0f} %")
    _say("  " + ", ".join(f"{n} {v}" for v, n in play.counts.items()))


def _summary(play: Play, service: Service, settings: Settings) -> dict[str, Any]:
    with database.connect(settings.database.url) as connection:
        stored = FixStore(connection).count() - len(_before_opening(play.world))
        row = connection.execute("SELECT count(*) FROM alert WHERE condition <> 'retracted'").fetchone()
    published = play.published
    return {
        "wearers": len(play.world.wearers), "messages": service.counts.messages,
        "fixes_sent": published.fixes if published else 0, "fixes_stored": stored, "alerts": int(row[0]) if row else 0,
        "near": play.counts,
    }  # fmt: skip


def _prepare(settings: Settings, world: World) -> None:
    initialise(settings.database.url)
    with database.connect(settings.database.url) as connection, connection.transaction():
        if FixStore(connection).count():
            raise InputError("holds the fixes of an earlier demo", place="--data", expected="a folder that is new")
        configuration.save(
            connection, OPENING_US, zones=world.zones, curfews=world.curfews, activations=Activations(world.activations),
            wearers=world.wearers, teams=world.teams,
        )  # fmt: skip
        FixStore(connection).write(_before_opening(world))


def _accounts(settings: Settings, world: World) -> str:
    """An account of every role, all with one password that is another one each time; returns what to tell of them."""
    password, now_us = make_password(), system_clock()
    team = world.wearers[0].team
    member = next(m["name"] for t in world.teams if t["id"] == team for m in t["members"])
    with database.connect(settings.database.url) as connection, connection.transaction():
        for role in ROLES:
            login = role.replace(" ", "-")
            accounts.add(connection, login, f"Demo {role}", [role], accounts.EVERY_FORCE, password, now_us, member=member)
    return f"sign in as {', '.join(role.replace(' ', '-') for role in ROLES)}; the password of each is {password}"


def _staged_crime(world: World) -> str:
    return next(scene.subject for scene in world.truth.scenes if scene.kind == "crime")


def _streets(world: World) -> dict[str, Any]:
    features = [
        {"type": "Feature", "properties": {"name": street["name"]},
         "geometry": {"type": "LineString", "coordinates": [[lon, lat] for lat, lon in street["line"]]}}
        for street in world.streets
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def _guarded(work: Any, errors: list[BaseException], stop: threading.Event) -> None:
    try:
        work()
    except BaseException as fault:
        errors.append(fault)
        stop.set()


def _open_for_server(home: Path) -> None:
    """The embedded server runs as a user of its own where we are root: it must be able to enter its folder."""
    home.chmod(home.stat().st_mode | 0o011)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text.strip())
    if not found:
        raise InputError(field="--for", value=text, expected="a time such as 30s or 5m")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
