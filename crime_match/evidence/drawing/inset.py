"""The inset of the tracks map: the wearer's way drawn larger, where the place is so far off that the way is but a dot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from crime_match.evidence.drawing.map import LEAST_M, Scene, scale_text
from crime_match.evidence.drawing.plane import Frame, Point, frame_about, nice_step
from crime_match.evidence.drawing.svg import INK, PAPER, SMALL_MM, element, group, line, text
from crime_match.evidence.drawing.wording import length_text
from crime_match.evidence.rows import WINDOW

_WIDTH, _HEIGHTS, _APART, _HEAD = 66.0, (44.0, 66.0), 2.0, 4.2
_SMALL_MM, _TIMES, _CLEAR_MM = 24.0, 3.0, 8.0
"""There is an inset where the way is no larger than this on the map, and where it makes it so many times larger."""
_FAR_M = 500_000.0
"""Further from the place the plane stretches lengths across by more than a thousandth: a scale would not hold."""


def inset_of(scene: Scene, frame: Frame, points: Sequence[Point]) -> Frame | None:
    """The frame in a corner of the map in which the way of the window is drawn larger; None where that is of no use, or where
    every corner is taken by the way, the place or the line between them."""
    shown = [k for k, row in enumerate(scene.rows) if row.when == WINDOW and row.has_weight]
    if not shown or float(np.hypot(*scene.ground_m[shown].T).max()) > _FAR_M:
        return None
    west, north, east, south = shapely.MultiPoint([points[k] for k in shown]).bounds
    places = [(float(x), float(y)) for x, y in scene.ground_m[shown]]
    inset = frame_about(places, 0.0, 0.0, _WIDTH, _HEIGHTS, max(LEAST_M, scene.radius_m))
    if max(east - west, south - north) > _SMALL_MM or inset.m_per_mm * _TIMES > frame.m_per_mm:
        return None
    way = shapely.box(west, north, east, south)
    taken = way, shapely.LineString([frame.at(0.0, 0.0), ((west + east) / 2.0, (north + south) / 2.0)])
    for left in (frame.right - _APART - inset.width, frame.left + _APART):
        for top in (frame.bottom - _APART - inset.height, frame.top + _APART + _HEAD):
            box = shapely.box(left, top - _HEAD, left + inset.width, top + inset.height)
            if all(box.distance(one) > _CLEAR_MM for one in taken):
                return inset._replace(left=left, top=top)
    return None


def draw_inset(frame: Frame, inset: Frame, content: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The inset with its own scale, and on the map the rectangle that it shows."""
    x, y = frame.at(inset.west_m, inset.north_m)
    part = inset.m_per_mm / frame.m_per_mm
    shown = element(
        "rect", class_="inset", x=x, y=y, width=inset.width * part, height=inset.height * part, fill="none", stroke=INK,
        stroke_width=0.2,
    )  # fmt: skip
    clip = element("clipPath", _rectangle(inset), id="inset")
    bar_m = nice_step(20.0 * inset.m_per_mm)
    told = f"Enlarged: 1:{scale_text(inset)[2:]}; its bar is {length_text(bar_m)}"
    left, below = inset.left + 1.5, inset.bottom - 1.6
    bar = line(left, below, left + bar_m / inset.m_per_mm, below, class_="inset-bar", stroke=INK, stroke_width=0.8)
    head = element(
        "rect",
        x=inset.left,
        y=inset.top - _HEAD,
        width=inset.width,
        height=_HEAD,
        fill=PAPER,
        stroke=INK,
        stroke_width=0.25,
    )
    return [
        shown, element("defs", clip), _rectangle(inset, fill=PAPER), group(content, clip_path="url(#inset)"),
        _rectangle(inset, fill="none", stroke=INK, stroke_width=0.25), head,
        text(inset.left + 1.0, inset.top - _HEAD / 2.0, told, SMALL_MM), bar, *labels,
    ]  # fmt: skip


def _rectangle(frame: Frame, **look: object) -> str:
    return element("rect", x=frame.left, y=frame.top, width=frame.width, height=frame.height, **look)
