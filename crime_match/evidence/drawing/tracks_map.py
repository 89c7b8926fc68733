"""The tracks map: the wearer's way over the padded window, where the place lies to it, and what was left out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import numpy as np

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import BaseMap, draw_base
from crime_match.evidence.drawing.inset import draw_inset, inset_of
from crime_match.evidence.drawing.labels import Labels
from crime_match.evidence.drawing.map import FRAME_WIDTH, LEAST_M, LEFT, TOP, Scene, scale_text, scene_of, whole_map
from crime_match.evidence.drawing.plane import Frame, Point, frame_about
from crime_match.evidence.drawing.svg import INK, SMALL_MM, TEXT_MM, Drawing, group, line
from crime_match.evidence.drawing.symbols import (
    FLAGGED,
    KINDS,
    MAST,
    MASTS,
    arrow,
    confidence,
    kind_of,
    place_mark,
    symbols,
    tint_of,
    vicinity,
    widened,
)
from crime_match.evidence.drawing.way import CROWD, FEW, GAP_US, draw_runs, is_joined, runs_of, thinned_symbols
from crime_match.evidence.drawing.wording import counted, length_text, numbers_text
from crime_match.evidence.rows import WINDOW, FixRow, local_text, window_of

_HEIGHTS = (100.0, 160.0)
_APART_MM, _MOST_TIMES = 24.0, 40
"""Times stand so far apart along the way, and further where it is long."""
_MOST_POINTERS, _MOST_TOLD = 6, 60
_SEEN_MM, _EDGE_MM = 1.5, 1.0
"""The least radius of a circle that is drawn; no symbol stands nearer to the edge."""


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
    far = _far(scene)
    if far is not None:
        labels.avoid([frame.at(0.0, 0.0), points[far]])
    inset = inset_of(scene, frame, points)
    if inset:
        labels.keep_box(inset.left - 0.5, inset.top - 5.0, inset.right + 0.5, inset.bottom + 0.5)
    _name_place(scene, frame, labels)
    around, *rest = _symbols(scene, points, kept)
    content = [*_masts(scene, frame, points), *draw_runs(runs), around, *_place(scene, frame)]
    mark = place_mark(*frame.at(0.0, 0.0))
    content += [*_distance(scene, frame, points, labels), *([mark, *rest] if len(kept) <= FEW else [*rest, mark])]
    content += _pointers(scene, frame, points, labels)
    if inset:
        content += _enlarged(scene, frame, inset, base)
    else:
        _tell(scene, frame, points, labels)
    return whole_map(scene, frame, base, content, labels.drawn, _notes(scene, frame, points, kept), _alt(scene, frame))


def _enlarged(scene: Scene, frame: Frame, inset: Frame, base: BaseMap | None) -> list[str]:
    """The inset with the same way, fixes and words."""
    points, labels = inset.points(scene.ground_m), Labels(inset)
    kept, runs = _kept(scene, inset, points), runs_of(scene.rows, points, inset)
    labels.keep_box(inset.left, inset.bottom - 3.0, inset.left + 24.0, inset.bottom)
    for k in kept:
        labels.keep_free(*points[k], 0.45)
    for run in runs:
        labels.avoid(run.points)
    _tell(scene, inset, points, labels)
    ground = draw_base(base, scene.plane, inset) if base else []
    content = [*ground, *_masts(scene, inset, points), *draw_runs(runs), *_symbols(scene, points, kept)]
    return draw_inset(frame, inset, content, labels.drawn)


def _tell(scene: Scene, frame: Frame, points: Sequence[Point], labels: Labels) -> None:
    for k, told, must in islice(_told(scene, frame, points), _MOST_TOLD):
        labels.place(*points[k], told, SMALL_MM, gap=0.3, must=must)


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
    return drawn


def _name_place(scene: Scene, frame: Frame, labels: Labels) -> None:
    r = scene.radius_m / frame.m_per_mm
    told = f"Place and vicinity of {length_text(scene.radius_m)}" if r >= _SEEN_MM else "Place of the crime"
    x, y = frame.at(0.0, 0.0)
    for east, down in ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)):
        if labels.place(x + r * east, y + r * down, told, SMALL_MM, gap=max(0.0, 1.6 - r), bold=True):
            return
    labels.place(x, y, told, SMALL_MM, gap=1.6, bold=True, must=True)


def _masts(scene: Scene, frame: Frame, points: Sequence[Point]) -> list[str]:
    """The circles of mast fixes of the window: they are told apart from the way."""
    shown = [
        (scene.rows[k].assumed_radius, (x, y, scene.rows[k].radius_m / frame.m_per_mm))
        for k, (x, y) in enumerate(points) if kind_of(scene.rows[k]) in MASTS and scene.rows[k].when == WINDOW
    ]  # fmt: skip
    circles = list(dict.fromkeys(shown))
    tint = tint_of(len(circles))
    return [
        confidence((circle for told, circle in circles if told == assumed), MAST.colour, assumed=assumed, tint=tint)
        for assumed in (False, True)
    ]


def _kept(scene: Scene, frame: Frame, points: Sequence[Point]) -> list[int]:
    """The fixes in the frame, thinned where symbols of a kind coincide, but none in the vicinity."""
    inside = [k for k, (x, y) in enumerate(points) if frame.holds(x, y, _EDGE_MM)]
    if len(inside) <= FEW:
        return inside
    apart_m = np.hypot(*scene.ground_m[inside].T).tolist()
    must = [apart <= scene.reach_m or bool(scene.rows[k].label) for k, apart in zip(inside, apart_m, strict=True)]
    kept = thinned_symbols([points[k] for k in inside], [kind_of(scene.rows[k]).name for k in inside], must)
    return [inside[j] for j in kept]


def _symbols(scene: Scene, points: Sequence[Point], kept: Sequence[int]) -> list[str]:
    """One text of each kind; first the fixes before and after the window, and what matters most last."""
    size = 1.0 if len(kept) < CROWD else 0.75
    return [symbols(kind, [points[k] for k in kept if kind_of(scene.rows[k]) is kind], size) for kind in reversed(KINDS)]


def _distance(scene: Scene, frame: Frame, points: Sequence[Point], labels: Labels) -> list[str]:
    """Unless the wearer is placed: the line from the place to the nearest fix of the window, with its length."""
    near = _far(scene)
    if near is None:
        return []
    row, (x1, y1), (x2, y2) = scene.rows[near], frame.at(0.0, 0.0), points[near]
    told = f"{length_text(row.distance_m or 0.0)} to the nearest fix: {row.number}, {scene.clock(row)}"
    for part, must in ((0.5, False), (0.3, False), (0.7, False), (0.5, True)):
        if labels.place(x1 + part * (x2 - x1), y1 + part * (y2 - y1), told, TEXT_MM, gap=0.6, bold=True, must=must):
            break
    return [line(x1, y1, x2, y2, class_="distance", stroke=INK, stroke_width=0.3, stroke_dasharray="3 1 0.6 1")]


def _far(scene: Scene) -> int | None:
    """The nearest fix where the distance to it is drawn: it lies beyond the vicinity, and the wearer is not placed."""
    near = nearest(scene)
    if near is None or scene.case.verdict == "placed" or (scene.rows[near].distance_m or 0.0) <= scene.radius_m:
        return None
    return near


def nearest(scene: Scene) -> int | None:
    """The fix of the window with weight that is nearest to the place; the first of equals."""
    found = [(row.distance_m, k) for k, row in enumerate(scene.rows) if row.has_weight and row.distance_m is not None]
    return min(found)[1] if found else None


def _pointers(scene: Scene, frame: Frame, points: Sequence[Point], labels: Labels) -> list[str]:
    """Fixes of the window that were left out and lie beyond the frame: an arrow at its edge says where."""
    beyond = [k for k, row in enumerate(scene.rows) if row.when == WINDOW and not frame.holds(*points[k], _EDGE_MM)]
    drawn = []
    for k in beyond[:_MOST_POINTERS]:
        x, y, east, down = _edge(frame, *points[k])
        drawn.append(arrow(x, y, east, down, FLAGGED.colour))
        labels.keep_free(x, y, 1.3)
        apart = length_text(math.hypot(*scene.ground_m[k].tolist()))
        labels.place(x, y, f"{scene.rows[k].number} (left out), {apart} from the place", SMALL_MM, gap=1.2)
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


def _notes(scene: Scene, frame: Frame, points: Sequence[Point], kept: Sequence[int]) -> list[str]:
    """What the map does not show, and where it is told."""
    inside = [k for k, row in enumerate(scene.rows) if row.when == WINDOW and frame.holds(*points[k], _EDGE_MM)]
    beyond = [
        row.number for k, row in enumerate(scene.rows) if row.when == WINDOW and not frame.holds(*points[k], _EDGE_MM)
    ]
    drawn, told = len(set(inside) & set(kept)), []
    if not any(row.when == WINDOW and row.has_weight for row in scene.rows):
        told.append("No fix of the window carries weight: the map says nothing of where the wearer was in it.")
    if drawn < len(inside):
        told.append(
            f"Thinned: {drawn:,} symbols stand for {len(inside):,} fixes of the window, where they would cover each other. "
            "The table has all."
        )
    if scene.radius_m < _SEEN_MM * frame.m_per_mm:
        told.append(
            f"The vicinity of {length_text(scene.radius_m)} about the place is too small to be drawn at this scale."
        )
    if len(beyond) > _MOST_POINTERS:
        told.append(f"Left out and beyond this map: {numbers_text(beyond)}.")
    return told


def _told(scene: Scene, frame: Frame, points: Sequence[Point]) -> Iterable[tuple[int, str, bool]]:
    """Which fixes get words, the most important first, and whether these must be seen: visits' ends, the window's, masts, left
    out ones, the longest gaps, and times along the way."""
    rows, named = scene.rows, set()
    shown = [k for k, row in enumerate(rows) if row.when == WINDOW and frame.holds(*points[k], _EDGE_MM)]
    joined = [k for k in shown if is_joined(rows[k])]

    def once(k: int, told: str, *, must: bool = False) -> Iterable[tuple[int, str, bool]]:
        if k not in named:
            named.add(k)
            yield k, told, must

    for k in [] if shown else _beside(rows):
        yield from once(k, f"{rows[k].when} the window, {scene.clock(rows[k])}")
    for k, words in _names(rows, joined).items():
        yield from once(k, f"{', '.join(words)} {scene.clock(rows[k])}", must=k in (*joined[:1], *joined[-1:]))
    for k in _spread([k for k in shown if not is_joined(rows[k])], points):
        word = "left out" if not rows[k].has_weight else "mast"
        yield from once(k, f"{rows[k].number} {word}, {scene.clock(rows[k])}")
    gaps = [(rows[two].time_us - rows[one].time_us, one, two) for one, two in pairwise(joined)]
    for length_us, one, two in sorted(gaps, key=lambda gap: (-gap[0], gap[1])):
        if length_us > GAP_US:
            yield from once(one, scene.clock(rows[one]))
            yield from once(two, scene.clock(rows[two]))
    lengths = [math.dist(points[one], points[two]) for one, two in pairwise(joined)]
    apart = max(_APART_MM, sum(lengths) / _MOST_TIMES)
    since = apart / 2.0
    for length, k in zip(lengths, joined[1:], strict=True):
        since += length
        if since >= apart:
            since = 0.0
            yield from once(k, scene.clock(rows[k]))


def _names(rows: Sequence[FixRow], joined: Sequence[int]) -> dict[int, list[str]]:
    """What the first and last fix of the window, and of each visit, are called; in this order."""
    names: dict[int, list[str]] = {}
    for k, word in zip((*joined[:1], *joined[-1:]), ("first", "last"), strict=False):
        names.setdefault(k, []).append(word)
    for letter, first, last in visits_ends(rows):
        names.setdefault(first, []).append(f"{letter} in")
        names.setdefault(last, []).append(f"{letter} out")
    return names


def _spread(found: Sequence[int], points: Sequence[Point]) -> list[int]:
    """Of fixes that are not joined those that stand apart from each other, so that many do not hide the map with words."""
    kept: list[int] = []
    for k in found:
        if all(math.dist(points[k], points[j]) >= _APART_MM / 2.0 for j in kept[-_MOST_TOLD:]):
            kept.append(k)
    return kept


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
        else f"the nearest {length_text(scene.rows[near].distance_m or 0.0)} from the place, "
        f"with a circle of {length_text(scene.rows[near].radius_m)}"
    )  # fmt: skip
    zone = scene.case.timezone
    span = f"{local_text(start_us, zone)} to {local_text(end_us, zone)}"
    fixes = counted(len(rows), "fix", "fixes")
    return f"Map, north up, scale {scale_text(frame)}, of the wearer's way from {span}: {fixes}, {far}."
