"""Fixes into the database: the store's binary COPY, and one INSERT a fix by executemany."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from benchmarks.bench_replay import SEED
from benchmarks.rounds import Row, rows
from benchmarks.scenes import in_arrival_order, pieces, town
from engine import database
from engine.fixes import ABSENT, Fixes
from engine.store.fixes import FixStore
from engine.times import SECOND_US

PEER = "executemany"
_COLUMNS = ("lat_e7", "lon_e7", "accuracy_cm", "source", "speed_cms", "course_cdeg", "altitude_cm", "hdop_c", "satellites",
            "battery_pct")  # fmt: skip
INSERT = (
    f"INSERT INTO fix (device_id, time_s, rest_us, {', '.join(_COLUMNS)}, received_s) VALUES ({', '.join(['%s'] * 14)})"
)


def insert_rows(fixes: Fixes) -> list[tuple[object, ...]]:
    """The fixes as values of INSERT; devices by their index."""
    seconds, rest = np.divmod(fixes.time_us, SECOND_US)
    values = [[None if v == ABSENT else v for v in fixes.column(name).tolist()] for name in _COLUMNS]
    received = fixes.received_s.tolist()
    return list(zip(fixes.device.tolist(), seconds.tolist(), rest.tolist(), *values, received, strict=True))


def bench(url: str, n_fixes: int = 20_000, n_batch: int = 500, n_rounds: int = 3) -> list[Row]:
    """Rows of the report: batches of `n_batch`, one transaction each, both candidates in turn, then emptied."""
    fixes = in_arrival_order(town(np.random.default_rng(SEED), 100, n_fixes // 100).fixes)
    taken: dict[str, list[float]] = {"binary COPY": [], PEER: []}
    with database.connect(url) as connection:
        store = FixStore(connection)
        for _ in range(n_rounds):
            for name, each in taken.items():
                started_s = time.perf_counter()
                for batch in pieces(fixes, n_batch):
                    with connection.transaction():
                        if name == PEER:
                            with connection.cursor() as cursor:
                                cursor.executemany(INSERT, insert_rows(batch))
                        else:
                            store.write(batch)
                each.append(time.perf_counter() - started_s)
                connection.execute("TRUNCATE fix")
                connection.commit()
    return rows(f"store, batches of {n_batch}", len(fixes), "fixes", {k: median(v) for k, v in taken.items()}, PEER)
