"""A session over a real database, without a broker: what it forgets comes back when something late needs it, configuration that
changes takes effect at its own time, and whatever happened on the way the ledger is that of a replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.alert import to_json
from engine import database
from engine.archive.database import import_archive
from engine.archive.export import export
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import HOUR_US, MINUTE_US, SECOND_US, parse_time, to_iso
from ingest.message import Message
from ingest.raw_log import RawLog
from tagwatch import configuration
from tagwatch.counts import Counts
from tagwatch.embedded import embedded_database
from tagwatch.replay import replay
from tagwatch.service import initialise, ledger_content
from tagwatch.session import LONG_TRAIL, Session
from tagwatch.settings import Database, Settings

T0_US = parse_time("2026-03-02T08:00:00Z")
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEARERS = ("ann", "bob")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("session")
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    with embedded_database(folder / "postgres") as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """The database, emptied."""
    initialise(server)
    tables = "fix, device_event, device_sequence, device, alert, alert_version, outbox, handling_action, handling_notice, configuration"
    with database.connect(server) as connection:
        connection.execute("ALTER TABLE handling_action DISABLE TRIGGER USER")
        connection.execute(f"TRUNCATE {tables} CASCADE".encode())
        connection.execute("ALTER TABLE handling_action ENABLE TRIGGER USER")
    return server


class Life:
    """A session that is fed by hand; the clock stands where the last message came."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.now_us, self.counts = url, T0_US, Counts()
        self.settings = Settings(database=Database(url=url))
        self.log = RawLog(folder / "raw-log")
        self.session = self._open()

    def _open(self) -> Session:
        return Session(self.settings, lambda: self.now_us, self.counts, 10.0)

    def restart(self) -> None:
        """Everything in memory is lost."""
        self.session.connection.close()
        self.session = self._open()

    def send(self, device: str, rows: list[tuple[float, float]], now_us: int | None = None) -> None:
        """Fixes as (minute since the beginning, metres east), all in one message."""
        body = [
            {
                "time": to_iso(T0_US + round(m * MINUTE_US)),
                "lat": 53.0,
                "lon": -1.0 + e * 1.493e-5,
                "accuracy_m": 8,
                "source": "gps",
            }
            for m, e in rows
        ]
        self.now_us = max(self.now_us, now_us or T0_US + round(max(m for m, _ in rows) * MINUTE_US) + 5 * SECOND_US)
        self.session.step([Message(self.now_us, f"tags/{device}/fixes", json.dumps(body).encode())], self.log)

    def walk(self, device: str, minutes: range, place: Callable[[int], float]) -> None:
        for minute in minutes:
            self.send(device, [(minute, place(minute))])

    def ledger(self) -> list[bytes]:
        with self.session.connection.transaction():
            self.session._settle(sorted(self.session.monitor.trails), self.now_us)
        return ledger_content(self.url)

    def cut(self) -> None:
        """Nothing comes until every long trail is cut: on a busy machine that takes more than the time left beside a batch."""
        while self.session._long:
            self.session.step([], self.log)

    def replayed(self) -> list[bytes]:
        with database.connect(self.url) as connection:
            store = FixStore(connection)
            rules = configuration.load(connection, self.settings.filter_settings, self.settings.default_plan)
            found = replay(store.read(), rules, self.now_us, events=store.read_events())
        return [to_json(alert) for alert in found.alerts]

    def reasons(self) -> list[str]:
        with database.connect(self.url) as connection:
            rows = connection.execute("SELECT content::json->>'rule', reason FROM alert_version ORDER BY seq").fetchall()
        return [f"{rule}: {reason}" for rule, reason in rows]


@pytest.fixture
def life(url: str, tmp_path: Path) -> Iterator[Life]:
    made = Life(url, tmp_path)
    yield made
    made.session.connection.close()
    made.log.close()


def zone(name: str = "park", east_m: float = 1000, **more: Any) -> dict[str, Any]:
    properties = {"id": name, "kind": "exclusion", "wearers": "*", "radius_m": 150} | more
    point = {"type": "Point", "coordinates": [-1.0 + east_m * 1.493e-5, 53.0]}
    return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": properties, "geometry": point}]}


