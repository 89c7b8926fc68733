"""The way: the fixes that are joined, in time order, as lines of the paper; what is too small to see is thinned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crime_match.evidence.drawing.plane import Frame, Point
from crime_match.evidence.drawing.svg import element, path
from crime_match.evidence.drawing.symbols import BLUE, GREY, arrow
from crime_match.evidence.rows import WINDOW, FixRow

GAP_US = 300_000_000
"""Between fixes further apart than this the way is unknown; the ministry's users are told the same."""
SEEN_MM = 0.15
"""Points of a line closer than this to the one before are not drawn."""
CELL_MM = 0.3
"""Of symbols of one kind in a square of this size the first is drawn."""
CROWD, FEW = 1_000, 400
"""Of more points than the first number the lines are drawn paler, so that the fixes stand out; no more fixes than the second
are never thinned, and may cover the mark of the place."""
_ARROW_MM, _MOST_ARROWS = 16.0, 100

JOINED, AROUND_WAY, GAP = "way", "way-around", "way-gap"
_LOOK = {
    JOINED: {"stroke": BLUE, "stroke_width": 0.45},
    AROUND_WAY: {"stroke": GREY, "stroke_width": 0.25, "stroke_dasharray": "1.5 0.9"},
    GAP: {"stroke": "#000000", "stroke_width": 0.4, "stroke_dasharray": "0.01 1.3"},
}


class Run(NamedTuple):
    """A line of one look through points of the paper."""

    look: str
    points: list[Point]


def is_joined(row: FixRow) -> bool:
    """Whether the way leads through a fix: it carries weight and is not of masts, which tell no direction."""
    return row.has_weight and row.source != "lbs"


def runs_of(rows: Sequence[FixRow], points: Sequence[Point], frame: Frame) -> list[Run]:
    """The lines of the way: rows in time order with their points of the paper (n, 2), cut at the frame."""
    joined = [k for k, row in enumerate(rows) if is_joined(row)]
    runs: list[Run] = []
    for one, two in pairwise(joined):
        ends = _cut(points[one], points[two], frame)
        if ends is None:
            continue
        look = _look(rows[one], rows[two])
        if not runs or runs[-1].look != look or look == GAP or runs[-1].points[-1] != ends[0]:
            runs.append(Run(look, [ends[0]]))
        runs[-1].points.append(ends[1])
    return [Run(run.look, thinned_line(run.points)) for run in runs]


def _look(one: FixRow, two: FixRow) -> str:
    if two.time_us - one.time_us > GAP_US:
        return GAP
    return AROUND_WAY if one.when == two.when != WINDOW else JOINED


def draw_runs(runs: Sequence[Run]) -> list[str]:
    """Lines first, then the heads of arrows on those of the window; dotted where the way is unknown."""
    caps = {"fill": "none", "stroke_linejoin": "round", "stroke_linecap": "round"}
    crowded = {"stroke_opacity": 0.4} if sum(len(run.points) for run in runs) > CROWD else {}
    drawn = []
    for look in (AROUND_WAY, JOINED, GAP):
        lines = "".join(path(run.points) for run in runs if run.look == look)
        drawn += [element("path", class_=look, d=lines, **caps, **_LOOK[look], **crowded)] if lines else []
    shown = [run for run in runs if run.look != AROUND_WAY]
    length = sum(math.dist(*ends) for run in shown for ends in pairwise(run.points))
    apart = max(_ARROW_MM, length / _MOST_ARROWS)
    heads = [arrow(*head, str(_LOOK[run.look]["stroke"])) for run in shown for head in _heads(run, apart)]
    return drawn + heads


def _heads(run: Run, apart: float) -> list[tuple[float, float, float, float]]:
    """Where arrows stand on a line, and their direction: so far apart, in the middle of a piece long enough to carry one."""
    found, since = [], apart / 2.0
    for one, two in pairwise(run.points):
        length = math.dist(one, two)
        since += length
        if length >= 3.0 and since >= apart:
            found += _spread(one, two, length)
            since = 0.0
    return found


def _spread(one: Point, two: Point, length: float) -> list[tuple[float, float, float, float]]:
    n = max(1, int(length / (2.0 * _ARROW_MM)))
    east, down = (two[0] - one[0]) / length, (two[1] - one[1]) / length
    parts = [(k + 0.5) / n * length for k in range(n)]
    return [(one[0] + part * east, one[1] + part * down, east, down) for part in parts]


def thinned_line(points: Sequence[Point]) -> list[Point]:
    """A line without the points nearer than SEEN_MM to the one drawn before; its ends stay."""
    kept = [points[0]]
    for point in points[1:-1]:
        if math.dist(point, kept[-1]) >= SEEN_MM:
            kept.append(point)
    return [*kept, points[-1]] if len(points) > 1 else kept


def thinned_symbols(points: Sequence[Point], kinds: Sequence[str], must: Sequence[bool]) -> list[int]:
    """Which symbols (n, 2) to draw: those that must, and of the others one of each kind in a square of CELL_MM."""
    seen: set[tuple[str, int, int]] = set()
    kept = []
    for k, (kind, (x, y)) in enumerate(zip(kinds, points, strict=True)):
        cell = kind, math.floor(x / CELL_MM), math.floor(y / CELL_MM)
        if must[k] or cell not in seen:
            kept.append(k)
            seen.add(cell)
    return kept


def _cut(one: Point, two: Point, frame: Frame) -> tuple[Point, Point] | None:
    """The part of a line in the frame (Liang and Barsky, 1984); None where there is none."""
    dx, dy = two[0] - one[0], two[1] - one[1]
    enters, leaves = 0.0, 1.0
    for step, room in (
        (-dx, one[0] - frame.left), (dx, frame.right - one[0]), (-dy, one[1] - frame.top), (dy, frame.bottom - one[1]),
    ):  # fmt: skip
        if step == 0.0:
            if room < 0.0:
                return None
        elif step < 0.0:
            enters = max(enters, room / step)
        else:
            leaves = min(leaves, room / step)
    if enters > leaves:
        return None
    start = one if enters == 0.0 else (one[0] + enters * dx, one[1] + enters * dy)
    end = two if leaves == 1.0 else (one[0] + leaves * dx, one[1] + leaves * dy)
    return start, end
