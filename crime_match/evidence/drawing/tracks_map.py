"""The tracks map: the wearer's way over the padded window, where the place lies to it, and what was left out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import numpy as np

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import BaseMap
from crime_match.evidence.drawing.labels import Labels
from crime_match.evidence.drawing.map import FRAME_WIDTH, LEAST_M, LEFT, TOP, Scene, scale_text, scene_of, whole_map
from crime_match.evidence.drawing.plane import Frame, Point, frame_about
from crime_match.evidence.drawing.svg import INK, SMALL_MM, TEXT_MM, Drawing, group, line
from crime_match.evidence.drawing.symbols import (
    FLAGGED,
    KINDS,
    MAST,
    arrow,
    confidence,
    kind_of,
    place_mark,
    symbols,
    vicinity,
    widened,
)
from crime_match.evidence.drawing.way import CROWD, GAP_US, draw_runs, is_joined, runs_of, thinned_symbols
from crime_match.evidence.drawing.wording import counted, length_text
from crime_match.evidence.rows import WINDOW, FixRow, local_text, window_of

_HEIGHTS = (100.0, 165.0)
_APART_MM = 24.0
_MOST_POINTERS, _MOST_TOLD = 6, 60
_SEEN_MM = 1.5


def tracks_map(case: Case, base: BaseMap | None = None) -> Drawing:
    """The map of the whole window; where the wearer is far from the place, both are in it with the distance between."""
    scene = scene_of(case)
    frame = _frame(scene)
    points, labels = frame.points(scene.ground_m), Labels(frame)
    kept = _kept(scene, frame, points)
    for k in kept:
        labels.keep_free(*points[k], 0.45)
    labels.keep_free(*frame.at(0.0, 0.0), 2.6)
    runs = runs_of(scene.rows, points, frame)
    for run in runs:
        labels.avoid(run.points)
    labels.avoid_circle(*frame.at(0.0, 0.0), scene.radius_m / frame.m_per_mm)
    _name_place(scene, frame, labels)
    content = [*_masts(scene, frame, points), *draw_runs(runs), *_place(scene, frame)]
    content += [*_distance(scene, frame, points, labels), *_symbols(scene, points, kept)]
    content += _pointers(scene, frame, points, labels)
    for k, told in islice(_told(scene, frame, points), _MOST_TOLD):
        labels.place(*points[k], told, SMALL_MM, gap=0.3)
    return whole_map(scene, frame, base, content, labels.drawn, _alt(scene, frame))


def _frame(scene: Scene) -> Frame:
    """About the vicinity and all fixes of the window that carry weight; without any, those next to the window."""
    kept = [k for k, row in enumerate(scene.rows) if row.has_weight and row.when == WINDOW] or _beside(scene.rows)
    reach = scene.reach_m
    places = [(-reach, -reach), (reach, reach), *map(tuple, scene.ground_m[kept].tolist())]
    return frame_about(places, LEFT, TOP, FRAME_WIDTH, _HEIGHTS, max(5.0 * scene.radius_m, LEAST_M))


def _beside(rows: Sequence[FixRow]) -> list[int]:
    before = [k for k, row in enumerate(rows) if row.has_weight and row.when == "before"]
    after = [k for k, row in enumerate(rows) if row.has_weight and row.when == "after"]
    return before[-1:] + after[:1]


def _place(scene: Scene, frame: Frame) -> list[str]:
    """The vicinity where it can be drawn to scale, else the place alone."""
    x, y = frame.at(0.0, 0.0)
    drawn = [vicinity(x, y, scene.radius_m / frame.m_per_mm)] if scene.radius_m >= _SEEN_MM * frame.m_per_mm else []
    if scene.reach_m > scene.radius_m and scene.reach_m >= _SEEN_MM * frame.m_per_mm:
        drawn.append(widened(x, y, scene.reach_m / frame.m_per_mm))
    return [*drawn, place_mark(x, y)]


def _name_place(scene: Scene, frame: Frame, labels: Labels) -> None:
    r, told = scene.radius_m / frame.m_per_mm, f"vicinity of {length_text(scene.radius_m)}"
    told = f"Place and {told}" if r >= _SEEN_MM else f"Place; its {told} is too small to draw"
    x, y = frame.at(0.0, 0.0)
    for east, down in ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)):
        if labels.place(x + r * east, y + r * down, told, SMALL_MM, gap=max(0.0, 1.6 - r), bold=True):
            return


def _masts(scene: Scene, frame: Frame, points: Sequence[Point]) -> list[str]:
    """The circles of mast fixes of the window: they are told apart from the way."""
    shown = [
        (scene.rows[k].assumed_radius, (x, y, scene.rows[k].radius_m / frame.m_per_mm))
        for k, (x, y) in enumerate(points) if kind_of(scene.rows[k]) is MAST and scene.rows[k].when == WINDOW
    ]  # fmt: skip
    filled = len(shown) < 10
    return [
        confidence((circle for told, circle in shown if told == assumed), MAST.colour, assumed=assumed, filled=filled)
        for assumed in (False, True)
    ]


def _kept(scene: Scene, frame: Frame, points: Sequence[Point]) -> list[int]:
    """The fixes in the frame, thinned where symbols of a kind coincide, but none in the vicinity."""
    inside = [k for k, (x, y) in enumerate(points) if frame.holds(x, y)]
    apart_m = np.hypot(*scene.ground_m[inside].T).tolist()
    must = [apart <= scene.reach_m or bool(scene.rows[k].label) for k, apart in zip(inside, apart_m, strict=True)]
    kept = thinned_symbols([points[k] for k in inside], [kind_of(scene.rows[k]).name for k in inside], must)
    return [inside[j] for j in kept]


def _symbols(scene: Scene, points: Sequence[Point], kept: Sequence[int]) -> list[str]:
    """What matters most is drawn last."""
    size = 1.0 if len(kept) < CROWD else 0.75
    return [symbols(kind, [points[k] for k in kept if kind_of(scene.rows[k]) is kind], size) for kind in reversed(KINDS)]


def _distance(scene: Scene, frame: Frame, points: Sequence[Point], labels: Labels) -> list[str]:
    """Unless the wearer is placed: the line from the place to the nearest fix of the window, with its length."""
    near = nearest(scene)
    if near is None or scene.case.verdict == "placed" or (scene.rows[near].distance_m or 0.0) <= scene.radius_m:
        return []
    row, (x1, y1), (x2, y2) = scene.rows[near], frame.at(0.0, 0.0), points[near]
    told = f"{length_text(row.distance_m or 0.0)} to the nearest fix: {row.number}, {scene.clock(row)}"
    labels.place((x1 + x2) / 2.0, (y1 + y2) / 2.0, told, TEXT_MM, gap=0.6, bold=True)
    return [line(x1, y1, x2, y2, class_="distance", stroke=INK, stroke_width=0.3, stroke_dasharray="3 1 0.6 1")]


def nearest(scene: Scene) -> int | None:
    """The fix of the window with weight that is nearest to the place; the first of equals."""
    found = [(row.distance_m, k) for k, row in enumerate(scene.rows) if row.has_weight and row.distance_m is not None]
    return min(found)[1] if found else None


def _pointers(scene: Scene, frame: Frame, points: Sequence[Point], labels: Labels) -> list[str]:
    """Fixes of the window that were left out and lie beyond the frame: an arrow at its edge says where."""
    beyond = [k for k, row in enumerate(scene.rows) if row.when == WINDOW and not frame.holds(*points[k])]
    drawn = []
    for k in beyond[:_MOST_POINTERS]:
        x, y, east, down = _edge(frame, *points[k])
        drawn.append(arrow(x, y, east, down, FLAGGED.colour))
        labels.keep_free(x, y, 1.3)
        row = scene.rows[k]
        labels.place(
            x, y, f"{row.number} (left out), {length_text(row.distance_m or 0.0)} from the place", SMALL_MM, gap=1.2
        )
    if len(beyond) > _MOST_POINTERS:
        more = counted(len(beyond) - _MOST_POINTERS, "more fix", "more fixes")
        told = f"{more} left out beyond this map"
        labels.place(frame.left + frame.width / 2.0, frame.bottom - 4.0, told, SMALL_MM)
    return [group(drawn, class_="pointers")]


def _edge(frame: Frame, x: float, y: float) -> tuple[float, float, float, float]:
    """A point 2.5 mm inside the frame on the way from its middle to a point outside, and the direction."""
    middle_x, middle_y = frame.left + frame.width / 2.0, frame.top + frame.height / 2.0
    dx, dy = x - middle_x, y - middle_y
    part = min(
        (frame.width / 2.0 - 2.5) / abs(dx) if dx else math.inf, (frame.height / 2.0 - 2.5) / abs(dy) if dy else math.inf
    )
    length = math.hypot(dx, dy)
    return middle_x + part * dx, middle_y + part * dy, dx / length, dy / length


def _told(scene: Scene, frame: Frame, points: Sequence[Point]) -> Iterable[tuple[int, str]]:
    """Which fixes get words, the most important first: visits' ends, the window's, masts, left out ones, gaps, and times
    along the way."""
    rows, named = scene.rows, set()
    shown = [k for k, row in enumerate(rows) if row.when == WINDOW and frame.holds(*points[k])]
    joined = [k for k in shown if is_joined(rows[k])]

    def once(k: int, told: str) -> Iterable[tuple[int, str]]:
        if k not in named:
            named.add(k)
            yield k, told

    for k in [] if shown else _beside(rows):
        yield from once(k, f"{rows[k].when} the window, {scene.clock(rows[k])}")
    for letter, first, last in visits_ends(rows):
        yield from once(first, f"{letter} in {scene.clock(rows[first])}")
        yield from once(last, f"{letter} out {scene.clock(rows[last])}")
    for k, word in zip(joined[:1] + joined[-1:], ("first", "last"), strict=False):
        yield from once(k, f"{word} {scene.clock(rows[k])}")
    for k in shown:
        if not is_joined(rows[k]):
            word = "left out" if not rows[k].has_weight else "mast"
            yield from once(k, f"{rows[k].number} {word}, {scene.clock(rows[k])}")
    for one, two in pairwise(joined):
        if rows[two].time_us - rows[one].time_us > GAP_US:
            yield from once(one, scene.clock(rows[one]))
            yield from once(two, scene.clock(rows[two]))
    since = _APART_MM / 2.0
    for one, two in pairwise(joined):
        since += math.dist(points[one], points[two])
        if since >= _APART_MM:
            since = 0.0
            yield from once(two, scene.clock(rows[two]))


def visits_ends(rows: Sequence[FixRow]) -> list[tuple[str, int, int]]:
    """Each visit's letter with its first and last fix, by the labels of the fixes."""
    ends: dict[str, tuple[int, int]] = {}
    for k, row in enumerate(rows):
        if row.label:
            letter = row.label.rstrip("0123456789")
            ends[letter] = (ends.get(letter, (k, k))[0], k)
    return [(letter, *pair) for letter, pair in ends.items()]


def _alt(scene: Scene, frame: Frame) -> str:
    start_us, end_us = window_of(scene.case)
    rows = [row for row in scene.rows if row.when == WINDOW]
    n_placing = sum(bool(row.label) for row in rows)
    near = nearest(scene)
    far = "no fix of the window carries weight" if near is None else (
        f"{n_placing} of them placing the wearer in the vicinity" if n_placing
        else f"the nearest {length_text(scene.rows[near].distance_m or 0.0)} from the place"
    )  # fmt: skip
    zone = scene.case.timezone
    span = f"{local_text(start_us, zone)} to {local_text(end_us, zone)}"
    fixes = counted(len(rows), "fix", "fixes")
    return f"Map, north up, scale {scale_text(frame)}, of the wearer's way from {span}: {fixes}, {far}."
