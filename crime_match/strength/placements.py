"""Placements: which wearers are placed at one place in which of many windows, straight from the packed tracks.

The rule is that of a match (`crime_match.passage`): fixes that carry weight, circle at least half in the vicinity, `min_fixes`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.kernels import OVERLAP
from crime_match.question import Question
from crime_match.strength.placement_kernels import LOOK, count_fixes, mark_hours, mark_read
from crime_match.strength.shifts import Shifted
from engine.hours import Hours
from engine.tracks import Tracks


class Counts(NamedTuple):
    """For rows (n,) of a wearer and a window: fixes that carry weight in the window, and those of them that place."""

    n_fixes: NDArray[np.int32]
    n_placing: NDArray[np.int32]


class Marks(NamedTuple):
    """For each wearer (n_wearers,) int64: bit k is set where he was monitored, and where he is placed, in window k."""

    monitored: NDArray[np.int64]
    placed: NDArray[np.int64]

    def either(self, other: Marks) -> Marks:
        """Monitored, or placed, at the one place or the other."""
        return Marks(self.monitored | other.monitored, self.placed | other.placed)


def count(
    tracks: Tracks, question: Question, wearer: NDArray[np.int64], from_us: NDArray[np.int64], to_us: NDArray[np.int64]
) -> Counts:
    """Fixes at the question's place in windows [from_us, to_us] (n,) of wearers (n,), numbered as in the tracks.

    The question's own window is not used. The counts are those of `passage_of` for a question with that padded window.
    """
    counts = Counts(np.empty(len(wearer), np.int32), np.empty(len(wearer), np.int32))
    rows: tuple[Any, ...] = (*_place(question), OVERLAP, wearer, from_us, to_us, *counts)
    count_fixes(*tracks.arrays[:8], *rows)
    return counts


def mark(
    tracks: Tracks, question: Question, windows: Shifted, hours: Hours | None = None,
    wearers: NDArray[np.int64] | None = None,
) -> Marks:  # fmt: skip
    """Who was monitored and who is placed at the question's place in each window, at most 63 of them.

    `hours`, the summaries of the same tracks, tell of most wearers without reading a fix; the answer is the same. `wearers`
    are the numbers of those to be looked at; of the others nothing is said.
    """
    marks = Marks(np.zeros(tracks.n_wearers, np.int64), np.zeros(tracks.n_wearers, np.int64))
    look = np.zeros((len(windows.days), tracks.n_wearers), np.uint8)
    edges = windows.start_us, windows.end_us
    if hours is not None and wearers is None:
        told: tuple[Any, ...] = (*_place(question), *edges, look, marks.monitored)
        mark_hours(hours.first_hour, hours.box, hours.gap_s, hours.row, *told)
    else:
        look[:, slice(None) if wearers is None else wearers] = LOOK
    rows: tuple[Any, ...] = (hours.first_hour, hours.row) if hours is not None else (0, _NO_ROW)
    read: tuple[Any, ...] = (*rows, *_place(question), OVERLAP, question.min_fixes, *edges, look, *marks)
    mark_read(*tracks.arrays[:8], *read)
    return marks


_NO_ROW = np.zeros((0, 0), np.uint32)


def n_bits(marks: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many windows are marked; shape (n_wearers,)."""
    return np.bitwise_count(marks).astype(np.int64)


def _place(question: Question) -> tuple[int, int, float]:
    return question.lat_e7, question.lon_e7, float(question.radius_m)
