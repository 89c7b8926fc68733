"""The load held: the highest rate at which the 99th percentile from when a message was due until its tag was told that it is
stored and decided stays under 250 ms, for ten minutes; and what happens at one and a half times and three times of it.

`python -m benchmarks.bench_held --minutes 10`: searches by bisection in short runs, each with servers of its own, then holds.
Real broker, database and service with couriers and console on this machine, with the tags; each tag sends a fix a minute of a
clock that runs as fast as the rate wants.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg

from benchmarks.faults.live_tags import Crowd, LiveTags, Told, live_tags
from benchmarks.faults.naive import NaiveProcess
from benchmarks.faults.soak_service import Fast
from benchmarks.receiver import receiver
from benchmarks.rounds import machine
from benchmarks.victims import Stand, stand
from engine import database
from engine.times import SECOND_US, parse_time
from tagwatch import configuration

LIMIT_MS = 250.0
START_US = parse_time("2026-06-01T08:00:00Z")
RESULT = Path(__file__).parent / "results" / "held.json"
_WARM_S = 5.0
_STEP_S = 10.0


def zones() -> dict[str, Any]:
    """Four forbidden discs in the town, for everybody: some of the ways lead through them."""
    discs = [(-0.55, 53.22), (-0.52, 53.24), (-0.57, 53.25), (-0.51, 53.21)]
    return {"type": "FeatureCollection", "features": [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [*at]},
         "properties": {"id": f"disc-{k}", "kind": "exclusion", "wearers": "*", "radius_m": 300}}
        for k, at in enumerate(discs)
    ]}  # fmt: skip


def crowd(rate: float, n_tags: int) -> Crowd:
    """Tags that send so many messages a second together, each a fix a minute of its time; now and then a strap is cut."""
    return Crowd(n_tags, rate, START_US, speed=60.0 * rate / n_tags, strap_every=9_973, prefix="held")


@contextmanager
def served(tags: Crowd) -> Iterator[Stand]:
    """Servers of their own and the service by the tags' clock, ready."""
    with stand() as there:
        with database.connect(there.database.url) as connection:
            configuration.save(connection, START_US, zones=zones())
        clock, samples = there.folder / "clock.json", there.folder / "samples.jsonl"
        Fast(START_US + SECOND_US, tags.speed).write(clock)
        samples.touch()
        there.service.prefix = [sys.executable, "-m", "benchmarks.faults.soak_service", str(clock), str(samples)]
        there.service.start()
        there.service.wait_ready(120.0)
        yield there


def trial(rate: float, n_tags: int, seconds: float) -> dict[str, Any]:
    """One run at a rate: latencies, memory, what waited, how fast it caught up afterwards; AssertionError where one is lost."""
    tags = crowd(rate, n_tags)
    with served(tags) as there, live_tags(tags, there.broker.url, there.folder) as live:
        Fast(START_US + SECOND_US, tags.speed, live.began_s).write(there.folder / "clock.json")
        seen = _watch(there, live, seconds)
        waited, stopped_s = live.waiting, time.monotonic()
        told = live.stop(120.0)
        caught_up_s = time.monotonic() - stopped_s
        with psycopg.connect(there.database.url) as connection:
            row = connection.execute("SELECT (SELECT count(*) FROM fix) + (SELECT count(*) FROM device_event)").fetchone()
    n_stored = int(row[0]) if row else 0
    assert told.n_untold == 0, f"of {told.n_untold} of {told.n} messages nobody said that they are stored"
    assert n_stored == told.n, f"{n_stored} of {told.n} are stored"
    found: dict[str, Any] = {"rate": round(rate), "seconds": round(seconds), "messages": told.n, "lost": told.n - n_stored}
    found |= told.figures(told.due_s[0] + min(_WARM_S, seconds / 4))
    found |= {"straps": told.figures(straps=True), "by_ten_seconds_p50_ms": _by_steps(told), **seen}
    if waited > rate:  # more than a second of it waited: then how fast it goes without pause can be told
        found |= {"waiting_at_the_end": waited, "caught_up_s": round(caught_up_s, 1),
                  "caught_up_messages_a_second": round(waited / caught_up_s)}  # fmt: skip
    return found


