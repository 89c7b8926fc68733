"""Where labels go: each beside its point, over nothing that is drawn there and over no other label, or left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.evidence.drawing.plane import Frame, Point
from crime_match.evidence.drawing.svg import FAINT, line, text, text_width_mm

_CELL_MM = 0.25
_PATIENCE, _END = 60, 600
"""After so many labels without room the others are tried next to their points alone, and then no more: the map is full."""
_AWAY_MM, _FAR_MM = (1.0, 3.4, 6.5, 10.0), (14.0, 19.0, 25.0)
"""How far a label may lie from its point, and one that must be seen; from the second on a line leads to it."""
_BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}
_DIRECTIONS = tuple(
    (math.cos(k * math.pi / 8.0), -math.sin(k * math.pi / 8.0)) for k in (0, 1, 15, 8, 7, 9, 4, 12, 2, 14, 6, 10)
)


class Box(NamedTuple):
    """A rectangle of the paper [mm]."""

    left: float
    top: float
    right: float
    bottom: float


class Labels:
    """The labels of one map: those asked for first have the choice."""

    def __init__(self, frame: Frame) -> None:
        self.drawn: list[str] = []
        self.boxes: list[Box] = []
        self.n_left_out = 0
        self._frame = frame
        self._lines = np.zeros((_cells(frame.height) + 2, _cells(frame.width) + 2), np.bool_)
        self._taken = np.zeros((_cells(frame.height) + 2, _cells(frame.width) + 2), np.bool_)

    def keep_free(self, x: float, y: float, half: float) -> None:
        """No label may cover this square."""
        self.keep_box(x - half, y - half, x + half, y + half)

    def keep_box(self, left: float, top: float, right: float, bottom: float) -> None:
        """No label may cover this rectangle."""
        self._take(Box(left, top, right, bottom))

    def avoid(self, points: Sequence[Point]) -> None:
        """Labels cover this line only where there is no other room."""
        x, y = np.array(points, np.float64).T
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        steps = np.arange(0.0, along[-1] + 2.0 * _CELL_MM, 2.0 * _CELL_MM)
        down = (np.interp(steps, along, y) - self._frame.top) / _CELL_MM
        across = (np.interp(steps, along, x) - self._frame.left) / _CELL_MM
        n_down, n_across = self._lines.shape
        held = (down >= 0.0) & (down < n_down) & (across >= 0.0) & (across < n_across)
        self._lines[down[held].astype(np.int64), across[held].astype(np.int64)] = True

    def avoid_circle(self, x: float, y: float, r: float) -> None:
        """The same for a circle."""
        turns = [math.pi * k / 90.0 for k in range(181)]
        self.avoid([(x + r * math.cos(turn), y + r * math.sin(turn)) for turn in turns])

    def place(
        self, x: float, y: float, content: str, size: float, *, gap: float = 0.0, must: bool = False, bold: bool = False
    ) -> bool:
        """Draw a label near a point, `gap` mm further off than usual, much further where it must be seen; False where there is
        no room for it."""
        full = self.n_left_out >= _END and not must
        found = None if full else self._room(x, y, text_width_mm(content, size), 1.05 * size, gap, must)
        if found is None:
            self.n_left_out += 1
            return False
        box, near, anchor, is_far = found
        if is_far:
            self.drawn.append(line(x, y, *near, stroke=FAINT, stroke_width=0.15))
        self._take(box)
        self.boxes.append(box)
        at = near[0], (box.top + box.bottom) / 2.0
        self.drawn.append(text(*at, content, size, halo=True, text_anchor=anchor, font_weight="bold" if bold else None))
        return True

    def _room(
        self, x: float, y: float, width: float, height: float, gap: float, must: bool
    ) -> tuple[Box, Point, str, bool] | None:
        """The first free box, its point nearest to the fix, its anchor, whether a line must lead there: off the lines of the
        map where that is possible."""
        patient = must or self.n_left_out < _PATIENCE
        distances = (*_AWAY_MM, *_FAR_MM) if must else _AWAY_MM if patient else _AWAY_MM[:1]
        for taken in (self._taken | self._lines, self._taken) if patient else (self._taken,):
            for away in distances:
                for east, down in _DIRECTIONS:
                    near = x + (away + gap) * east, y + (away + gap) * down
                    anchor = "start" if east > 0.3 else "end" if east < -0.3 else "middle"
                    left, top = near[0] - _BEFORE[anchor] * width, near[1] + (down - 1.0) * height / 2.0
                    box = Box(left, top, left + width, top + height)
                    if self._is_free(box, taken):
                        return box, near, anchor, away != _AWAY_MM[0]
        return None

    def _is_free(self, box: Box, taken: NDArray[np.bool_]) -> bool:
        held = self._frame.holds(box.left, box.top, 0.4) and self._frame.holds(box.right, box.bottom, 0.4)
        return held and not taken[self._part(box)].any()

    def _take(self, box: Box) -> None:
        self._taken[self._part(box)] = True

    def _part(self, box: Box) -> tuple[slice, slice]:
        """The cells that a box touches."""
        left, top = self._frame.left, self._frame.top
        down = slice(max(_cells(box.top - top), 0), max(_cells(box.bottom - top) + 1, 0))
        return down, slice(max(_cells(box.left - left), 0), max(_cells(box.right - left) + 1, 0))


def _cells(length: float) -> int:
    return math.floor(length / _CELL_MM)