def curfew(**more: Any) -> list[dict[str, Any]]:
    row = {"id": "home", "wearer": "ann", "place": {"lat": 53.0, "lon": -1.0, "radius_m": 100}, "timezone": "Europe/London",
           "weekly": [{"days": DAYS, "start": "19:00", "end": "07:00"}], "grace_minutes": 5}  # fmt: skip
    return [row | more]


def put(life: Life, from_us: int | None = None, **given: Any) -> None:
    with database.connect(life.url) as connection, connection.transaction():
        configuration.save(connection, life.now_us, from_us=from_us, **given)
    life.now_us += 2 * SECOND_US
    life.session.step([], life.log)  # what the service does each second


def n_in_memory(life: Life) -> int:
    return sum(len(trail) for trail in life.session.monitor.trails.values())


def test_what_is_forgotten_comes_back_when_a_late_fix_needs_it(life: Life) -> None:
    put(life, zones=zone(), curfews=curfew())
    for minute in range(600):
        for wearer in WEARERS if not 199 <= minute < 211 else WEARERS[:1]:  # bob's tag is without a network for a while
            life.send(wearer, [(minute, 1000.0 if 100 <= minute < 120 else 300.0 if minute < 580 else 0.0)])
    assert life.counts.fixes == 1188
    life.cut()
    assert n_in_memory(life) < 2 * (3 * LONG_TRAIL + 60)
    assert life.ledger() == life.replayed()
    before = life.counts.recalls
    late = [(m + 0.5, 1000.0) for m in range(200, 210)]
    life.send("bob", late, life.now_us)  # a backlog of hours ago: he was in the park twice
    assert life.counts.recalls == before + 1
    assert life.ledger() == life.replayed()
    assert sum(reason == "zone.exclusion: raised" for reason in life.reasons()) == 3
    life.cut()
    life.send("bob", late, life.now_us)  # sent once more it is no news
    assert life.counts.recalls == before + 1
    beat = [{"time": to_iso(T0_US + 30 * MINUTE_US), "event": "heartbeat"}]
    for n_recalls in (2, 2):  # an event of the forgotten past has it read again once, sent once more it is no news
        life.cut()
        life.session.step([Message(life.now_us, "tags/bob/events", json.dumps(beat).encode())], life.log)
        assert life.counts.recalls == before + n_recalls
    assert life.ledger() == life.replayed()
    versions = life.reasons()
    life.restart()
    assert life.ledger() == life.replayed()
    assert life.reasons() == versions  # taking up again what is stored makes no version


def test_a_change_takes_effect_at_its_own_time(life: Life) -> None:
    put(life, zones=zone())
    life.walk("ann", range(200), lambda m: 1000.0)
    changed_us = life.now_us
    put(life, zones=zone(east_m=3000))  # the park moves away: the breach ends with the old version
    life.walk("ann", range(200, 260), lambda m: 1000.0)
    (alert,) = [json.loads(line) for line in life.ledger() if b'"zone.exclusion"' in line]
    assert (alert["condition"], alert["ended"]) == ("cleared", to_iso(changed_us))
    assert life.ledger() == life.replayed()
    put(life, from_us=T0_US + 50 * MINUTE_US, zones=zone(east_m=3000))  # it had moved long before, as is learned now
    for _ in range(3):
        life.now_us += 2 * SECOND_US
        life.session.step([], life.log)
    (alert,) = [json.loads(line) for line in life.ledger() if b'"zone.exclusion"' in line]
    assert alert["ended"] == to_iso(T0_US + 50 * MINUTE_US)
    assert life.ledger() == life.replayed()
    assert any("changed: zone park" in reason for reason in life.reasons())


def test_the_reason_stands_also_where_a_fix_comes_before_the_past_is_read(life: Life) -> None:
    put(life, zones=zone())
    for minute in range(200):
        life.send("ann", [(minute, 1000.0 if 20 <= minute < 40 else 0.0)])
    with database.connect(life.url) as connection, connection.transaction():
        configuration.save(connection, life.now_us, from_us=T0_US, zones=zone(east_m=3000))
    with life.session.connection.transaction():
        life.session._revise(life.now_us)  # a refresh that has no time left for reading
    assert "ann" in life.session.monitor.watch.lacking
    life.send("ann", [(200, 0.0)])
    assert "zone.exclusion: retracted: changed: zone park" in life.reasons()
    assert life.ledger() == life.replayed()


