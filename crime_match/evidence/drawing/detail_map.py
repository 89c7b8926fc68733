"""The detail map: the vicinity, and every fix of the window near it with its circle and its number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import BaseMap
from crime_match.evidence.drawing.labels import Labels
from crime_match.evidence.drawing.map import FRAME_WIDTH, LEAST_M, LEFT, TOP, Scene, scale_text, scene_of, whole_map
from crime_match.evidence.drawing.plane import Frame, Point, frame_about
from crime_match.evidence.drawing.svg import SMALL_MM, TEXT_MM, Drawing
from crime_match.evidence.drawing.symbols import (
    FLAGGED,
    KINDS,
    MAST,
    PLACING,
    Kind,
    confidence,
    kind_of,
    place_mark,
    symbols,
    vicinity,
    widened,
)
from crime_match.evidence.drawing.tracks_map import visits_ends
from crime_match.evidence.drawing.way import draw_runs, runs_of, thinned_symbols
from crime_match.evidence.drawing.wording import counted, length_text
from crime_match.evidence.rows import WINDOW

_HEIGHT = 150.0
_MARGIN = 1.35
"""So many times its radius is shown about the vicinity."""


def detail_map(case: Case, base: BaseMap | None = None) -> Drawing | None:
    """The map of the vicinity; None where no fix of the window lies in its frame nor reaches the vicinity with its circle."""
    scene = scene_of(case)
    frame = _frame(scene)
    points = frame.points(scene.ground_m)
    near = _near(scene, frame, points)
    if not near:
        return None
    inside = [k for k, (x, y) in enumerate(points) if frame.holds(x, y)]
    labels, (x, y) = Labels(frame), frame.at(0.0, 0.0)
    runs = runs_of(scene.rows, points, frame)
    for run in runs:
        labels.avoid(run.points)
    labels.avoid_circle(x, y, scene.radius_m / frame.m_per_mm)
    content = [*_circles(scene, frame, points, near), *draw_runs(runs), *_place(scene, frame)]
    content += _symbols(scene, points, inside, labels)
    labels.keep_free(x, y, 1.3)
    _tell_unseen(scene, frame, points, near, labels)
    r = scene.radius_m / frame.m_per_mm
    labels.place(x, y + r, f"Vicinity of {length_text(scene.radius_m)}", SMALL_MM, bold=True)
    n_unnumbered = sum(
        not labels.place(*points[k], told, size, bold=bold)
        for k, told, size, bold in _numbers(scene, near)
        if frame.holds(*points[k])
    )
    return whole_map(scene, frame, base, content, labels.drawn, _alt(scene, frame, near, n_unnumbered))


def _shown_m(scene: Scene) -> float:
    """The radius of the widest circle that the map is about: of the widened vicinity where that is not much wider."""
    return scene.reach_m if scene.reach_m <= 2.5 * scene.radius_m else scene.radius_m


def _frame(scene: Scene) -> Frame:
    half_m = _MARGIN * _shown_m(scene) / 1.16
    return frame_about([(-half_m, -half_m), (half_m, half_m)], LEFT, TOP, FRAME_WIDTH, (_HEIGHT, _HEIGHT), LEAST_M)


def _near(scene: Scene, frame: Frame, points: Sequence[Point]) -> list[int]:
    """The fixes of the window in the frame, and those beyond it with a circle that meets the vicinity."""
    apart_m = np.hypot(*scene.ground_m.T)
    return [
        k for k, row in enumerate(scene.rows)
        if row.when == WINDOW and (frame.holds(*points[k]) or apart_m[k] <= row.radius_m + _shown_m(scene))
    ]  # fmt: skip


def _place(scene: Scene, frame: Frame) -> list[str]:
    x, y = frame.at(0.0, 0.0)
    drawn = [vicinity(x, y, scene.radius_m / frame.m_per_mm)]
    if scene.reach_m > scene.radius_m:
        drawn.append(widened(x, y, scene.reach_m / frame.m_per_mm))
    return [*drawn, place_mark(x, y)]


def _circles(scene: Scene, frame: Frame, points: Sequence[Point], near: Sequence[int]) -> list[str]:
    """The circle of each fix, the wide ones first; those of masts only as lines, since they would tint the map."""
    looks: dict[tuple[Kind, bool], list[tuple[float, float, float]]] = {}
    for k in sorted(near, key=lambda k: (-scene.rows[k].radius_m, k)):
        row = scene.rows[k]
        looks.setdefault((kind_of(row), row.assumed_radius), []).append((*points[k], row.radius_m / frame.m_per_mm))
    return [
        confidence(circles, kind.colour, assumed=assumed, filled=kind is not MAST and len(near) < 200)
        for (kind, assumed), circles in looks.items()
    ]


def _tell_unseen(scene: Scene, frame: Frame, points: Sequence[Point], near: Sequence[int], labels: Labels) -> None:
    """Say which circles hold the whole frame, since nothing of them is seen, and which fixes lie beyond it."""
    corners = [(x, y) for x in (frame.left, frame.right) for y in (frame.top, frame.bottom)]
    wide, beyond = [], []
    for k in near:
        if max(math.dist(points[k], corner) for corner in corners) <= scene.rows[k].radius_m / frame.m_per_mm:
            wide.append(scene.rows[k].number)
        elif not frame.holds(*points[k]):
            beyond.append(scene.rows[k].number)
    for numbers, told in (
        (beyond, "beyond this map, with a circle that meets the vicinity"),
        (wide, "with a circle that holds all of this map"),
    ):
        if numbers:
            names = ", ".join(map(str, numbers[:8])) + (" and others" if len(numbers) > 8 else "")
            words = f"Fix{'es' if len(numbers) > 1 else ''} {told}: {names}"
            labels.place(frame.left + 1.0, frame.bottom - 3.0, words, SMALL_MM, far=True)


def _symbols(scene: Scene, points: Sequence[Point], inside: Sequence[int], labels: Labels) -> list[str]:
    """Every fix of the window; those before and after it thinned where they coincide."""
    kinds = [kind_of(scene.rows[k]) for k in inside]
    must = [scene.rows[k].when == WINDOW for k in inside]
    kept = thinned_symbols([points[k] for k in inside], [kind.name for kind in kinds], must)
    size = 1.0 if len(kept) < 400 else 0.7
    for j in kept:
        labels.keep_free(*points[inside[j]], 0.6 * size)
    return [symbols(kind, [points[inside[j]] for j in kept if kinds[j] is kind], size) for kind in reversed(KINDS)]


def _numbers(scene: Scene, near: Sequence[int]) -> Iterable[tuple[int, str, float, bool]]:
    """The number of each fix as in the table, with its label where it places; ends of visits with their time, and first."""
    rows = scene.rows
    ends = list(dict.fromkeys(k for _, first, last in visits_ends(rows) for k in (first, last)))
    for k in ends:
        yield k, f"{rows[k].number} {rows[k].label} {scene.clock(rows[k])}", TEXT_MM, True
    order = {PLACING: 0, FLAGGED: 1}
    rest = sorted((k for k in near if k not in set(ends)), key=lambda k: (order.get(kind_of(rows[k]), 2), k))
    for k in rest:
        bold = bool(rows[k].label)
        yield k, f"{rows[k].number} {rows[k].label}".strip(), SMALL_MM, bold


def _alt(scene: Scene, frame: Frame, near: Sequence[int], n_unnumbered: int) -> str:
    rows = [scene.rows[k] for k in near]
    n_visits = len(visits_ends(rows))
    n_placing, n_flagged = sum(bool(row.label) for row in rows), sum(not row.has_weight for row in rows)
    visits = counted(n_visits, "visit")
    placing = (
        f"{n_placing} of them placing the wearer there in {visits}" if n_placing else "none of them placing the wearer"
    )
    told = [f"{counted(len(rows), 'fix', 'fixes')} in or near it", placing]
    told += [f"{n_flagged} left out"] if n_flagged else []
    told += [f"{n_unnumbered} drawn without a number for want of room"] if n_unnumbered else []
    radius = length_text(scene.radius_m)
    return f"Map, north up, scale {scale_text(frame)}, of the vicinity of {radius} about the place: {', '.join(told)}."
