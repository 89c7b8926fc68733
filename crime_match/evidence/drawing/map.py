"""What every map of a case has: the place, the fixes on the plane, the frame with its grid, scale bar, north and notes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import BaseMap, draw_base
from crime_match.evidence.drawing.graticule import graticule
from crime_match.evidence.drawing.plane import Floats, Frame, Plane, nice_step
from crime_match.evidence.drawing.svg import (
    INK,
    SMALL_MM,
    TEXT_MM,
    WIDTH_MM,
    Drawing,
    drawing,
    element,
    group,
    number,
    path,
    text,
    text_width_mm,
)
from crime_match.evidence.drawing.wording import day_text, length_text
from crime_match.evidence.rows import WINDOW, FixRow, fix_rows, local_text, window_of
from engine.times import DAY_US

LEFT, TOP, RIGHT, BELOW = 5.5, 4.5, 4.8, 16.0
"""Margins about the frame: numbers of the grid, and below also scale and north, then notes; nothing of that covers a fix."""
FRAME_WIDTH = WIDTH_MM - LEFT - RIGHT
LEAST_M = 20.0
"""No map is less wide on the ground."""
_BAR_MM = 45.0
_NOTE_MM, _MOST_LINES = 3.2, 2


class Scene(NamedTuple):
    """A case as maps need it: rows in time order, metres east and north of the place (n, 2), radii of the vicinity; names of
    the local clock's zone over the window; whether these span less than a day, so that a time needs no date."""

    case: Case
    rows: list[FixRow]
    plane: Plane
    ground_m: Floats
    radius_m: float
    reach_m: float
    zones: list[str]
    one_day: bool

    def clock(self, row: FixRow) -> str:
        """The time of a fix as maps show it: to the second, zone below the map; with the day where it could be another."""
        told = local_text(row.time_us, self.case.timezone)
        zone = told[19:] if len(self.zones) > 1 else ""
        plain = self.one_day and row.when == WINDOW
        return (told[11:19] if plain else f"{day_text(told[:10])} {told[11:19]}") + zone


def scene_of(case: Case) -> Scene:
    """Put the fixes of a case on the plane."""
    asked, rows = case.match["parameters"], fix_rows(case)
    plane = Plane(asked["lat"], asked["lon"])
    east_m, north_m = plane.of([row.lat for row in rows], [row.lon for row in rows])
    radius_m, shown = asked["radius_m"], [row.time_us for row in rows if row.when == WINDOW]
    told = (local_text(time_us, case.timezone)[20:] for time_us in (window_of(case)[0], *shown, window_of(case)[1]))
    zones = list(dict.fromkeys(told))
    one_day = not shown or shown[-1] - shown[0] < DAY_US
    return Scene(
        case, rows, plane, np.column_stack([east_m, north_m]), radius_m, radius_m + asked["uncertainty_m"], zones, one_day
    )


def whole_map(
    scene: Scene, frame: Frame, base: BaseMap | None, content: Sequence[str], labels: Sequence[str],
    notes: Sequence[str], alt: str,
) -> Drawing:  # fmt: skip
    """The map: base, grid, content cut at the frame, labels, and around them what a reader needs to measure, and notes."""
    ground, grid = draw_base(base, scene.plane, frame) if base else [], graticule(scene.plane, frame)
    clip = element("clipPath", _rectangle(frame), id="frame")
    inside = group([*ground, *grid.lines, *content], clip_path="url(#frame)")
    edge = _rectangle(frame, fill="none", stroke=INK, stroke_width=0.35)
    told = _lines(scene, base, notes)
    parts = [
        element("defs", clip), inside, edge, *grid.ticks, group(labels, class_="labels"), scale_bar(frame),
        *_measures(frame, grid.is_national), north_arrow(frame.right - 4.0, frame.bottom + 9.2),
        *(text(frame.left, frame.bottom + BELOW + _NOTE_MM * k, words, SMALL_MM) for k, words in enumerate(told)),
    ]  # fmt: skip
    return drawing(parts, alt, round(frame.bottom + BELOW + _NOTE_MM * len(told), 2))


def _rectangle(frame: Frame, **look: object) -> str:
    return element("rect", x=frame.left, y=frame.top, width=frame.width, height=frame.height, **look)


def scale_bar(frame: Frame) -> str:
    """A bar of a round length, half of it black, with its length in metres or kilometres."""
    length_m = nice_step(_BAR_MM * frame.m_per_mm)
    length, x, y = length_m / frame.m_per_mm, frame.left + 1.0, frame.bottom + 8.2
    black = element("rect", x=x, y=y, width=length / 2.0, height=1.1, fill=INK)
    outline = element(
        "rect", class_="scale", x=x, y=y, width=f"{length:.4f}", height=1.1, fill="none", stroke=INK, stroke_width=0.2
    )
    told = [
        text(x + part * length, y + 3.2, length_text(part * length_m), SMALL_MM, text_anchor="middle")
        for part in (0.5, 1.0)
    ]
    return black + outline + text(x, y + 3.2, "0", SMALL_MM, text_anchor="middle") + "".join(told)


def north_arrow(x: float, y: float) -> str:
    """An arrow to the north, its point 4 mm above y."""
    half = path([(x, y - 4.0), (x, y + 2.2), (x - 1.7, y + 3.4)], closed=True)
    other = path([(x, y - 4.0), (x, y + 2.2), (x + 1.7, y + 3.4)], closed=True)
    look = {"stroke": INK, "stroke_width": 0.25, "stroke_linejoin": "round"}
    letter = text(x - 3.4, y - 0.4, "N", TEXT_MM, text_anchor="middle", font_weight="bold")
    return element("path", d=half, fill=INK, **look) + element("path", d=other, fill="#ffffff", **look) + letter


def scale_text(frame: Frame) -> str:
    """The scale on paper: 1:12 000."""
    return "1:" + f"{frame.m_per_mm * 1000.0:,.0f}".replace(",", " ")


def _measures(frame: Frame, national: bool) -> list[str]:
    grid = "Grid: British National Grid, metres. Ticks: degrees, WGS84." if national else "Grid: degrees, WGS84."
    told = (f"Scale {scale_text(frame)} where this drawing is {number(WIDTH_MM)} mm wide. North is up at the place.", grid)
    return [text(frame.left + 58.0, frame.bottom + 8.0 + _NOTE_MM * k, words, SMALL_MM) for k, words in enumerate(told)]


def _lines(scene: Scene, base: BaseMap | None, notes: Sequence[str]) -> list[str]:
    """The window, so that no time on the map lacks its date and zone; the notes; the credit of the base map: as lines."""
    start, end = (local_text(time_us, scene.case.timezone) for time_us in window_of(scene.case))
    told = [f"Window with its padding: {start} to {end} ({scene.case.timezone}).", *notes]
    told += [f"Base map: {base.attribution}"] if base and base.attribution else []
    most = int((WIDTH_MM - LEFT - RIGHT) / text_width_mm("x", SMALL_MM))
    return [
        words for note in told
        for words in textwrap.wrap(note, most, max_lines=_MOST_LINES, placeholder=" …", break_on_hyphens=False)
    ]  # fmt: skip
