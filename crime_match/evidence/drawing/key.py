"""The key: what each symbol of the maps and the chart means; only those that occur are told."""

from __future__ import annotations

from collections.abc import Iterable

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import LOOKS
from crime_match.evidence.drawing.detail_map import detail_map
from crime_match.evidence.drawing.svg import INK, Drawing, drawing, element, group, line, text
from crime_match.evidence.drawing.symbols import (
    BLUE,
    GREY,
    KINDS,
    RED,
    arrow,
    confidence,
    place_mark,
    symbols,
    vicinity,
    widened,
)
from crime_match.evidence.drawing.tracks_map import tracks_map
from crime_match.evidence.drawing.way import AROUND_WAY, GAP, JOINED

_ROW, _SAMPLE = 6.0, 12.0


def key(case: Case, drawings: Iterable[Drawing | None] | None = None) -> Drawing:
    """The key of the maps of a case; of these drawings, where they are made already."""
    shown = list(drawings) if drawings is not None else [tracks_map(case), detail_map(case)]
    drawn = "".join(one.svg for one in shown if one)
    rows = [(sample, meaning) for name, sample, meaning in _entries(case) if _occurs(name, drawn)]
    content = []
    for k, (sample, meaning) in enumerate(rows):
        y = _ROW * (k + 0.5)
        content += [group([sample], transform=f"translate({_SAMPLE / 2.0:g} {y:g})"), text(_SAMPLE + 3.0, y, meaning)]
    alt = "Key to the maps: " + "; ".join(meaning for _, meaning in rows) + "."
    return drawing(content, alt, max(_ROW * len(rows), _ROW))


def _entries(case: Case) -> list[tuple[str, str, str]]:
    """Class of its elements, a sample about the origin, what it means."""
    asked = case.match["parameters"]
    radius, reach = f"{asked['radius_m']:g} m", f"{asked['radius_m'] + asked['uncertainty_m']:g} m"
    circle, dots = (
        confidence([(0.0, 0.0, 2.2)], BLUE, assumed=False),
        {"stroke_dasharray": "0.01 1.3", "stroke_linecap": "round"},
    )
    visited = bool(case.match["visits"])
    label = text(0, 0, "12 A1" if visited else "12", text_anchor="middle", font_weight="bold" if visited else None)
    named = "Number of a fix as in the table of positions; 12–15: several fixes in one point" + (
        "; bold with A1: the first that places, of visit A" if visited else ""
    )
    return [
        ("labels", label, named),
        ("place", place_mark(0, 0), "Place of the crime as it was reported"),
        ("vicinity", vicinity(0, 0, 2.2), f"Vicinity: the circle of {radius} radius about the place"),
        (
            "widened",
            widened(0, 0, 2.2),
            f"Vicinity widened to {reach} by what is uncertain of the place: used to rule out, never to place",
        ),
        *((kind.name, symbols(kind, [(0.0, 0.0)], 1.3), kind.meaning) for kind in KINDS),
        ("circle", circle, "Confidence circle as the tag reported it (about 95 %), in the colour of its fix"),
        ("assumed", confidence([(0.0, 0.0, 2.2)], BLUE, assumed=True), "Circle assumed, because the tag reported none"),
        (JOINED, _line(BLUE, 0.45), "The way: fixes joined in order of time; the wearer need not have gone straight"),
        ("arrow", arrow(0, 0, 1.0, 0.0, BLUE), "Direction of the way"),
        (GAP, _line(INK, 0.4, **dots), "More than 5 minutes between fixes: the way between them is unknown"),
        (AROUND_WAY, _line(GREY, 0.25, stroke_dasharray="1.5 0.9"), "The way before and after the padded window"),
        ("pointers", arrow(0, 0, 0.0, -1.0, RED), "A fix that was left out lies beyond the map in this direction"),
        (
            "distance",
            _line(INK, 0.3, stroke_dasharray="3 1 0.6 1"),
            "Distance from the place to the middle of the nearest fix",
        ),
        ("inset", _inset(), "Part of the map that is drawn larger within it, at the scale that is told there"),
        ("base", _base(), "Base map, in faint colours: for orientation only, no answer rests on it"),
    ]


def _occurs(name: str, drawn: str) -> bool:
    return f'class="{name}-' in drawn if name == "base" else f'class="{name}"' in drawn


def _inset() -> str:
    return element("rect", x=-2.5, y=-1.8, width=5.0, height=3.6, fill="none", stroke=INK, stroke_width=0.2)


def _base() -> str:
    """Streets and a house as the base map has them."""
    looks = LOOKS["road"], LOOKS["building"]
    road, house = ({"fill": look.fill or "none", "stroke": look.stroke, "stroke_width": look.width} for look in looks)
    return element("rect", x=0.8, y=-1.6, width=2.6, height=2.0, **house) + element(
        "path", d="M-5 1.4L5 1.4M-1.5 1.4L-1.5 -2", **road
    )


def _line(colour: str, width: float, **look: object) -> str:
    return line(-5.0, 0.0, 5.0, 0.0, stroke=colour, stroke_width=width, **look)
