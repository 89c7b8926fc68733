"""Two plans that find who may have been near: by the hours' summaries, or in one pass over the tracks; and what each costs.

The costs are measured figures of one core (docs/performance.md, `python -m benchmarks.run match`); only their ratio decides,
and both plans give the same answer.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.batch import candidate_kernels as kernels
from crime_match.question import Question
from crime_match.reach_kernels import parallel_m
from engine.hours import MOST_SUMMARIES, Hours
from engine.track_kernels import HOUR_US
from engine.tracks import Tracks

Coded = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]
"""Crimes, wearers and codes of pairs, (n,) each."""

SUMMARY_NS, HOUR_NS, FIX_NS, LOOK_NS, ENTRY_NS = 40.0, 60.0, 4.0, 55.0, 30.0
"""A fix to summarise; the summary of a wearer's hour in a window, with the fixes that must be read behind it; a fix to pass
over; the fixes of such an hour that the pass must look at; and a crime to put into a stretch of time. In a city of 30 km at
55 m/s, where a fifth of the pairs are possible: elsewhere less is looked at, by both plans alike."""
_ROOM = 1 << 20


class Crimes(NamedTuple):
    """Questions as the kernels take them (see `pair_kernels`); all at one maximum speed."""

    rows: NDArray[np.int64]
    shapes: NDArray[np.float64]
    max_speed_mps: float

    @classmethod
    def of(cls, questions: Sequence[Question]) -> Crimes:
        """Columns of questions with one maximum speed."""
        rows = [(q.lat_e7, q.lon_e7, q.start_us, q.end_us, q.min_fixes) for q in questions]
        shapes = [
            (q.radius_m, q.reach_m, parallel_m(float(q.lat_e7)), math.cos(math.radians(q.lat_e7 / 1e7))) for q in questions
        ]
        speeds = {q.max_speed_mps for q in questions} or {0.0}
        if len(speeds) > 1:
            raise ValueError(f"questions with several maximum speeds: {sorted(speeds)}")
        return cls(np.array(rows, np.int64).reshape(-1, 5), np.array(shapes, np.float64).reshape(-1, 4), speeds.pop())

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, part: slice | NDArray[np.int32]) -> Crimes:
        """Some of them."""
        return Crimes(self.rows[part], self.shapes[part], self.max_speed_mps)

    @property
    def n_hours(self) -> int:
        """How many hours their windows meet, added up."""
        return int((self.rows[:, 3] // HOUR_US - self.rows[:, 2] // HOUR_US + 1).sum())


class Cost(NamedTuple):
    """What the plans are expected to take [s]."""

    index_s: float
    scan_s: float

    @property
    def plan(self) -> str:
        """The cheaper one."""
        return "index" if self.index_s <= self.scan_s else "scan"


def cost_of(crimes: Crimes, n_fixes: int, n_wearers: int, n_hours: int, has_hours: bool) -> Cost:
    """The cost of both plans on tracks of so many fixes and hours, with the summary there or still to be made."""
    index_ns = crimes.n_hours * n_wearers * HOUR_NS
    if not has_hours:
        index_ns += n_fixes * SUMMARY_NS
    buckets = (crimes.rows[:, 3] >> kernels.BUCKET_BITS) - (crimes.rows[:, 2] >> kernels.BUCKET_BITS) + 1
    scan_ns = n_fixes * FIX_NS + crimes.n_hours * n_wearers * LOOK_NS + int(buckets.sum()) * ENTRY_NS
    too_large = n_hours * n_wearers > MOST_SUMMARIES
    return Cost(float("inf") if too_large else index_ns * 1e-9, scan_ns * 1e-9)


def by_hours(crimes: Crimes, tracks: Tracks, hours: Hours, from_wearer: int, to_wearer: int) -> Iterator[Coded]:
    """The pairs of these wearers that are not excluded, in portions, crime after crime."""
    n_wearers = tracks.n_wearers
    seen, n_placing = np.empty(n_wearers, np.uint8), np.empty(n_wearers, np.int64)
    fixed: tuple[Any, ...] = (crimes.rows, crimes.shapes, crimes.max_speed_mps, *hours.arrays)

    def portion(crime: int, room: Coded) -> tuple[int, int]:
        return kernels.near_by_hours(*(crime, *fixed, *tracks.arrays, from_wearer, to_wearer, seen, n_placing, *room))

    return _portions(0, len(crimes), min(max(_ROOM, n_wearers), len(crimes) * n_wearers), portion)


class Grid(NamedTuple):
    """Crimes by stretches of time, and by time and cell, for the pass over the tracks."""

    first_bucket: int
    time_start: NDArray[np.int64]
    time_crime: NDArray[np.int32]
    cell_start: NDArray[np.int64]
    cell_crime: NDArray[np.int32]

    @classmethod
    def of(cls, crimes: Crimes) -> Grid:
        """Every crime in all stretches that its window meets."""
        first = int(crimes.rows[:, 2].min()) >> kernels.BUCKET_BITS
        last = int(crimes.rows[:, 3].max()) >> kernels.BUCKET_BITS
        time_start = np.zeros(last - first + 2, np.int64)
        stretches = (crimes.rows[:, 3] >> kernels.BUCKET_BITS) - (crimes.rows[:, 2] >> kernels.BUCKET_BITS) + 1
        n_slots = 1 << max(10, int(2 * stretches.sum()).bit_length())
        cell_start = np.zeros(n_slots + 1, np.int64)
        kernels.count_entries(crimes.rows, first, time_start, cell_start)
        np.cumsum(time_start, out=time_start)
        np.cumsum(cell_start, out=cell_start)
        time_crime, cell_crime = np.empty((2, time_start[-1]), np.int32)
        kernels.fill_entries(crimes.rows, first, time_start.copy(), time_crime, cell_start.copy(), cell_crime)
        return cls(first, time_start, time_crime, cell_start, cell_crime)


def by_scan(crimes: Crimes, tracks: Tracks, grid: Grid, from_wearer: int, to_wearer: int) -> Iterator[Coded]:
    """The same pairs of these wearers in portions, wearer after wearer."""
    n = len(crimes)
    state = (
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int64),
        np.empty(n, np.int32),
        np.empty(n, np.uint8),
        np.empty(n, np.int64),
    )
    asked: tuple[Any, ...] = (crimes.rows, crimes.shapes, float(crimes.shapes[:, 1].max()), crimes.max_speed_mps)

    def portion(wearer: int, room: Coded) -> tuple[int, int]:
        return kernels.near_by_scan(*(wearer, to_wearer, *asked, *grid, *tracks.arrays, *state, *room))

    return _portions(from_wearer, to_wearer, max(_ROOM, n), portion)


def _portions(first: int, stop: int, room: int, portion: Callable[[int, Any], tuple[int, int]]) -> Iterator[Coded]:
    while first < stop:
        pairs = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.uint8)
        first, n = portion(first, pairs)
        yield pairs[0][:n].copy(), pairs[1][:n].copy(), pairs[2][:n].copy()


def in_threads(work: Callable[[int, int], list[Any]], n: int, fewest: int = 1) -> list[Any]:
    """Do work(first, stop) for parts of range(n) of at least so many, a thread a core, and return what they give in order."""
    n_threads = min(os.cpu_count() or 1, max(n // fewest, 1))
    cuts = [n * k // n_threads for k in range(n_threads + 1)]
    if n_threads == 1:
        return work(0, n)
    with ThreadPoolExecutor(n_threads) as pool:
        return [row for part in pool.map(work, cuts[:-1], cuts[1:]) for row in part]
