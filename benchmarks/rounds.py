"""Interleaved rounds: candidates take turns, so that whatever else the machine does meets all of them; medians count."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the report: how many units took how long, and how many times as fast as the peer that is."""

    bench: str
    candidate: str
    units: int
    unit: str
    seconds: float
    ratio: float | None = None
    note: str = ""

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds


def medians(candidates: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each candidate over rounds in which all take turns, after one run of each that does not count."""
    for run in candidates.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            started_s = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started_s)
    return {name: statistics.median(each) for name, each in taken.items()}


def rows(bench: str, units: int, unit: str, seconds: Mapping[str, float], peer: str) -> list[Row]:
    """A row for each candidate, with its ratio to the peer."""
    return [
        Row(bench, name, units, unit, each, None if name == peer else seconds[peer] / each)
        for name, each in seconds.items()
    ]


def table(found: list[Row]) -> str:
    """The rows as text in columns."""
    head = ("benchmark", "candidate", "units", "seconds", "units/s", "x peer", "")
    lines = [head] + [
        (r.bench, r.candidate, f"{r.units:,} {r.unit}", f"{r.seconds:.3f}", f"{r.rate:,.0f}",
         "peer" if r.ratio is None else f"{r.ratio:.2f}", r.note)
        for r in found
    ]  # fmt: skip
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def machine() -> str:
    """Processor, memory and versions, for a reader who compares."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "shapely", "psycopg", "paho-mqtt"))
    return f"{_processor()}, {os.cpu_count()} processors, {memory:.0f} GiB, Python {platform.python_version()}, {parts}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
