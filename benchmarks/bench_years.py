"""Years of trails into the database: backfill and live batches, room in the columnstore, and a wearer's day read back.

`python -m benchmarks.run years` on the embedded PostgreSQL; where TAGWATCH_TEST_TIMESCALEDB names a server that has TimescaleDB
(an administrator's URL), the same on it in turn. The anchors are bare COPY without an index: of the first six columns, and of
all. Fixes are what `tagwatch simulate` writes, a day at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import psycopg
from psycopg import sql

from benchmarks.rounds import Row
from engine import database, timescale
from engine.database import Connection
from engine.fixes import Fixes
from engine.store.columns import COLUMNS, WIDTHS, rows_of
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.store.image import copy_in
from engine.times import DAY_US, SECOND_US
from tagwatch.service import initialise
from tagwatch.simulate.world import simulate

WEARERS, DAYS, SEED, ROUNDS, LIVE = 500, 5, 8, 3, 500
_FIRST = 7  # device_id, time_s, rest_us, lat_e7, lon_e7, accuracy_cm, source: what is six elsewhere, the time being in two
_BYTES = """
SELECT relname FROM pg_class WHERE relnamespace = '_timescaledb_internal'::regnamespace
AND relname ~ ('^_hyper_' || (SELECT id FROM _timescaledb_catalog.hypertable WHERE table_name = 'fix')
               || '_[0-9]+_chunk_compressed$')
