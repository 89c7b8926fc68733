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
    KINDS,
    MASTS,
    Kind,
    confidence,
    kind_of,
    place_mark,
    symbols,
    tint_of,
    vicinity,
    widened,
)
from crime_match.evidence.drawing.tracks_map import visits_ends
from crime_match.evidence.drawing.way import CELL_MM, FEW, draw_runs, runs_of, thinned_symbols
from crime_match.evidence.drawing.wording import counted, length_text, more_text, numbers_text, spans_of
from crime_match.evidence.rows import WINDOW, FixRow

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
    content = [*_circles(scene, frame, points, near), *draw_runs(runs), *_vicinity(scene, frame)]
    mark, drawn = place_mark(x, y), _symbols(scene, points, inside, labels)
    content += [mark, *drawn] if len(inside) <= FEW else [*drawn, mark]
    labels.keep_free(x, y, 1.3)
    _name_circles(scene, frame, labels)
    n_bare = sum(
        len(group) for group, told, size, bold in _numbers(scene, _groups(scene, frame, points, near))
        if not labels.place(*points[group[0]], told, size, gap=0.4 if bold else 0.1, bold=bold)
    )  # fmt: skip
    notes = [*_unseen(scene, frame, points, near), *_thinned(scene, near, inside, n_bare)]
    return whole_map(scene, frame, base, content, labels.drawn, notes, _alt(scene, frame, near, n_bare))


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


def _vicinity(scene: Scene, frame: Frame) -> list[str]:
    x, y = frame.at(0.0, 0.0)
    drawn = [vicinity(x, y, scene.radius_m / frame.m_per_mm)]
    if scene.reach_m > scene.radius_m:
        drawn.append(widened(x, y, scene.reach_m / frame.m_per_mm))
    return drawn


def _name_circles(scene: Scene, frame: Frame, labels: Labels) -> None:
    x, y = frame.at(0.0, 0.0)
    labels.place(x, y + scene.radius_m / frame.m_per_mm, f"Vicinity of {length_text(scene.radius_m)}", SMALL_MM, bold=True)
    if scene.radius_m < scene.reach_m == _shown_m(scene):
        labels.place(x, y + scene.reach_m / frame.m_per_mm, f"Widened to {length_text(scene.reach_m)}", SMALL_MM, bold=True)


def _circles(scene: Scene, frame: Frame, points: Sequence[Point], near: Sequence[int]) -> list[str]:
    """The circle of each fix, the wide ones first, one where several are the same; those of masts only as lines, since they
    would tint the map."""
    looks: dict[tuple[Kind, bool], list[tuple[float, float, float]]] = {}
    for k in sorted(near, key=lambda k: (-scene.rows[k].radius_m, k)):
        row = scene.rows[k]
        looks.setdefault((kind_of(row), row.assumed_radius), []).append((*points[k], row.radius_m / frame.m_per_mm))
    unlike = {look: list(dict.fromkeys(circles)) for look, circles in looks.items()}
    tint = tint_of(sum(map(len, unlike.values())))
    return [
        confidence(circles, kind.colour, assumed=assumed, tint=0.0 if kind in MASTS else tint)
        for (kind, assumed), circles in unlike.items()
    ]


def _unseen(scene: Scene, frame: Frame, points: Sequence[Point], near: Sequence[int]) -> list[str]:
    """Which circles hold the whole frame, since nothing of them is seen, and what lies beyond it."""
    corners = [(x, y) for x in (frame.left, frame.right) for y in (frame.top, frame.bottom)]
    wide, beyond = [], []
    for k in near:
        if max(math.dist(points[k], corner) for corner in corners) <= scene.rows[k].radius_m / frame.m_per_mm:
            wide.append(scene.rows[k].number)
        elif not frame.holds(*points[k]):
            beyond.append(scene.rows[k].number)
    told = [
        f"Fix{'es' if len(numbers) > 1 else ''} {words}: {numbers_text(numbers)}"
        for numbers, words in (
            (wide, "with a circle that holds all of this map"),
            (beyond, "beyond this map, with a circle that meets the vicinity"),
        ) if numbers
    ]  # fmt: skip
    if scene.reach_m > _shown_m(scene):
        told.append(f"Beyond this map, too: the vicinity widened to {length_text(scene.reach_m)}.")
    return told


def _thinned(scene: Scene, near: Sequence[int], inside: Sequence[int], n_bare: int) -> list[str]:
    """What the map leaves out for want of room."""
    if not n_bare:
        return []
    n = sum(scene.rows[k].when == WINDOW for k in inside)
    return [f"For want of room {n_bare:,} of {n:,} fixes drawn here have no number. The table of positions has all."]


def _symbols(scene: Scene, points: Sequence[Point], inside: Sequence[int], labels: Labels) -> list[str]:
    """Every fix of the window; those before and after it thinned where they coincide."""
    kinds = [kind_of(scene.rows[k]) for k in inside]
    must = [scene.rows[k].when == WINDOW for k in inside]
    kept = thinned_symbols([points[k] for k in inside], [kind.name for kind in kinds], must)
    size = 1.0 if len(kept) <= FEW else 0.7
    for j in kept:
        labels.keep_free(*points[inside[j]], 0.6 * size)
    return [symbols(kind, [points[inside[j]] for j in kept if kinds[j] is kind], size) for kind in reversed(KINDS)]


def _groups(scene: Scene, frame: Frame, points: Sequence[Point], near: Sequence[int]) -> list[list[int]]:
    """The fixes near in the frame in time order, those together whose symbols cover each other."""
    groups: dict[tuple[Kind, int, int], list[int]] = {}
    for k in near:
        x, y = points[k]
        if frame.holds(x, y):
            cell = kind_of(scene.rows[k]), math.floor(x / CELL_MM), math.floor(y / CELL_MM)
            groups.setdefault(cell, []).append(k)
    return list(groups.values())


def _numbers(scene: Scene, groups: Iterable[list[int]]) -> Iterable[tuple[list[int], str, float, bool]]:
    """The numbers of fixes as in the table, with their labels where they place; ends of visits with their time, and first."""
    ends = {k for _, *pair in visits_ends(scene.rows) for k in pair}

    def rank(group: list[int]) -> tuple[int, int]:
        row = scene.rows[group[0]]
        return (0 if ends & set(group) else 1 if row.label else 2 if not row.has_weight else 3), group[0]

    for group in sorted(groups, key=rank):
        times = [scene.clock(scene.rows[k]) for k in group if k in ends]
        told = " ".join([_numbers_text([scene.rows[k] for k in group]), ", ".join(times[:1] + times[1:][-1:])]).strip()
        yield group, told, TEXT_MM if times else SMALL_MM, bool(scene.rows[group[0]].label)


def _numbers_text(rows: Sequence[FixRow], most: int = 3) -> str:
    """51 A1, or of several fixes in one point 21–101 A1–A81, 105 B1."""
    labels, spans = {row.number: row.label for row in rows}, spans_of([row.number for row in rows])
    told = []
    for one, two in spans[:most]:
        ends = [one] if one == two else [one, two]
        told.append(f"{'–'.join(map(str, ends))} {'–'.join(filter(None, (labels[end] for end in ends)))}".strip())
    return ", ".join(told) + more_text(spans[most:])


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
