"""Backup and restore: fixes a second, and sizes. `python -m benchmarks.bench_backup --fixes 2000000`; `--url`: of a server."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.servers import postgres
from engine import timescale
from engine.database import connect
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import SECOND_US
from ingest.payload_text import fix_texts
from ingest.raw_log import RawLog
from tagwatch.backup.check import check
from tagwatch.backup.make import make
from tagwatch.backup.restore import recover_all, restore
from tagwatch.service import initialise
from tagwatch.settings import Database, Settings
from tagwatch.settings import RawLog as RawLogSettings

START_S, N_DEVICES, AT_ONCE = 1_780_272_000, 200, 60
DAY_S = 86_400


def fixes_of(n: int, seed: int = 1) -> Fixes:
    """Walks of 200 devices, a fix a minute each."""
    rng = np.random.default_rng(seed)
    n_each = n // N_DEVICES
    steps = rng.normal(0, 900, (2, N_DEVICES, n_each)).cumsum(axis=2)
    time_s = np.tile(START_S + 60 * np.arange(n_each), N_DEVICES)
    return Fixes.of(
        [f"tag-{k:04d}" for k in range(N_DEVICES)], device=np.repeat(np.arange(N_DEVICES), n_each), time_us=time_s * SECOND_US,
        lat_e7=np.rint(530_000_000 + steps[0].ravel()), lon_e7=np.rint(-11_000_000 + steps[1].ravel()),
        accuracy_cm=rng.integers(300, 3000, len(time_s)), source=np.ones(len(time_s)),
        speed_cms=rng.integers(0, 900, len(time_s)),
        battery_pct=rng.integers(1, 100, len(time_s)), received_s=time_s + 5,
    )  # fmt: skip


def fill(settings: Settings, fixes: Fixes) -> None:
    """Database and raw log as a service would leave them."""
    order = np.argsort(fixes.time_us, kind="stable")
    by_time = fixes.take(order)
    with connect(settings.database.url) as connection:
        for at in range(0, len(by_time), 100_000):
            with connection.transaction():
                FixStore(connection).write(by_time.take(np.arange(at, min(at + 100_000, len(by_time)))))
        until_s = int(by_time.time_us[-1]) // SECOND_US
        HourSummaries(connection).refresh(until_s)
        connection.rollback()
        timescale.compress(connection, until_s)
    with RawLog(settings.raw_log.folder) as log:
        for at in range(0, len(fixes) // N_DEVICES, AT_ONCE):
            messages = []
            for number, name in enumerate(fixes.devices):
                begin = number * (len(fixes) // N_DEVICES) + at
                part = fixes.take(np.arange(begin, min(begin + AT_ONCE, (number + 1) * (len(fixes) // N_DEVICES))))
                text = b"[" + b",".join(fix_texts(part)) + b"]"
                messages.append((int(part.received_s[-1]) * SECOND_US, f"tags/{name}/fixes", text))
            log.append(messages)


def measure(url: str, other: str, folder: Path, n: int, *, raw_only: bool) -> dict[str, Any]:
    """One round over two databases with the same server."""
    settings = Settings(database=Database(url=url), raw_log=RawLogSettings(folder=folder / "raw-log"))
    initialise(url)
    fixes = fixes_of(n)
    fill(settings, fixes)
    now_us = int(fixes.time_us.max()) + 60 * SECOND_US
    with connect(url) as connection:
        ((size,),) = connection.execute("SELECT pg_database_size(current_database())").fetchall()
    one = make(settings, folder / "out", clock=lambda: now_us)
    again = make(settings, folder / "out", clock=lambda: now_us + 5 * SECOND_US)
    began_s = time.perf_counter()
    assert not check(one.folder).faults
    checked_s = time.perf_counter() - began_s
    if raw_only:
        initialise(other)
        began_s = time.perf_counter()
        done = recover_all(settings.model_copy(update={"database": Database(url=other)}))
        took_s = time.perf_counter() - began_s
        return {
            "raw log only": {"fixes": done.recovered.n_fixes, "seconds": round(took_s, 1), "fixes/s": round(n / took_s)}
        }
    began_s = time.perf_counter()
    restore(settings.model_copy(update={"database": Database(url=other)}), one.folder)
    restored_s = time.perf_counter() - began_s
    raw = sum(f.n_bytes for name, f in one.manifest.files.items() if name.startswith("raw-log/"))
    return {
        "fixes": len(fixes), "timescaledb": one.manifest.timescaledb, "database_mb": size / 1e6, "raw_log_mb": raw / 1e6,
        "dump_mb": one.manifest.files["database.dump"].n_bytes / 1e6, "backup_s": one.seconds,
        "backup_fixes_s": n / one.seconds,
        "second_backup_s": again.seconds, "linked": again.manifest.n_linked, "verify_s": checked_s,
        "restore_s": restored_s, "restore_fixes_s": n / restored_s,
    }  # fmt: skip


def main() -> None:
    """Print the figures as JSON."""
    words = argparse.ArgumentParser()
    words.add_argument("--fixes", type=int, default=2_000_000)
    words.add_argument("--url", help="a server (its database postgres) instead of the embedded one")
    words.add_argument("--raw-log-only", action="store_true")
    given = words.parse_args()
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tagwatch-bench-") as name, postgres() as (server, _):
        at = given.url or server
        with psycopg.connect(at, autocommit=True) as connection:
            for database in ("bench_backup_a", "bench_backup_b"):
                connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
                connection.execute(f"CREATE DATABASE {database}".encode())
        urls = [re.sub(r"/postgres(\?|$)", rf"/{one}\1", at, count=1) for one in ("bench_backup_a", "bench_backup_b")]
        try:
            found = measure(*urls, Path(name), given.fixes, raw_only=given.raw_log_only)
        finally:
            with psycopg.connect(at, autocommit=True) as connection:
                for database in ("bench_backup_a", "bench_backup_b"):
                    connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
    print(json.dumps({k: round(v, 1) if isinstance(v, float) else v for k, v in found.items()}))


if __name__ == "__main__":
    main()