"""


def bench(url: str, folder: Path) -> list[Row]:
    """Rows of the report."""
    days = _days()
    found = _both(url, "plain PostgreSQL", days)
    admin = os.environ.get("TAGWATCH_TEST_TIMESCALEDB")
    if not admin:
        return [*found, Row("years", "TimescaleDB: TAGWATCH_TEST_TIMESCALEDB names no server", 0, "fixes", 1.0)]
    with _fresh(admin) as other:
        initialise(other)
        return found + _both(other, "TimescaleDB", days) + _room(other)


def _days() -> list[Fixes]:
    """The fixes of each whole day, by device and time: as an archive is read back."""
    fixes = simulate(WEARERS, DAYS + 1, SEED).fixes
    day = fixes.time_us // DAY_US
    parts = [fixes.take(np.flatnonzero(day == d)) for d in np.unique(day)[1 : DAYS + 1]]
    return [part.take(np.lexsort((part.time_us, part.device))) for part in parts]


def _both(url: str, name: str, days: list[Fixes]) -> list[Row]:
    n = sum(map(len, days))
    with database.connect(url) as connection:
        taken: dict[str, list[float]] = {}
        for _ in range(ROUNDS):  # the last leaves what is read below
            for what, seconds in (
                ("COPY, 6 columns, no index", _bare(connection, days, _FIRST)),
                ("COPY, all columns, no index", _bare(connection, days, len(COLUMNS))),
                ("store, each fix once", _stored(connection, days)),
            ):
                taken.setdefault(what, []).append(seconds)
        rows = [
            Row("backfill", f"{name}: {what}", n, "fixes", median(each), None, f"best {n / min(each) / 1e6:.2f} M/s")
            for what, each in taken.items()
        ]
        return [*rows, _live(connection, name, days[-1]), _summaries(connection, name, n), _day(connection, name, days)]


def _bare(connection: Connection, days: list[Fixes], n_columns: int) -> float:
    with connection.transaction():
        connection.execute("DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE fix)")
        for column in COLUMNS[n_columns:]:
            connection.execute(sql.SQL("ALTER TABLE bare DROP COLUMN {}").format(sql.Identifier(column)))
    started_s = time.perf_counter()
    for part in days:
        with connection.transaction(), connection.cursor() as cursor:
            cuts = (rows_of(part.take(slice(k, k + 32_768)), part.device[k : k + 32_768])[:n_columns]
                    for k in range(0, len(part), 32_768))  # fmt: skip
            copy_in(cursor, "bare", COLUMNS[:n_columns], WIDTHS[:n_columns], cuts)
    seconds = time.perf_counter() - started_s
    with connection.transaction():
        connection.execute("DROP TABLE bare")
    return seconds


def _stored(connection: Connection, days: list[Fixes]) -> float:
    with connection.transaction():
        connection.execute("TRUNCATE fix")
    store = FixStore(connection)
    started_s = time.perf_counter()
    for part in days:
        with connection.transaction():
            store.write(part)
    return time.perf_counter() - started_s


def _live(connection: Connection, name: str, part: Fixes) -> Row:
    """Batches as they come: many devices, a few fixes each, newer than all that is stored."""
    later = Fixes(part.devices, **{c: part.column(c) for c in Fixes.__slots__ if c not in ("devices", "time_us")},
                  time_us=part.time_us + 10 * DAY_US)  # fmt: skip
    later = later.take(np.argsort(later.received_s, kind="stable")[: 40 * LIVE])
    store, taken = FixStore(connection), []
    with connection.transaction():
        store.write(later.take(slice(0, 1)))
    for at in range(0, len(later), LIVE):
        started_s = time.perf_counter()
        with connection.transaction():
            store.write(later.take(slice(at, at + LIVE)))
        taken.append(time.perf_counter() - started_s)
    with connection.transaction():
        connection.execute("DELETE FROM fix WHERE time_s >= %s", [int(later.time_us.min()) // SECOND_US])
    note = f"{median(taken) * 1e3:.1f} ms a batch"
    return Row("live", f"{name}: batches of {LIVE}", LIVE, "fixes", median(taken), None, note)


def _summaries(connection: Connection, name: str, n: int) -> Row:
    summaries = HourSummaries(connection)
    with connection.transaction():
        connection.execute("UPDATE fix_writer SET until_s = 0, announced_s = 0")
    started_s = time.perf_counter()
    summaries.refresh(2**32)
    seconds = time.perf_counter() - started_s
    with connection.transaction():
        connection.execute("UPDATE fix_writer SET until_s = 0, announced_s = 0")
    return Row("hourly summaries", name, n, "fixes", seconds)


def _day(connection: Connection, name: str, days: list[Fixes]) -> Row:
    store, rng, taken, n = FixStore(connection), np.random.default_rng(SEED), [], 0
    part = days[len(days) // 2]
    from_us = int(part.time_us[0]) // DAY_US * DAY_US
    timescale.compress(connection, 2**40)
    for device in rng.choice(part.devices, 60):
        started_s = time.perf_counter()
        with connection.transaction():
            n += len(store.read(devices=[str(device)], from_us=from_us, to_us=from_us + DAY_US - 1))
        taken.append(time.perf_counter() - started_s)
    p95 = float(np.percentile(taken, 95)) * 1e3
    return Row(
        "a wearer's day", name, n // 60, "fixes", median(taken), None, f"{median(taken) * 1e3:.1f} ms, p95 {p95:.1f} ms"
    )


def _room(url: str) -> list[Row]:
    """Bytes a fix in the columnstore, by column, and on the disk with everything."""
    with database.connect(url) as connection:
        for _ in range(2):
            timescale.compress(connection, 2**40)
        with connection.transaction():
            tables = [sql.Identifier("_timescaledb_internal", name) for (name,) in connection.execute(_BYTES.encode())]
            sizes = [sql.SQL("coalesce(sum(pg_column_size({})), 0)").format(sql.Identifier(c)) for c in COLUMNS]
            total = np.zeros(len(COLUMNS) + 1)
            for one in tables:
                query = sql.SQL("SELECT sum(_ts_meta_count), {} FROM {}").format(sql.SQL(", ").join(sizes), one)
                row = connection.execute(query).fetchone()
                total += np.array([float(value or 0) for value in row or ()])
            disk = connection.execute("SELECT hypertable_size('fix')").fetchone()
    n, each = int(total[0]), total[1:] / total[0]
    told = ", ".join(f"{name} {size:.2f}" for name, size in zip(COLUMNS, each, strict=True))
    on_disk = float(disk[0]) / n if disk else 0.0
    summary = f"{each[:_FIRST].sum():.2f} bytes for the first six, {each.sum():.2f} for all, {on_disk:.2f} on disk"
    return [Row("columnstore", summary, n, "fixes", 1.0, None, told)]


@contextmanager
def _fresh(admin: str) -> Iterator[str]:
    name = f"tagwatch_years_{os.getpid()}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield admin.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
