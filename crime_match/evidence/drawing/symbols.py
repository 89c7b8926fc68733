"""The symbols of maps and charts: told apart by shape and line as well as by colour, so that they survive a black-and-white
print. Colours are those of Okabe and Ito, "Color Universal Design", 2008."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from crime_match.evidence.drawing.plane import Point
from crime_match.evidence.drawing.svg import INK, PAPER, element, group, line, path
from crime_match.evidence.rows import WINDOW, FixRow

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#9b4f80", "#8a8a8a"


class Kind(NamedTuple):
    """A kind of fix: the name that its elements bear, its colour, and what the key says of it."""

    name: str
    colour: str
    meaning: str


_PLACES = "Fix that places the wearer: at least half of its circle lies in the vicinity; by"
PLACING = Kind("placing", BLUE, f"{_PLACES} satellite (GPS)")
PLACING_WIFI = Kind("placing-wifi", GREEN, f"{_PLACES} wireless networks")
PLACING_RF = Kind("placing-rf", ORANGE, f"{_PLACES} a home beacon")
PLACING_MAST = Kind("placing-mast", PURPLE, f"{_PLACES} telephone masts")
PLACING_UNKNOWN = Kind(
    "placing-unknown", GREY, "Fix that places the wearer: at least half of its circle lies in the vicinity"
)
GPS = Kind("gps", BLUE, "Fix by satellite (GPS) in the padded window")
WIFI = Kind("wifi", GREEN, "Fix by wireless networks in the padded window")
RF = Kind("rf", ORANGE, "Fix by a home beacon in the padded window")
MAST = Kind("mast", PURPLE, "Fix by telephone masts, with its circle: coarse, not joined to the way")
UNKNOWN = Kind("unknown", GREY, "Fix of unknown source in the padded window")
FLAGGED = Kind("flagged", RED, "Fix left out as implausible, contradictory, of a wrong clock or set aside: not joined")
AROUND = Kind("around", GREY, "Fix before or after the padded window")
_PLACING = {"gps": PLACING, "wifi": PLACING_WIFI, "rf": PLACING_RF, "lbs": PLACING_MAST}
KINDS = (*_PLACING.values(), PLACING_UNKNOWN, GPS, WIFI, RF, UNKNOWN, MAST, FLAGGED, AROUND)
MASTS = (MAST, PLACING_MAST)
_BY_SOURCE = {"gps": GPS, "wifi": WIFI, "rf": RF, "lbs": MAST}


def source_kind(source: str) -> Kind:
    """The kind of a fix by where it came from alone."""
    return _BY_SOURCE.get(source, UNKNOWN)


def kind_of(row: FixRow) -> Kind:
    """How a fix is drawn on a map."""
    if not row.has_weight:
        return FLAGGED
    if row.label:
        return _PLACING.get(row.source, PLACING_UNKNOWN)
    if row.source == "lbs":
        return MAST
    if row.when != WINDOW:
        return AROUND
    return source_kind(row.source)


def symbols(kind: Kind, points: Iterable[Point], size: float = 1.0) -> str:
    """The symbols of fixes of one kind about these points; of size 1 they are 2.2 mm wide or less."""
    shape, look = _SHAPES[kind.name]
    colours = {name: kind.colour if value == _OWN else value for name, value in look.items()}
    widths = {"stroke_width": _STROKES[kind.name] * size} if kind.name in _STROKES else {}
    return group((shape(x, y, size) for x, y in points), class_=kind.name, **colours, **widths)


_OWN = "own"
_Shape = Callable[[float, float, float], str]


def _disc(radius: float) -> _Shape:
    return lambda x, y, size: element("circle", cx=x, cy=y, r=radius * size)


def _polygon(*corners: Point) -> _Shape:
    return lambda x, y, size: element("path", d=path([(x + size * a, y + size * b) for a, b in corners], closed=True))


def _cross(x: float, y: float, size: float) -> str:
    a = 0.75 * size
    return element("path", d=path([(x - a, y - a), (x + a, y + a)]) + path([(x - a, y + a), (x + a, y - a)]))


def _square(half: float) -> _Shape:
    return _polygon((-half, -half), (half, -half), (half, half), (-half, half))


_SHAPES: dict[str, tuple[_Shape, dict[str, str]]] = {
    "placing": (_disc(0.8), {"fill": _OWN, "stroke": INK}),
    "placing-wifi": (_polygon((0.0, -1.1), (1.0, 0.75), (-1.0, 0.75)), {"fill": _OWN, "stroke": INK}),
    "placing-rf": (_polygon((0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)), {"fill": _OWN, "stroke": INK}),
    "placing-unknown": (_square(0.8), {"fill": _OWN, "stroke": INK}),
    "placing-mast": (_square(0.85), {"fill": PAPER, "stroke": INK}),
    "gps": (_disc(0.55), {"fill": _OWN}),
    "around": (_disc(0.5), {"fill": PAPER, "stroke": _OWN}),
    "flagged": (_cross, {"fill": "none", "stroke": _OWN}),
    "mast": (_square(0.7), {"fill": PAPER, "stroke": _OWN}),
    "wifi": (_polygon((0.0, -0.75), (0.7, 0.5), (-0.7, 0.5)), {"fill": _OWN}),
    "rf": (_polygon((0.0, -0.8), (0.8, 0.0), (0.0, 0.8), (-0.8, 0.0)), {"fill": _OWN}),
    "unknown": (_square(0.5), {"fill": _OWN}),
}
_STROKES = {"placing": 0.3, "around": 0.22, "flagged": 0.38, "mast": 0.35, "placing-mast": 0.5}
_STROKES |= dict.fromkeys(("placing-wifi", "placing-rf", "placing-unknown"), 0.3)


def place_mark(x: float, y: float) -> str:
    """The place of the crime: a cross of hairs, edged with white, so that it is found among many fixes."""
    hairs = "".join(line(x + 1.1 * a, y + 1.1 * b, x + 2.6 * a, y + 2.6 * b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    ring = element("circle", cx=x, cy=y, r=1.1, fill="none")
    edge = element("g", hairs + ring, stroke=PAPER, stroke_width=0.75)
    return edge + element("g", hairs + ring, class_="place", stroke=INK, stroke_width=0.35)


def arrow(x: float, y: float, east: float, down: float, colour: str) -> str:
    """A head of an arrow at a point, in a direction of length 1."""
    tip = (x + 1.3 * east, y + 1.3 * down)
    back = (x - 1.0 * east, y - 1.0 * down)
    barbs = [(back[0] + side * 0.95 * -down, back[1] + side * 0.95 * east) for side in (1, -1)]
    outline = path([tip, barbs[0], (x - 0.45 * east, y - 0.45 * down), barbs[1]], closed=True)
    return element("path", class_="arrow", d=outline, fill=colour, stroke="#ffffff", stroke_width=0.2)


def vicinity(x: float, y: float, r: float) -> str:
    """The circle about the place that is asked about."""
    return element("circle", class_="vicinity", cx=x, cy=y, r=r, fill="none", stroke=RED, stroke_width=0.55)


def widened(x: float, y: float, r: float) -> str:
    """The vicinity widened by what is uncertain of the place."""
    return element(
        "circle", class_="widened", cx=x, cy=y, r=r, fill="none", stroke=RED, stroke_width=0.4, stroke_dasharray="2.4 1.2"
    )


def tint_of(n: int) -> float:
    """How strongly so many circles are filled, so that what lies under all of them is still seen."""
    return next((tint for most, tint in ((15, 0.06), (30, 0.03), (80, 0.01)) if n <= most), 0.0)


def confidence(circles: Iterable[tuple[float, float, float]], colour: str, *, assumed: bool, tint: float = 0.06) -> str:
    """Circles (x, y, radius) in which the wearer was with 95 %; dashed where the tag told none and one is assumed. Many are
    drawn as fine and pale lines."""
    shown = list(circles)
    name, dashes = ("assumed", "0.9 0.7") if assumed else ("circle", None)
    look: dict[str, object] = {"fill": colour, "fill_opacity": tint} if tint else {"fill": "none"}
    look |= {"stroke_opacity": 0.6 if len(shown) < 1_000 else 0.3} if not tint_of(len(shown)) else {}
    return group(
        (element("circle", cx=x, cy=y, r=r) for x, y, r in shown),
        class_=name, **look, stroke=colour, stroke_width=0.22 if tint_of(len(shown)) else 0.12, stroke_dasharray=dashes,
    )  # fmt: skip
