"""Who was near, from the database: windows of an hour to a month in a city, beside a plain box query on the same table, PostGIS
where the server has it, and duckdb on Parquet of the same fixes.

`python -m benchmarks.bench_near postgresql://... 2000 30` fills an empty database with a city (wearers, days) and asks; without
the two numbers it asks a city that is there. The peers say whose fixes lie in a box, which is part of who is placed; nobody
else says who is possible and who is excluded.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.match_scenes import HALF_M, START_US, degrees
from benchmarks.near_city import fill, worn
from benchmarks.rounds import machine
from crime_match.question import Question
from engine.activations import Activations
from engine.database import Connection, connect, migrate
from engine.times import DAY_US, HOUR_US, SECOND_US
from tagwatch.near import near_in_database
from tagwatch.nearby.memory import HourMemory
from tagwatch.nearby.settled import settle
from tagwatch.session import SCHEMAS

WINDOWS = {"1 h": HOUR_US, "8 h": 8 * HOUR_US, "1 day": DAY_US, "7 days": 7 * DAY_US, "31 days": 31 * DAY_US}
PATIENCE_S = 20.0
"""A candidate that took longer is asked fewer questions, and nothing longer."""
_BOX_E7 = (15_000, 24_000)
_IN_BOX = (
    "SELECT DISTINCT device_id FROM fix"
    " WHERE time_s BETWEEN %s AND %s AND lat_e7 BETWEEN %s AND %s AND lon_e7 BETWEEN %s AND %s"
)
Ask = Callable[[Question], Any]


def main() -> None:
    """Fill where it is asked for, ask, and print one line a window and candidate."""
    url, *size = sys.argv[1:]
    migrate(url, SCHEMAS)
    if size:
        fill(url, int(size[0]), int(size[1]))
    print(machine())
    with connect(url) as connection:
        print(json.dumps(told := about(connection)))
        found = bench(connection, told["wearers"], told["days"])
    folder = Path(__file__).parent / "results"
    (folder / "near.json").write_text(json.dumps({"machine": machine(), **told, "rows": found}, indent=1) + "\n", "utf-8")


def about(connection: Connection) -> dict[str, Any]:
    """The city and the server."""
    one = connection.execute(
        "SELECT count(DISTINCT device_id), sum(n_fixes)::bigint, max(last_s), pg_database_size(current_database()),"
        " current_setting('server_version') FROM fix_hour"
    ).fetchone()
    assert one is not None
    extension = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    days = (one[2] - START_US // SECOND_US) // 86_400 + 1
    server = f"PostgreSQL {one[4]}" + (f", TimescaleDB {extension[0]}" if extension else "")
    return {"wearers": one[0], "fixes": one[1], "days": days, "bytes": one[3], "server": server}


def bench(connection: Connection, n_wearers: int, n_days: int) -> list[dict[str, Any]]:
    """Rows of the report."""
    rows, slow = list[dict[str, Any]](), set[str]()
    with TemporaryDirectory() as folder:
        candidates = {**ours(connection, worn(n_wearers)), **peers(connection, Path(folder))}
        for window, length_us in WINDOWS.items():
            if length_us > (n_days - 2) * DAY_US:
                print(f"{window}: the city has {n_days} days only")
                continue
            questions = asked(length_us, n_days, 20)
            for name, ask in candidates.items():
                if name not in slow:
                    rows.append({"window": window, "candidate": name, **timed(ask, questions)})
                    print(json.dumps(rows[-1]), flush=True)
                    if rows[-1]["p50_ms"] > PATIENCE_S * 1e3:
                        slow.add(name)
    return rows


def ours(connection: Connection, activations: Activations) -> dict[str, Ask]:
    """What we are asked: the verdicts, in a process that asks often and in one that asks once; and with matches."""
    memory = HourMemory()

    def verdicts(question: Question, memory: HourMemory | None) -> int:
        return len(settle(connection, question, activations.rows, memory=memory).verdicts)

    def matches(question: Question, *only: str) -> int:
        return len(near_in_database(connection, question, activations, only=only, memory=memory).matches)

    return {
        "verdicts, asked once": lambda q: verdicts(q, None),
        "verdicts, summaries in memory": lambda q: verdicts(q, memory),
        "all counted, placed told": lambda q: matches(q, "placed"),
        "all counted, placed and possible told": lambda q: matches(q, "placed", "possible"),
    }


def peers(connection: Connection, folder: Path) -> dict[str, Ask]:
    """Whose fixes lie in a box about the place."""
    found: dict[str, Ask] = {"box in SQL": lambda q: len(connection.execute(_IN_BOX, list(box_of(q))).fetchall())}
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
        print("PostGIS: this server does not have it")
    else:
        found["PostGIS"] = lambda q: len(connection.execute(
            "SELECT DISTINCT device_id FROM fix WHERE time_s BETWEEN %s AND %s AND ST_DWithin(ST_MakePoint(lon_e7 / 1e7,"
            " lat_e7 / 1e7)::geography, ST_MakePoint(%s, %s)::geography, %s)",
            [*box_of(q)[:2], q.lon, q.lat, q.radius_m],
        ).fetchall())  # fmt: skip
    try:
        import duckdb
    except ImportError:
        print("duckdb is not installed")
        return found
    path = folder / "fixes.parquet"
    export(connection, path)
    query = _IN_BOX.replace("%s", "?").replace("FROM fix ", f"FROM '{path}' ")
    found["duckdb on Parquet"] = lambda q: len(duckdb.execute(query, list(box_of(q))).fetchall())
    return found


def export(connection: Connection, path: Path) -> None:
    """The columns that the box needs, day after day."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from psycopg import sql

    from engine.store.image import copy_out

    writer = None
    days = connection.execute("SELECT min(hour_s), max(hour_s) FROM fix_hour").fetchone()
    assert days is not None
    query = sql.SQL("SELECT device_id, time_s, lat_e7, lon_e7 FROM fix WHERE time_s >= %s AND time_s < %s ORDER BY 1, 2")
    for day_s in range(days[0] // 86_400 * 86_400, days[1] + 1, 86_400):
        with connection.cursor() as cursor:
            rows = copy_out(cursor, query, [day_s, day_s + 86_400], 4)
        types = ("device_id", "<i4"), ("time_s", "<i8"), ("lat_e7", "<i4"), ("lon_e7", "<i4")
        table = pa.table({name: rows[k].astype(kind) for k, (name, kind) in enumerate(types)})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=100_000)
    if writer:
        writer.close()


