"""A packed R-tree of boxes in flat arrays, for trails: which boxes does any fix of a trail come near to, each told once.

Leutenegger, Lopez and Edgington 1997, STR: leaves sorted into slices by longitude, in a slice by latitude. 16 neighbours of
one level make a box of the next; the levels follow each other in one array, so a child's place is a shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel

_FAN_BITS = 4
_RUN = 16
"""Fixes that follow each other are asked as one box first."""
_TURN = 3.6e9
_LEAST_PENDING = 64


@kernel
def near_boxes(
    first_trail: int, trail_starts: Any, x: Any, y: Any, dx: Any, dy: Any, boxes: Any, levels: Any, stack: Any, seen: Any,
    starts: Any, found: Any, n: int,
) -> tuple[int, int]:  # fmt: skip
    """Leaves that the boxes x +- dx, y +- dy of each trail's fixes meet, under any longitude, each once, to `found`.

    boxes (n_boxes, 4): all levels, leaves first, level k from levels[k] on; seen (n_leaves,) holds no trail's number yet.
    Returns the first trail that was not done, as found could lack room for it, and how many are found.
    """
    top = len(levels) - 2
    n_leaves = levels[1]
    for trail in range(first_trail, len(trail_starts) - 1):
        if n + n_leaves > len(found):
            return trail, n
        for run in range(trail_starts[trail], trail_starts[trail + 1], _RUN):
            stop = min(run + _RUN, trail_starts[trail + 1])
            west, south, east, north = np.inf, np.inf, -np.inf, -np.inf
            for i in range(run, stop):
                west, east = min(west, x[i] - dx[i]), max(east, x[i] + dx[i])
                south, north = min(south, y[i] - dy[i]), max(north, y[i] + dy[i])
            for turn in range(-1, 2):
                shift = turn * _TURN
                stack[0], depth = levels[top], 1
                level = top
                while depth > 0:
                    depth -= 1
                    k = stack[depth]
                    b = boxes[k]
                    if b[0] > east + shift or b[2] < west + shift or b[1] > north or b[3] < south:
                        continue
                    if k >= n_leaves:
                        level = top
                        while k < levels[level]:
                            level -= 1
                        child = levels[level - 1] + ((k - levels[level]) << _FAN_BITS)
                        for c in range(child, min(child + (1 << _FAN_BITS), levels[level])):
                            stack[depth] = c
                            depth += 1
                        continue
                    if seen[k] == trail:
                        continue
                    for i in range(run, stop):
                        at = x[i] + shift
                        if b[0] <= at + dx[i] and b[2] >= at - dx[i] and b[1] <= y[i] + dy[i] and b[3] >= y[i] - dy[i]:
                            seen[k] = trail
                            found[n] = k
                            n += 1
                            break
        starts[trail + 1] = n
    return len(trail_starts) - 1, n


class _Packed(NamedTuple):
    """One compiled tree: all levels' boxes, where each begins (and the last ends), and the rows of the leaves."""

    boxes: NDArray[np.float64]
    levels: NDArray[np.int64]
    rows: NDArray[np.int64]


class BoxTree:
    """Boxes [1e-7 degree: west, south, east, north] by row; edits wait in a small tree until they are worth a new large one."""

    def __init__(self, boxes: NDArray[Any], rows: Sequence[int]) -> None:
        self._boxes: dict[int, NDArray[np.float64]] = {
            int(row): np.asarray(box, np.float64) for row, box in zip(rows, boxes, strict=True)
        }
        self._pending: set[int] = set()
        self._main, self._small = _pack(self._boxes), _pack({})

    def put(self, row: int, box: Sequence[float]) -> None:
        """Add a box, or change it."""
        self._boxes[row] = np.array(box, np.float64)
        self._edited(row)

    def remove(self, row: int) -> None:
        """Take a box out; KeyError where there is none."""
        del self._boxes[row]
        self._edited(row)

    def near(
        self, trail_starts: NDArray[np.int64], x: NDArray[np.int32], y: NDArray[np.int32], dx: NDArray[np.float64],
        dy: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
        """Rows of the boxes that any fix of each trail comes near to, ascending: trail k has rows[starts[k]:starts[k + 1]].

        Fixes x, y [1e-7 degree] with a reach of dx, dy to either side, all (n,); trail k has trail_starts[k]:[k + 1] of them.
        """
        trails, rows = _near(self._main, trail_starts, x, y, dx, dy)
        if self._pending:
            kept = ~np.isin(rows, list(self._pending))
            more = _near(self._small, trail_starts, x, y, dx, dy)
            trails, rows = np.concatenate([trails[kept], more[0]]), np.concatenate([rows[kept], more[1]])
        order = np.lexsort((rows, trails))
        return np.searchsorted(trails[order], np.arange(len(trail_starts))), rows[order]

    def _edited(self, row: int) -> None:
        self._pending.add(row)
        if len(self._pending) > _LEAST_PENDING + len(self._boxes) // 16:
            self._main, self._pending = _pack(self._boxes), set()
        self._small = _pack({row: self._boxes[row] for row in self._pending if row in self._boxes})


def _pack(boxes: Mapping[int, NDArray[np.float64]]) -> _Packed:
    rows, level = np.array(list(boxes), np.int64), np.array(list(boxes.values()), np.float64).reshape(-1, 4)
    n_slices = max(1, round((len(rows) / (1 << _FAN_BITS)) ** 0.5))
    rank = np.argsort(np.argsort(level[:, 0] + level[:, 2], kind="stable"), kind="stable")
    order = np.lexsort((level[:, 1] + level[:, 3], rank * n_slices // max(1, len(rows))))
    levels = [level[order]]
    while len(levels[-1]) > 1:
        first = np.arange(0, len(levels[-1]), 1 << _FAN_BITS)
        low, high = np.minimum.reduceat(levels[-1][:, :2], first), np.maximum.reduceat(levels[-1][:, 2:], first)
        levels.append(np.column_stack([low, high]))
    return _Packed(np.concatenate(levels), np.cumsum([0, *(len(part) for part in levels)]), rows[order])


def _near(tree: _Packed, trail_starts: NDArray[np.int64], *columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    n_trails, n_leaves = len(trail_starts) - 1, len(tree.rows)
    if not n_leaves:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    starts, found = np.zeros(n_trails + 1, np.int64), np.empty(4 * n_leaves + 4096, np.int64)
    stack, seen = np.empty(len(tree.levels) << _FAN_BITS, np.int64), np.full(n_leaves, -1, np.int64)
    done = n = 0
    run: Any = near_boxes  # its arguments come from several tuples: too much for a type checker
    while done < n_trails:
        done, n = run(done, trail_starts, *columns, tree.boxes, tree.levels, stack, seen, starts, found, n)
        if done < n_trails:
            found = np.concatenate([found, np.empty_like(found)])
    return np.repeat(np.arange(n_trails), np.diff(starts)), tree.rows[found[:n]]
