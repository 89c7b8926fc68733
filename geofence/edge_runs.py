"""Runs of edges with their boxes, the tree by which kernels pass over the far parts of a ring: eight edges, eight runs, ..."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FAN = 8
_SIDES = (np.minimum, np.minimum, np.maximum, np.maximum)


class EdgeRuns(NamedTuple):
    """Runs of all rings (n_runs,), each before the runs it is made of, ring after ring.

    boxes (n_runs, 4) int32 west south east north; runs (n_runs, 3): first and last vertex, and the first run that is not in
    this one; a run whose last column is its own row + 1 is a leaf. trees (n_rings + 1,) cuts the runs.
    """

    boxes: NDArray[np.int32]
    runs: NDArray[np.int64]
    trees: NDArray[np.int64]


class _Level(NamedTuple):
    """Runs of one height: ring, box, first and last vertex, number of runs in it with itself, and which of them begin a run
    of the next height (empty where none is above them)."""

    ring: NDArray[np.int64]
    boxes: NDArray[np.int32]
    ends: NDArray[np.int64]
    size: NDArray[np.int64]


def edge_runs(xs: NDArray[np.int32], ys: NDArray[np.int32], rings: NDArray[np.int64]) -> EdgeRuns:
    """Runs of closed rings; rings (n_rings + 1,) cuts the vertices xs, ys."""
    if len(rings) == 1:
        return EdgeRuns(np.empty((0, 4), np.int32), np.empty((0, 3), np.int64), np.zeros(1, np.int64))
    levels, links = [_leaves(xs, ys, rings)], []
    while (taller := _taller(levels[-1].ring)).any():
        level, link = _above(levels[-1], taller)
        levels.append(level)
        links.append(link)
    return _in_order(levels, links, len(rings) - 1)


def _leaves(xs: NDArray[np.int32], ys: NDArray[np.int32], rings: NDArray[np.int64]) -> _Level:
    count = -(-(np.diff(rings) - 1) // FAN)
    ring = np.repeat(np.arange(len(count), dtype=np.int64), count)
    first = rings[ring] + FAN * _within(ring)
    last = np.minimum(first + FAN, rings[ring + 1] - 1)
    sides = [side(side.reduceat(c, first), c[last]) for side, c in zip(_SIDES, (xs, ys, xs, ys), strict=True)]
    return _Level(ring, np.column_stack(sides), np.column_stack([first, last]), np.ones(len(ring), np.int64))


def _within(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each row among those of its ring; the rows of a ring stand together."""
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    return np.arange(len(ring)) - np.repeat(starts, np.diff(starts, append=len(ring)))


def _taller(ring: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to a ring that has more than one."""
    taller: NDArray[np.bool_] = np.bincount(ring)[ring] > 1
    return taller


def _above(level: _Level, taller: NDArray[np.bool_]) -> tuple[_Level, NDArray[np.int64]]:
    """The runs over the rows of `taller`, and for each row of the level the run over it (-1: none)."""
    ring, boxes, ends, size = level.ring[taller], level.boxes[taller], level.ends[taller], level.size[taller]
    begins = _within(ring) % FAN == 0
    heads = np.flatnonzero(begins)
    sides = [side.reduceat(boxes[:, k], heads) for k, side in enumerate(_SIDES)]
    tails = np.append(heads[1:], len(ring)) - 1
    link = np.full(len(taller), -1)
    link[taller] = np.cumsum(begins) - 1
    new_ends = np.column_stack([ends[heads, 0], ends[tails, 1]])
    return _Level(ring[heads], np.column_stack(sides), new_ends, 1 + np.add.reduceat(size, heads)), link


def _in_order(levels: list[_Level], links: list[NDArray[np.int64]], n_rings: int) -> EdgeRuns:
    trees = np.zeros(n_rings + 1, np.int64)
    trees[1:] = np.cumsum(np.bincount(np.concatenate([level.ring for level in levels]), minlength=n_rings))
    boxes, runs = np.empty((trees[-1], 4), np.int32), np.empty((trees[-1], 3), np.int64)
    above = np.empty(0, np.int64)
    for level, link in zip(reversed(levels), [np.full(len(levels[-1].ring), -1), *reversed(links)], strict=True):
        row = trees[level.ring]  # of a ring's topmost run
        under = np.flatnonzero(link >= 0)
        before = np.cumsum(level.size[under]) - level.size[under]
        heads = np.flatnonzero(np.diff(link[under], prepend=-1))
        before -= np.repeat(before[heads], np.diff(heads, append=len(under)))
        row[under] = above[link[under]] + 1 + before
        boxes[row] = level.boxes
        runs[row] = np.column_stack([level.ends, row + level.size])
        above = row
    return EdgeRuns(boxes, runs, trees)