def box_of(question: Question) -> tuple[int, int, int, int, int, int]:
    """The window [s] and a box about the vicinity: from and to in time, in latitude, in longitude."""
    lat, lon = question.lat_e7, question.lon_e7
    times = question.start_us // SECOND_US, question.end_us // SECOND_US
    return *times, lat - _BOX_E7[0], lat + _BOX_E7[0], lon - _BOX_E7[1], lon + _BOX_E7[1]


def asked(length_us: int, n_days: int, n: int) -> list[Question]:
    """Places anywhere in the middle of the city, and windows anywhere in its days but for the first and the last."""
    rng = np.random.default_rng(length_us // SECOND_US)
    lat, lon = degrees(*rng.uniform(-0.8 * HALF_M, 0.8 * HALF_M, (2, n)))
    latest_min = (n_days - 2) * 1440 - length_us // 60_000_000
    from_us = START_US + DAY_US + rng.integers(0, latest_min + 1, n) * 60_000_000
    return [Question(float(lat[k]), float(lon[k]), int(from_us[k]), int(from_us[k]) + length_us) for k in range(n)]


def timed(ask: Ask, questions: Sequence[Question]) -> dict[str, Any]:
    """Percentiles of the wall time over questions, after one that does not count; a quick one is asked all of them before:
    what it holds in memory it has, and the others have the server's."""
    started_s = time.perf_counter()
    n_told = [ask(questions[0])]
    if time.perf_counter() - started_s < PATIENCE_S / len(questions):
        deque(map(ask, questions), maxlen=0)
    taken = list[float]()
    for question in questions[1:]:
        started_s = time.perf_counter()
        n_told.append(ask(question))
        taken.append(time.perf_counter() - started_s)
        if sum(taken) > PATIENCE_S:
            break
    p50, p95 = np.quantile(taken, [0.5, 0.95]) * 1e3
    return {
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "n": len(taken),
        "told": float(np.median(n_told)),
    }


if __name__ == "__main__":
    main()