def _watch(there: Stand, live: LiveTags, seconds: float) -> dict[str, Any]:
    """Wait, and see what the service and the broker hold meanwhile [MiB], and how much waited at most."""
    processes = {"service": psutil.Process(there.service.pid), "broker": psutil.Process(there.broker.pid)}
    mib: dict[str, list[float]] = {name: [] for name in processes}
    most = 0
    while time.monotonic() < live.began_s + seconds:
        time.sleep(0.25)
        most = max(most, live.waiting)
        for name, process in processes.items():
            mib[name].append(process.memory_info().rss / 2**20)
    return {"most_waiting": most} | {
        f"{name}_mib": {"at_first": round(held[0]), "middle": round(held[len(held) // 2]), "most": round(max(held))}
        for name, held in mib.items()
    }


def _by_steps(told: Told) -> list[float]:
    ends = np.arange(told.due_s[0], told.due_s[-1], _STEP_S)
    return [told.figures(at, at + _STEP_S).get("p50_ms", float("nan")) for at in ends.tolist()]


def is_held(found: dict[str, Any]) -> bool:
    """Whether the latency stayed under the limit."""
    return bool(found["p99_ms"] < LIMIT_MS)


def search(n_tags: int, seconds: float, low: float = 500.0, most: float = 20_000.0) -> float:
    """The highest rate that a short run holds, to within 7 %; 0 where not even `low` is held."""
    held, failed = 0.0, most
    rate = low
    while rate < most and failed / max(held, 1.0) > 1.07:
        found = trial(rate, n_tags, seconds)
        print(f"  {rate:,.0f} a second: p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms", file=sys.stderr, flush=True)
        held, failed = (rate, failed) if is_held(found) else (held, rate)
        if not held:
            return 0.0
        rate = 2 * held if failed == most else (held * failed) ** 0.5
    return held


def hold(rate: float, n_tags: int, seconds: float) -> dict[str, Any]:
    """Hold a rate for long; where it is not held, a tenth less until it is."""
    while True:
        found = trial(rate, n_tags, seconds)
        print(f"  held {rate:,.0f} for {seconds:.0f} s: p99 {found['p99_ms']} ms", file=sys.stderr, flush=True)
        if is_held(found) or rate < 100.0:
            return found | {"is_held": is_held(found)}
        rate *= 0.9


def naive(rate: float, n_tags: int, seconds: float) -> dict[str, Any]:
    """The naive service at a rate: how much it had stored when the tags stopped, and so how late it was."""
    tags = crowd(rate, n_tags)
    with stand() as there, receiver(1, 0.0) as hook:
        config = {"host": "127.0.0.1", "port": there.broker.port, "database": there.database.url, "webhook": hook.url,
                  "zones": zones()["features"]}  # fmt: skip
        service = NaiveProcess(there.folder, config, lambda _part: nullcontext())
        try:
            service.start()
            service.wait_ready()
            with live_tags(tags, there.broker.url, there.folder) as live:
                _watch(there._replace(service=service), live, seconds)  # type: ignore[arg-type]
                with psycopg.connect(there.database.url) as connection:
                    row = connection.execute("SELECT count(*) FROM naive_fix").fetchone()
                n_stored = int(row[0]) if row else 0
        finally:
            service.kill()
    n_sent = int(rate * seconds)
    return {"rate": round(rate), "seconds": seconds, "sent": n_sent, "stored_by_then": n_stored,
            "stored_a_second": round(n_stored / seconds), "late_s": round(seconds * (1 - n_stored / n_sent), 1)}  # fmt: skip


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the rate is held")
    parser.add_argument("--rate", type=float, help="messages a second to begin with, instead of the search")
    parser.add_argument("--tags", type=int, default=10_000)
    parser.add_argument("--search-seconds", type=float, default=25.0)
    parser.add_argument(
        "--over-seconds", type=float, default=60.0, help="how long one and a half and three times of it last"
    )
    given = parser.parse_args()
    rate = given.rate or search(given.tags, given.search_seconds)
    if not rate:
        sys.exit("not even 500 messages a second were held: is this machine busy?")
    held = hold(rate, given.tags, 60.0 * given.minutes)
    over = [trial(times * held["rate"], given.tags, given.over_seconds) | {"times": times} for times in (1.5, 3.0)]
    told = {"benchmark": "held", "machine": machine(), "limit_ms": LIMIT_MS, "tags": given.tags, "held": held, "over": over,
            "naive": naive(held["rate"], given.tags, 20.0)}  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
