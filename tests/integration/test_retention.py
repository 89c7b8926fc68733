"""Erasure on order and by policy over a real database with a live session: whose data go, what holds keep, what comes after."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from alerts.alert import from_json
from crime_match.runs.store import Found, Line, record_making, record_run, results_of
from engine import database
from engine.activations import Activation, Activations
from engine.errors import InputError, StoreError
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time, to_datetime, to_iso
from engine.wearers import Wearer
from ingest.message import Message
from ingest.raw_log import RawLog
from ingest.raw_verify import verify
from tagwatch import configuration
from tagwatch.access import audit
from tagwatch.counts import Counts
from tagwatch.embedded import embedded_database
from tagwatch.retention import holds, orders, places
from tagwatch.retention.daily import Daily
from tagwatch.retention.horizon import read_horizons
from tagwatch.retention.orders import Request
from tagwatch.retention.policy import plan_policy, run_policy
from tagwatch.retention.term_store import SetTerm, set_term
from tagwatch.retention.terms import read_term
from tagwatch.retention.work import STEPS, Actor, carry_out, order
from tagwatch.service import initialise, ledger_content
from tagwatch.session import Session
from tagwatch.settings import Database, Settings, Terms
from tagwatch.settings import RawLog as RawLogSettings
from tagwatch.settings import Retention as RetentionSettings

T0_US = parse_time("2026-03-02T08:00:00Z")
ME = Actor("os:tester", "command")
EAST = 1.493e-5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("retention")
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    with embedded_database(folder / "postgres") as url:
        initialise(url)
        yield url


@pytest.fixture
def url(server: str) -> str:
    """The database, emptied; the audit log stays, as it does for ever."""
    tables = (
        "fix, device_event, device_sequence, device, alert, alert_version, outbox, handling_action, handling_notice,"
        " alert_change, configuration, quarantine, run, run_crime, run_result, run_made, crime_batch, crime_version,"
        " retention_term, legal_hold, erasure, horizon, closed_span"
    )
    with database.connect(server) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE".encode())
    return server


class World:
    """A session that is fed by hand, and what is done to its database from beside it, as another process would."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.now_us, self.counts, self.folder = url, T0_US, Counts(), folder
        self.settings = self.settings_with()
        self.log: RawLog = RawLog(folder / "raw-log")
        self._beside = database.connect(url)
        self.session = self._open()

    def settings_with(self, **retention: Any) -> Settings:
        return Settings(
            database=Database(url=self.url), raw_log=RawLogSettings(folder=self.folder / "raw-log"),
            retention=RetentionSettings(**({"enforce": True} | retention)),
        )  # fmt: skip

    def _open(self) -> Session:
        return Session(self.settings, lambda: self.now_us, self.counts, 10.0)

    @property
    def beside(self) -> database.Connection:
        if self._beside.closed:
            self._beside = database.connect(self.url)
        return self._beside

    def restart(self) -> None:
        self.session.connection.close()
        self.session = self._open()

    def close(self) -> None:
        self.session.connection.close()
        self._beside.close()
        self.log.close()

    def put(self, **given: Any) -> None:
        with self.beside.transaction():
            configuration.save(self.beside, self.now_us, **given)
        self.tick()

    def tick(self, us: int = 2 * SECOND_US) -> None:
        self.now_us += us
        self.session.step([], self.log)

    def send(self, device: str, rows: list[tuple[float, float]], events: list[tuple[float, str]] = []) -> None:  # noqa: B006
        """Fixes as (minute since the beginning, metres east), events as (minute, kind); the clock follows the newest."""
        fixes = [
            {
                "time": to_iso(T0_US + round(m * MINUTE_US)),
                "lat": 53.0,
                "lon": -1.0 + e * EAST,
                "accuracy_m": 8,
                "source": "gps",
            }
            for m, e in rows
        ]
        told = [{"time": to_iso(T0_US + round(m * MINUTE_US)), "event": kind} for m, kind in events]
        newest = max([m for m, _ in rows] + [m for m, _ in events])
        self.now_us = max(self.now_us, T0_US + round(newest * MINUTE_US) + 5 * SECOND_US)
        messages = [(f"tags/{device}/fixes", fixes)] * bool(fixes) + [(f"tags/{device}/events", told)] * bool(told)
        self.session.step([Message(self.now_us, topic, json.dumps(body).encode()) for topic, body in messages], self.log)

    def order(self, wearer: str, **more: Any) -> Any:
        asked = Request(wearer, reason="asked", **more)
        return order(self.beside, self.settings, asked, ME, self.now_us)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.beside.transaction():
            return self.beside.execute(query.encode(), list(values)).fetchall()

    def stored(self, device: str) -> list[int]:
        """The stored fixes of a device as minutes since the beginning."""
        with self.beside.transaction():
            return [(t - T0_US) // MINUTE_US for t in FixStore(self.beside).read(devices=[device]).time_us.tolist()]

    def alerts(self, wearer: str) -> list[dict[str, Any]]:
        with self.session.connection.transaction():
            self.session._settle(sorted(self.session.monitor.trails), self.now_us)
        return [alert for alert in map(json.loads, ledger_content(self.url)) if alert["wearer"] == wearer]

    def history(self) -> list[tuple[str, int, str]]:
        return self.rows("SELECT id, version, reason FROM alert_version ORDER BY seq")

    def hold(self, *wearers: str, crime: str | None = None, span: tuple[int, int] | None = None) -> int:
        asked = holds.Asked(wearers, ("kent", crime) if crime else None, *(span or (None, None)))
        with self.beside.transaction():
            return holds.add(self.beside, asked, "a case", "os:tester", self.now_us)


@pytest.fixture
def world(url: str, tmp_path: Path) -> Iterator[World]:
    made = World(url, tmp_path)
    yield made
    made.close()


def park(**more: Any) -> dict[str, Any]:
    properties = {"id": "park", "kind": "exclusion", "wearers": "*", "radius_m": 150} | more
    point = {"type": "Point", "coordinates": [-1.0 + 1000 * EAST, 53.0]}
    return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": properties, "geometry": point}]}


def worn(*rows: tuple[str, str, float, float | None]) -> Activations:
    """(device, wearer, from hour, to hour) since the beginning."""
    return Activations(
        Activation(
            device,
            wearer,
            T0_US + round(a * HOUR_US),
            2**62 if b is None else T0_US + round(b * HOUR_US),
            upload_interval_s=3_600,
        )
        for device, wearer, a, b in rows
    )


def reused(world: World) -> None:
    """One tag: ann for ten hours, in the park from 5:00 to 5:20; then bob for ten hours, in the park at the same time of his."""
    world.put(
        zones=park(), wearers=[Wearer("ann", "Ann", basis="voluntary"), Wearer("bob", "Bob", basis="bail")],
        activations=worn(("tag", "ann", 0, 10), ("tag", "bob", 10, None)),
    )  # fmt: skip
    for start in (0, 600):
        for hour in range(start, start + 600, 60):
            world.send("tag", [(k, 1000.0 if 300 <= k - start < 320 else 0.0) for k in range(hour, hour + 60, 5)])
    world.send("tag", [], [(30, "motion"), (630, "motion")])
    for received in (T0_US + HOUR_US, T0_US + 11 * HOUR_US):
        world.rows("INSERT INTO quarantine (received, topic, device, payload, reason, field, value, expected)"
                   " VALUES (%s, 'tags/tag/fixes', 'tag', 'x', 'odd', '', '', '') RETURNING id", to_datetime(received))  # fmt: skip


def crime(world: World, reference: str, hour: float, wearers: tuple[str, ...] = ("ann", "bob")) -> str:
    """A crime and a run that placed these; returns the run's id."""
    run = reference.encode().hex().ljust(32, "0")
    at = to_datetime(T0_US + round(hour * HOUR_US))
    with world.beside.transaction():
        [number] = world.beside.execute(
            "INSERT INTO crime_batch (file, sha256, form, n_rows, n_refused, n_faults, n_new, n_changed, n_same, imported)"
            " VALUES ('f', 'f', 'own', 1, 0, 0, 1, 0, 0, %s) RETURNING number", [at]
        ).fetchone()  # fmt: skip
        world.beside.execute(
            "INSERT INTO crime_version (force, reference, version, changed, type, from_time, to_time, lat, lon, uncertainty_m,"
            " text, batch, batch_number) VALUES ('kent', %s, 1, '{}', 'burglary', %s, %s, 53, -1, 0, '', '', %s)",
            [reference, at, to_datetime(T0_US + round((hour + 1) * HOUR_US)), number],
        )
        lines = [
            Line(w, "placed", "weak", json.dumps({"wearer": w, "support": "weak", "fixes": [{"lat": 53.0}]}))
            for w in wearers
        ]
        record_run(
            world.beside, run, "a", {"counted": True}, {}, [Found("kent", reference, 1, {"placed": len(lines)}, lines)]
        )
        record_making(world.beside, run, T0_US + round(hour * HOUR_US) + DAY_US, "me")
    return run


def test_an_order_takes_what_is_of_one_wearer_of_a_device_and_nothing_else(world: World) -> None:
    reused(world)
    run = crime(world, "C1", 5)
    before = world.alerts("bob")
    assert [a["rule"] for a in world.alerts("ann")] == ["zone.exclusion"]
    receipt = world.order("ann")
    assert receipt.state == "begun"  # the day's raw log is open
    erased = receipt.told["erased"]
    assert (erased["fixes"], erased["events"], erased["alerts"], erased["quarantine"]) == (120, 1, 1, 1)
    assert erased["match lines"] == 1
    assert min(world.stored("tag")) == 600
    assert len(world.stored("tag")) == 120
    assert world.alerts("ann") == []
    assert world.alerts("bob") == before
    assert [r[0] for r in world.rows("SELECT count(*) FROM quarantine")] == [1]
    with world.beside.transaction():
        lines = list(results_of(world.beside, run))
    assert [line.wearer for line in lines] == ["erased-1-1", "bob"]
    told = json.loads(lines[0].line)
    assert told == {"crime": "C1", "force": "kent", "wearer": "erased-1-1", "verdict": "placed", "support": "weak",
                    "erased": "order 1"}  # fmt: skip
    # the next day the raw log's day is closed: what waited is done, and then the record goes too
    world.now_us += DAY_US
    world.log.turn(world.now_us)
    done = run_policy(world.beside, world.settings, world.now_us)
    assert [one["state"] for one in done.told["orders"]] == ["done"]
    assert done.told["orders"][0]["erased"]["raw messages"] == 11
    assert done.told["orders"][0]["erased"]["configuration"] == 2
    log = b"".join(path.read_bytes() for path in sorted((world.folder / "raw-log").glob("raw-*.jsonl")))
    assert not verify(world.folder / "raw-log").faults
    records = [json.loads(line) for line in log.splitlines()]
    assert sum(record["payload"] is not None for record in records) == 10  # one message told of both
    assert not any(b"2026-03-02T09:" in base64.b64decode(r["payload"] or r.get("rest") or "") for r in records)
    ours = [row for row in world.rows("SELECT content::text FROM configuration") if row[0] and "ann" in row[0]]
    assert ours == []
    # nobody is told by the activations any more, and yet the tag's time stays closed
    world.tick()
    world.send("tag", [(100.5, 1000.0)])
    assert min(world.stored("tag")) == 600
    assert world.rows("SELECT count(*) FROM quarantine WHERE starts_with(reason, 'its time is before')") == [(1,)]
    with world.beside.transaction():
        assert not audit.verify(world.beside).broken
        acts = [row.action for row in audit.rows(world.beside, subject="ann")]
    assert acts[:3] == ["erasure carried out", "erasure carried out", "erasure ordered"]


def test_alerts_that_stay_tell_how_many_positions_there_were_but_none_of_them(world: World) -> None:
    reused(world)
    [before] = world.alerts("ann")
    receipt = world.order("ann", kinds=("positions",))
    assert receipt.state == "done"
    assert receipt.told["erased"]["alerts without positions"] == 1
    [after] = world.alerts("ann")
    assert after["fixes"] == []
    assert after["why"].pop("positions_erased") == "order 1"
    assert after | {"fixes": before["fixes"]} == before
    for (content,) in world.rows("SELECT content FROM alert_version WHERE content::json->>'wearer' = 'ann'"):
        assert from_json(content).fixes == []
    versions = world.history()
    world.restart()
    world.tick()
    assert world.alerts("ann") == [after | {"why": after["why"] | {"positions_erased": "order 1"}}]
    assert world.history() == versions  # neither retracted nor raised again


def test_part_of_the_time_and_a_late_fix_from_there(world: World) -> None:
    reused(world)
    world.order("bob", from_us=T0_US + 11 * HOUR_US, to_us=T0_US + 12 * HOUR_US, kinds=("positions",))
    left = world.stored("tag")
    assert len(left) == 240 - 12
    assert not [m for m in left if 660 <= m < 720]
    versions, counts = world.history(), world.counts.quarantined
    world.send("tag", [(662.5, 1000.0), (663.5, 1000.0)], [(664, "motion")])
    assert world.stored("tag") == left
    assert world.counts.quarantined == counts + 3
    rows = world.rows("SELECT value, payload FROM quarantine WHERE field = 'time' ORDER BY id")
    assert rows[0][0] == to_iso(T0_US + round(662.5 * MINUTE_US))
    assert json.loads(rows[0][1])["lon"] == round(-1.0 + 1000 * EAST, 7)
    assert world.history() == versions
    # what is stored all the same and comes once more is a repeat, not news
    world.send("tag", [(600, 0.0)])
    assert world.counts.quarantined == counts + 3
    # after a crash the log's tail is taken again: what is gone stays gone
    kept = [Message(*one) for one in world.log.tail(4096)]
    world.session.take_again(kept)
    assert world.stored("tag") == left
    assert len(world.rows("SELECT id FROM quarantine WHERE field = 'time'")) == 3


def test_an_alert_that_goes_on_across_the_horizon_stays_one_and_ends(world: World) -> None:
    world.put(zones=park(), activations=worn(("tag", "ann", 0, None)))
    for k in range(120):
        world.send("tag", [(k, 1000.0 if k >= 60 else 0.0)])
    [before] = world.alerts("ann")
    assert before["condition"] == "active"
    world.order("ann", kinds=("positions",))
    world.tick()
    for k in range(121, 180):
        world.send("tag", [(k, 1000.0)])
    assert [(a["began"], a["condition"]) for a in world.alerts("ann")] == [(before["began"], "active")]
    world.restart()
    assert [(a["began"], a["condition"]) for a in world.alerts("ann")] == [(before["began"], "active")]
    for k in range(180, 240):
        world.send("tag", [(k, 0.0)])
    [after] = world.alerts("ann")
    assert (after["began"], after["condition"]) == (before["began"], "cleared")
    assert [reason for _, _, reason in world.history()] == ["raised", "cleared"]
    for k in range(280, 300):
        world.send("tag", [(k, 1000.0)])
    assert [a["rule"] for a in world.alerts("ann")].count("zone.exclusion") == 2


def test_an_alert_of_which_nothing_is_seen_any_more_ends_with_the_first_data(world: World) -> None:
    world.put(zones=park(), activations=worn(("tag", "ann", 0, None)))
    for k in range(120):
        world.send("tag", [(k, 1000.0 if k >= 60 else 0.0)])
    world.order("ann", kinds=("positions",))
    for k in range(121, 141):
        world.send("tag", [(k, 0.0)])
    assert [a["condition"] for a in world.alerts("ann")] == ["active"]
    for k in range(141, 160):
        world.send("tag", [(k, 0.0)])
    [after] = world.alerts("ann")
    assert (after["condition"], after["ended"]) == ("cleared", to_iso(T0_US + 121 * MINUTE_US))


def test_a_breach_that_goes_on_is_raised_again_where_its_alert_was_erased(world: World) -> None:
    world.put(zones=park(), activations=worn(("tag", "ann", 0, None)))
    for k in range(120):
        world.send("tag", [(k, 1000.0 if k >= 60 else 0.0)])
    world.order("ann", kinds=("alerts",))
    assert len(world.stored("tag")) == 120
    world.tick()
    for k in range(121, 130):
        world.send("tag", [(k, 1000.0)])
    [alert] = world.alerts("ann")
    assert (alert["condition"], alert["began"]) == ("active", to_iso(read_closed(world, "ann")))


def read_closed(world: World, wearer: str) -> int:
    with world.beside.transaction():
        return read_horizons(world.beside).of[wearer].closed_us


def test_a_hold_stops_an_order_and_its_release_lets_it_go_on(world: World) -> None:
    reused(world)
    number = world.hold("ann", span=(T0_US + 4 * HOUR_US, T0_US + 6 * HOUR_US))
    receipt = world.order("ann", kinds=("positions", "alerts", "quarantine"))
    assert receipt.state == "held"
    assert receipt.told["holds"] == [number]
    assert receipt.told["held_back"] == {"fixes": 24, "alerts": 1}
    assert [m for m in world.stored("tag") if m < 600] == list(range(240, 360, 5))
    assert len(world.alerts("ann")) == 1
    assert run_policy(world.beside, world.settings_with(), world.now_us).told["orders"][0]["state"] == "held"
    with world.beside.transaction():
        holds.release(world.beside, number, "over", "os:tester", world.now_us)
    world.tick()
    done = run_policy(world.beside, world.settings_with(), world.now_us)
    assert [one["state"] for one in done.told["orders"]] == ["done"]
    assert min(world.stored("tag")) == 600
    assert world.alerts("ann") == []
    with pytest.raises(InputError, match="not released"), world.beside.transaction():
        holds.release(world.beside, number, "again", "os:tester", world.now_us)


def test_a_hold_of_a_crime_covers_everybody_about_its_window_and_its_lines(world: World) -> None:
    reused(world)
    crime(world, "C1", 5)
    crime(world, "C2", -24 * 100)
    world.hold(crime="C1")
    receipt = world.order("ann")
    assert receipt.state == "held"
    assert receipt.told["erased"] == {"match lines": 1}  # of the other crime, a hundred days before
    assert [w for (w,) in world.rows("SELECT wearer FROM run_result WHERE reference = 'C1' ORDER BY 1")] == ["ann", "bob"]
    assert len(world.stored("tag")) == 240
    assert len(world.alerts("ann")) == 1


def test_the_policy_by_kind_basis_and_wearer(world: World) -> None:
    rows = [("t1", "vol", 0, 10), ("t2", "bail", 0, None), ("t3", "own", 0, None), ("t4", "none", 0, None)]
    people = [
        Wearer("vol", basis="voluntary"),
        Wearer("bail", basis="bail"),
        Wearer("own", basis="bail"),
        Wearer("rec", basis="voluntary"),
    ]
    world.put(zones=park(), wearers=people, activations=worn(*rows))
    for device, _, _, _ in rows:
        for day in range(10):
            start = day * 1440.0
            if device != "t1" or day == 0:
                world.send(device, [(start + k, 1000.0 if 60 <= k < 80 else 0.0) for k in range(0, 120, 5)])
    world.send("stray", [(5, 0.0)])
    with world.beside.transaction():
        set_term(world.beside, SetTerm("own", "positions", read_term(7), "agreed", "me", world.now_us))
    settings = world.settings_with(bail=Terms(positions=3, alerts="kept"))
    n_alerts = len(world.alerts("bail"))
    plan = plan_policy(world.beside, settings, world.now_us)
    receipt = run_policy(world.beside, settings, world.now_us)
    assert plan["erase"]["fixes"] == receipt.told["erased"]["fixes"]
    assert world.stored("t1") == []  # he agreed until it ended
    assert world.rows("SELECT id FROM configuration WHERE content->>'wearer' = 'vol' OR id = 'vol'") == []
    assert min(world.stored("t2")) // 1440 == 7
    assert min(world.stored("t3")) // 1440 == 3
    assert min(world.stored("t4")) == 0  # no basis, and nothing is said of that
    assert world.stored("stray") == [5]
    assert world.rows("SELECT id FROM configuration WHERE id = 'rec'") == [("rec",)]  # never wore a tag: no end
    assert len(world.alerts("bail")) == n_alerts  # kept, and neither raised nor retracted for want of data
    assert world.alerts("vol") == []
    versions = world.history()
    world.restart()
    world.tick()
    assert len(world.alerts("bail")) == n_alerts
    assert world.history() == versions
    again = run_policy(world.beside, settings, world.now_us)
    assert "fixes" not in again.told["erased"]


def test_the_daily_run_waits_where_the_clock_is_far_ahead_of_every_fix(world: World) -> None:
    world.put(zones=park(), wearers=[Wearer("bail", basis="bail")], activations=worn(("t1", "bail", 0, None)))
    for day in range(10):
        world.send("t1", [(day * 1440.0 + k, 0.0) for k in range(0, 30, 5)])
    daily = Daily(world.settings_with(bail=Terms(positions=3)))
    before = world.stored("t1")
    with structlog.testing.capture_logs() as logs:
        daily(world.beside, world.now_us + 90 * DAY_US)
    assert [entry["event"] for entry in logs] == ["retention waits: is the clock right"]
    assert logs[0]["offset_s"] == 90 * 86_400 + 5  # since the newest fix
    assert (world.stored("t1"), daily.done_us) == (before, 0)
    daily(world.beside, world.now_us + 6 * DAY_US)  # a weekend without a fix is none of that
    assert daily.done_us == world.now_us + 6 * DAY_US
    assert world.stored("t1") == []


def test_alerts_and_matches_go_by_their_own_time_and_open_ones_stay(world: World) -> None:
    world.put(zones=park(), wearers=[Wearer("ann", basis="bail")], activations=worn(("tag", "ann", 0, None)))
    for day in range(12):
        world.send("tag", [(day * 1440.0 + k, 1000.0 if 60 <= k < 80 or day == 11 else 0.0) for k in range(0, 120, 5)])
    crime(world, "OLD", 1)
    crime(world, "NEW", 9 * 24)
    n_before = [a["rule"] for a in world.alerts("ann")].count("zone.exclusion")
    assert n_before == 12
    receipt = run_policy(world.beside, world.settings_with(bail=Terms(alerts=4, matches=4)), world.now_us)
    left = [a for a in world.alerts("ann") if a["rule"] == "zone.exclusion"]
    assert [a["began"][8:10] for a in left] == ["10", "11", "12", "13"]
    assert left[-1]["condition"] == "active"
    assert receipt.told["erased"]["match lines"] == 1
    assert len(world.stored("tag")) == 288  # of positions nothing was said
    world.restart()
    world.tick()
    again = [a for a in world.alerts("ann") if a["rule"] == "zone.exclusion"]
    assert again[:-1] == left[:-1]
    assert [a["began"] for a in again] == [a["began"] for a in left]


def test_default_terms_are_for_unknown_bases_and_for_what_nobody_wore(world: World) -> None:
    world.put(activations=worn(("t1", "x", 0, None)))
    for day in range(9):
        world.send("t1", [(day * 1440.0, 0.0)])
        world.send("stray", [(day * 1440.0, 0.0)])
    run_policy(world.beside, world.settings_with(positions=5), world.now_us)
    assert [m // 1440 for m in world.stored("t1")] == [4, 5, 6, 7, 8]
    assert world.stored("stray") == world.stored("t1")


def test_without_activations_a_device_is_its_wearer(world: World) -> None:
    world.put(zones=park())
    for device in ("ann", "bob"):
        world.send(device, [(k, 1000.0 if 60 <= k < 80 else 0.0) for k in range(120)])
    before = world.alerts("bob")
    receipt = world.order("ann", kinds=("positions", "alerts", "quarantine"))
    assert receipt.state == "done"
    assert world.stored("ann") == []
    assert world.alerts("bob") == before
    world.tick()
    world.send("ann", [(50, 1000.0), (51, 1000.0), (130, 0.0), (131, 0.0)])
    assert world.stored("ann") == [130, 131]
    assert world.alerts("ann") == []
    world.restart()
    assert world.alerts("ann") == []


class CutError(Exception):
    """The process died."""


@pytest.mark.parametrize("at", range(len(STEPS)))
def test_a_crash_between_any_two_steps_and_the_same_end(world: World, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reused(world)
    crime(world, "C1", 5)
    world.log.close()  # nobody writes: the whole log can be done
    with world.beside.transaction():
        asked = Request("ann", reason="asked").checked(world.now_us)
        entered = orders.enter(world.beside, asked, "me", world.now_us)

    def die(work: Any) -> None:
        STEPS[at](work)
        raise CutError

    monkeypatch.setattr("tagwatch.retention.work.STEPS", [*STEPS[:at], die])
    with pytest.raises(CutError), orders.alone(world.beside):
        carry_out(world.beside, world.settings, entered, ME, world.now_us)
    monkeypatch.undo()
    world.now_us += HOUR_US
    done = run_policy(world.beside, world.settings, world.now_us).told["orders"]
    assert [one["state"] for one in done] == ["done"]
    erased = done[0]["erased"]
    assert (erased["fixes"], erased["events"], erased["alerts"], erased["match lines"]) == (120, 1, 1, 1)
    assert erased["configuration"] == 2
    assert min(world.stored("tag")) == 600
    world.log = RawLog(world.folder / "raw-log")
    assert not verify(world.folder / "raw-log").faults


def test_a_crash_within_the_positions_and_the_counts_come_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(activations=worn(("tag", "ann", 0, None)))
    for day in range(5):
        world.send("tag", [(day * 1440.0 + k, 0.0) for k in range(10)])
    real, calls = places.erase_fixes, []

    def die_third(*given: Any) -> tuple[int, int]:
        calls.append(given)
        if len(calls) == 3:
            raise CutError
        return real(*given)

    monkeypatch.setattr(places, "erase_fixes", die_third)
    with pytest.raises(CutError):
        world.order("ann", kinds=("positions",))
    monkeypatch.undo()
    assert len(world.stored("tag")) == 30
    world.tick()
    done = run_policy(world.beside, world.settings, world.now_us).told["orders"]
    assert (done[0]["state"], done[0]["erased"]["fixes"]) == ("done", 50)


def test_two_at_once_and_wrong_orders_are_refused(world: World, url: str) -> None:
    reused(world)
    with database.connect(url) as other, orders.alone(other), pytest.raises(StoreError, match="another erasure"):
        world.order("ann")
    with pytest.raises(InputError, match="of whom something is held"):
        world.order("nobody")
    with pytest.raises(InputError, match="--kind is 'all'"):
        world.order("ann", kinds=("all",))
    with pytest.raises(InputError, match="no later than now"):
        world.order("ann", to_us=world.now_us + DAY_US)
    with pytest.raises(InputError, match="empty"):
        world.order("ann", from_us=T0_US + HOUR_US, to_us=T0_US)
    with pytest.raises(InputError, match="as a whole"):
        world.order("ann", from_us=T0_US, kinds=("configuration",))
    with pytest.raises(InputError, match="tells whose"):
        world.order("ann", kinds=("configuration",))
    assert world.rows("SELECT number FROM erasure") == []
    assert len(world.stored("tag")) == 240


def test_an_order_waits_for_a_batch_that_is_under_way_and_the_next_one_knows(world: World, url: str) -> None:
    """No fix slips in between: who moves a horizon waits for those who write, and they learn of it before they write again."""
    reused(world)
    done: list[Any] = []

    def erase() -> None:
        with database.connect(url) as connection:
            asked = Request("ann", kinds=("positions",), reason="asked")
            done.append(order(connection, world.settings, asked, ME, world.now_us))

    with world.session._transaction(world.now_us):
        thread = threading.Thread(target=erase)
        thread.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not world.rows(waits)[0][0]:
            thread.join(0.02)
            assert thread.is_alive(), "the order did not wait"
        assert world.rows("SELECT wearer FROM horizon") == []
    thread.join(90)
    assert [one.state for one in done] == ["done"]
    world.send("tag", [(301, 1000.0)])
    assert min(world.stored("tag")) == 600
    assert world.session.monitor.reads_us.keys() == {"ann"}
    assert not world.session.monitor.holds_before("ann", world.session.monitor.reads_us["ann"])


@pytest.mark.parametrize("by_policy", [False, True])
def test_a_hold_that_is_placed_meanwhile_holds_what_is_left(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch, *, by_policy: bool
) -> None:
    world.put(activations=worn(("tag", "ann", 0, None)))
    for day in range(5):
        world.send("tag", [(day * 1440.0 + k, 0.0) for k in range(10)])
    real, calls = places.erase_fixes, []

    def place_after_second(connection: Any, *given: Any) -> tuple[int, int]:
        calls.append(given)
        if len(calls) == 3:  # the step before this one has ended
            raise AssertionError("a hold was placed, and more was erased")
        found = real(connection, *given)
        if len(calls) == 2:
            threading.Thread(target=hold_ann).start()
            while not world.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]:
                pass
        return found

    def hold_ann() -> None:
        with database.connect(url) as other, other.transaction():
            holds.add(other, holds.Asked(("ann",)), "a case", "me", world.now_us)

    monkeypatch.setattr(places, "erase_fixes", place_after_second)
    with database.connect(url) as eraser:
        if by_policy:
            assert run_policy(eraser, world.settings_with(positions=0), world.now_us).told["holds"] == [1]
        else:
            asked = Request("ann", kinds=("positions",), reason="asked")
            assert order(eraser, world.settings, asked, ME, world.now_us).state == "held"
    assert len(world.stored("tag")) == 30


def test_a_dry_run_changes_nothing_but_is_in_the_audit_log(world: World) -> None:
    reused(world)
    receipt = order(world.beside, world.settings, Request("ann", reason="asked"), ME, world.now_us, dry_run=True)
    assert receipt.told["erase"]["fixes"] == 120
    assert world.rows("SELECT number FROM erasure") == []
    assert world.rows("SELECT wearer FROM horizon") == []
    with world.beside.transaction():
        assert audit.rows(world.beside, subject="ann")[0].action == "erasure planned"


def test_who_wears_a_tag_keeps_the_configuration(world: World) -> None:
    reused(world)
    world.log.close()
    receipt = world.order("bob")
    world.log = RawLog(world.folder / "raw-log")
    assert receipt.state == "done"
    assert "end the activation first" in " ".join(receipt.told["kept"])
    assert len(world.rows("SELECT id FROM configuration WHERE content->>'wearer' = 'bob'")) == 2


def test_numbers_of_erased_alerts_are_not_given_again(world: World) -> None:
    reused(world)
    highest = world.rows("SELECT max(raised), (SELECT max(seq) FROM alert_version) FROM alert")
    world.order("bob", kinds=("alerts",))
    world.order("ann", kinds=("alerts",))
    world.restart()
    assert (world.session.ledger._n_raised - 1, world.session._seq) == highest[0]
    kinds = [k for (k,) in world.rows("SELECT kind FROM alert_change ORDER BY number")]
    assert kinds == ["erased", "erased"]


def test_handling_goes_with_its_alert_alone(world: World) -> None:
    reused(world)
    [(identifier,)] = world.rows("SELECT id FROM alert WHERE wearer = 'ann'")
    from alerts.handling import Action, Limits
    from alerts.handling_store import act

    with world.beside.transaction():
        act(
            world.beside,
            identifier,
            Action(kind="note", actor="op", role="operator", at_us=world.now_us, note="x"),
            Limits(),
        )
    with pytest.raises(psycopg.errors.RaiseException), world.beside.transaction():
        world.beside.execute("DELETE FROM handling_action")
    world.order("ann", kinds=("alerts",))
    assert world.rows("SELECT alert_id FROM handling_action WHERE alert_id = %s", identifier) == []


def test_a_run_that_is_made_again_after_an_erasure_is_the_same_run(world: World) -> None:
    reused(world)
    run = crime(world, "C1", 5)
    world.order("ann", kinds=("matches",))
    lines = [
        Line(w, "placed", "weak", json.dumps({"wearer": w, "support": "weak", "fixes": [{"lat": 53.0}]}))
        for w in ("ann", "bob")
    ]
    with world.beside.transaction():
        assert not record_run(world.beside, run, "a", {"counted": True}, {}, [Found("kent", "C1", 1, {"placed": 2}, lines)])
        assert [line.wearer for line in results_of(world.beside, run)] == ["erased-1-1", "bob"]
        from crime_match.runs.seen import seen_results, supports
        from crime_match.runs.store import placed_at

        assert [w for w, _ in placed_at(world.beside, run, "kent", "C1")] == ["bob"]
        assert [r.wearer for r in seen_results(world.beside, run, None, None)] == ["bob"]
        assert supports(world.beside, run, None, None)["kent", "C1"].total() == 2