def test_what_an_import_stores_beside_the_session_is_taken_over(life: Life, tmp_path: Path) -> None:
    put(life, zones=zone())
    life.walk("ann", range(60), lambda m: 0.0)
    minutes = np.arange(100, 400, 1)  # bob nobody has heard of; ann was in the park while nobody saw it
    fixes = Fixes.of(
        ["ann", "bob"], device=np.repeat([0, 1], 30),
        time_us=np.concatenate([T0_US - 60 * MINUTE_US + minutes[:30] * 20 * SECOND_US, T0_US + minutes[:30] * 20 * SECOND_US]),
        lat_e7=np.full(60, 530_000_000), lon_e7=np.full(60, -10_000_000 + 149_300), accuracy_cm=np.full(60, 800),
        source=np.ones(60),
    )  # fmt: skip
    export(tmp_path / "archive", lambda spill: by_day([fixes], spill), events=[], activations=None, software="a test")
    with database.connect(life.url) as connection:
        done = import_archive(connection, Archive(tmp_path / "archive"), lambda given, told: (given, told))
    assert (done.fixes, done.fixes_new) == (60, 60)
    for _ in range(3):
        life.now_us += 2 * SECOND_US
        life.session.step([], life.log)
    assert life.ledger() == life.replayed()
    assert [json.loads(line)["wearer"] for line in life.ledger() if b'"zone.exclusion"' in line] == ["ann", "bob"]
    assert "zone.exclusion: raised; imported fixes" in life.reasons()


def test_a_curfew_and_its_home_change_within_a_night(life: Life) -> None:
    put(life, curfews=curfew())
    life.walk("ann", range(600, 780), lambda m: 500.0)  # away from 18:00 to 21:00
    put(life, curfews=curfew(place={"lat": 53.0, "lon": -1.0 + 500 * 1.493e-5, "radius_m": 100}))
    life.walk("ann", range(780, 900), lambda m: 500.0)  # there, since the new version, is home
    assert life.ledger() == life.replayed()
    (alert,) = [json.loads(line) for line in life.ledger() if b'"curfew.' in line]
    assert (alert["rule"], alert["condition"]) == ("curfew.late", "cleared")


def test_activations_corrected_afterwards_move_what_was_found(life: Life) -> None:
    from engine.activations import Activation, Activations

    noon = T0_US + 4 * HOUR_US
    put(life, zones=zone(), activations=Activations([Activation("tag", "ann", T0_US)]))
    life.walk("tag", range(300), lambda m: 1000.0 if m > 250 else 0.0)
    assert {json.loads(line)["wearer"] for line in life.ledger()} == {"ann"}
    rows = [Activation("tag", "ann", T0_US, noon), Activation("tag", "bob", noon)]
    put(life, activations=Activations(rows))
    assert {json.loads(line)["wearer"] for line in life.ledger() if b'"zone.exclusion"' in line} == {"bob"}
    assert life.ledger() == life.replayed()
    assert "zone.exclusion: retracted: changed: activations" in life.reasons()


def test_events_and_fixes_of_a_night_and_a_restart_in_between(life: Life) -> None:
    rng = np.random.default_rng(3)
    put(life, zones=zone(buffer_m=300), curfews=curfew())
    at = T0_US
    for step in range(240):
        minute = step * 5 + float(rng.random())
        east = float(rng.choice([0.0, 0.0, 0.0, 700.0, 1000.0]))
        life.send("ann", [(minute, east)])
        if step % 50 == 7:
            at = T0_US + round(minute * MINUTE_US)
            event = [{"time": to_iso(at), "event": "strap_tamper"}, {"time": to_iso(at), "event": "battery", "value": "9"}]
            life.session.step([Message(life.now_us, "tags/ann/events", json.dumps(event).encode())], life.log)
        if step in (60, 180):
            life.restart()
    assert life.ledger() == life.replayed()
    rules = {json.loads(line)["rule"] for line in life.ledger()}
    assert {"tag.strap", "tag.battery_critical", "zone.buffer"} <= rules
