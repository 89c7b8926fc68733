"""A week in ten minutes: simulated tags through the real service by a clock that runs a thousand times as fast. What it holds
must not grow, and at the end the ledger is a replay's."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crash_world import World
from benchmarks.faults.backlog import with_wearers
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.live_tags import Crowd, live_tags
from benchmarks.faults.soak_service import Fast
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess
from engine import database
from engine.times import DAY_US, MINUTE_US, parse_time

START_US = parse_time("2026-06-01T00:00:00Z")
WEEK, HOUR = (7 * 86_400.0, 600.0, 100), (3_600.0, 9.0, 60)
"""Seconds of the tags, in seconds of ours, and how many tags: with a fix a minute each."""
RESULT = Path(__file__).parents[1] / "results" / "soak.jsonl"
_WARM = 0.2
"""The first part of a run, in which caches fill."""
_MORE_MIB, _MORE_OBJECTS, _MORE_FILES = 40.0, 0.10, 6


class Soak(Fault):
    """Days pass, with upkeep every ten minutes of them and retention every night; alerts go out and escalate."""

    name = "a week in ten minutes"
    how = "100 tags with a fix a minute for seven days, by a clock 1,008 times as fast; what the service holds is sampled"
    times = 1
    setting = Setting(entries_a_try=600, patience_s=300.0)
    peer = False
    waits = True  # it takes ten minutes, and little of a processor

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """All are worn."""
        return with_wearers(super().world(seed, tries, quick), _crowd(quick).names, START_US - 100 * DAY_US)

    def prepare(self, stand: Stand) -> None:
        """The service is the same, by another clock."""
        clock, samples = stand.folder / "clock.json", stand.folder / "samples.jsonl"
        samples.touch()
        _clock(stand.quick).write(clock)
        assert isinstance(stand.service, ServiceProcess)
        stand.service.prefix = [sys.executable, "-m", "benchmarks.faults.soak_service", str(clock), str(samples)]

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        seconds, in_s, _ = _span(stand.quick)
        crowd, path = _crowd(stand.quick), stand.folder / "clock.json"
        with live_tags(crowd, stand.broker.url, stand.folder) as live:
            clock = _clock(stand.quick)._replace(began_s=live.began_s)
            clock.write(path)
            while time.monotonic() < live.began_s + in_s:
                time.sleep(1.0)
            told = live.stop(300.0)
        assert told.n_untold == 0, f"of {told.n_untold} messages nobody said that they are stored"
        end_us = clock.now_us() + MINUTE_US
        clock._replace(end_us=end_us).write(path)
        stand.clock = lambda: end_us
        stand.over()
        stand.also(crowd.fixes(0, told.n)[0], crowd.events(0, told.n))
        stand.note("days", round(seconds / 86_400, 2))
        stand.note("messages a second", round(told.n / in_s))
        for name, value in told.figures().items():
            stand.note(f"live: {name}", value)

    def check(self, stand: Stand) -> None:
        """After the caches are full nothing grows."""
        with database.connect(stand.url) as connection:
            row = connection.execute("SELECT pg_database_size(current_database()), count(*) FROM fix").fetchone()
        stand.note("database: bytes a fix", round(row[0] / max(1, row[1])) if row else 0)
        grown = growth(stand.folder / "samples.jsonl")
        for name, value in grown.items():
            stand.note(name, value)
        if stand.quick:
            return  # an hour is all warm-up
        shutil.copy(stand.folder / "samples.jsonl", RESULT)
        assert grown["memory: MiB more"] < _MORE_MIB, grown
        assert grown["objects: share more"] < _MORE_OBJECTS, grown
        assert grown["files: more"] <= _MORE_FILES, grown


def growth(path: Path) -> dict[str, Any]:
    """What the service held after the warm-up, and how much more of it at the end by a straight line through the samples."""
    held = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    held = [h for h in held if h["messages"] > 0]
    column = {name: np.array([h[name] for h in held], np.float64) for name in held[0]} if held else {}
    if len(held) < 3:
        return {"samples": len(held)}
    days = (column["time_us"] - column["time_us"][0]) / DAY_US
    rows = days >= _WARM * days[-1]

    def more(name: str) -> float:
        slope = np.polyfit(days[rows], column[name][rows], 1)[0] if np.ptp(days[rows]) else 0.0
        return float(slope * (days[-1] - days[rows][0]))

    return {
        "samples": len(held), "memory: MiB": round(float(column["mib"][rows][0])), "memory: MiB more": round(more("mib"), 1),
        "memory: MiB a day": round(more("mib") / max(1e-9, float(days[-1] - days[rows][0])), 2),
        "objects": round(float(column["objects"][rows][0])),
        "objects: share more": round(more("objects") / float(column["objects"][rows][0]), 4),
        "files: most": int(column["files"].max()), "files: more": round(more("files"), 1),
        "threads: most": int(column["threads"].max()), "connections: most": int(column["connections"].max()),
    }  # fmt: skip


def _span(quick: bool) -> tuple[float, float, int]:
    return HOUR if quick else WEEK


def _crowd(quick: bool) -> Crowd:
    seconds, in_s, n_tags = _span(quick)
    speed = seconds / in_s
    return Crowd(n_tags, n_tags / 60.0 * speed, START_US, speed=speed, strap_every=4_999, prefix="soak")


def _clock(quick: bool) -> Fast:
    seconds, in_s, _ = _span(quick)
    return Fast(START_US + MINUTE_US, seconds / in_s)


FAULTS = [Soak()]
