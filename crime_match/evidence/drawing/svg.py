"""SVG as text: elements, numbers and texts of one form, and the drawing they make. All lengths are millimetres of paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

FONT = "Libertinus Serif"
"""The one family of all texts; Typst carries it, so that no font file is needed."""
WIDTH_MM = 165.0
"""Every drawing is as wide as the text of an A4 page."""
TEXT_MM = 2.75
"""Height of the letters' em: 7.8 points."""
SMALL_MM = 2.4
INK, FAINT, PAPER = "#000000", "#6b6b6b", "#ffffff"


class Drawing(NamedTuple):
    """A drawing for the page: the SVG, one sentence that says what it shows for those who cannot see it, and its size."""

    svg: str
    alt: str
    width_mm: float
    height_mm: float


def number(value: float) -> str:
    """A length to 0.01 mm without needless zeros and without a locale: 1.5, 0, -0.25."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """One element; numbers as `number` has them, `stroke_width` for stroke-width, None is left out."""
    parts = [tag]
    for name, value in attributes.items():
        if value is not None:
            told = number(value) if isinstance(value, float | int) else quoted(str(value))
            parts.append(f'{name.rstrip("_").replace("_", "-")}="{told}"')
    return f"<{' '.join(parts)}>{content}</{tag}>" if content else f"<{' '.join(parts)}/>"


def group(content: Iterable[str], **attributes: object) -> str:
    """A group of elements; empty text where there are none."""
    inner = "".join(content)
    return element("g", inner, **attributes) if inner else ""


def quoted(text: str) -> str:
    """Any text as data of XML: markup escaped; what XML or the font cannot hold, and signs that turn the writing's
    direction, as the sign for an unknown character."""
    return escape("".join(sign if _is_drawn(sign) else "?" for sign in text), {'"': "&quot;"})


def _is_drawn(sign: str) -> bool:
    code = ord(sign)
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0x250 or sign in _DRAWN


_DRAWN = frozenset("–—‘’“”…′″−×≥≤")


def text(x: float, y: float, content: str, size: float = TEXT_MM, *, halo: bool = False, **attributes: object) -> str:
    """A text whose middle height lies at y; with a halo it stays readable on lines."""
    if halo:
        attributes = {
            "stroke": "#ffffff",
            "stroke_width": 0.7,
            "stroke_linejoin": "round",
            "paint_order": "stroke",
        } | attributes
    return element("text", quoted(content), x=x, y=y + 0.32 * size, font_size=size, **attributes)


def text_width_mm(content: str, size: float = TEXT_MM) -> float:
    """How wide a text is at most, about: letters of this font are half as wide as they are high."""
    return 0.5 * size * len(content)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """A straight line."""
    return element("path", d=f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}", fill="none", **attributes)


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """The data of a path through points; empty where there are none."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return f"M{steps}{'Z' if closed else ''}" if steps else ""


def drawing(content: Iterable[str], alt: str, height_mm: float, width_mm: float = WIDTH_MM) -> Drawing:
    """The whole SVG on white paper."""
    size = {"width": f"{number(width_mm)}mm", "height": f"{number(height_mm)}mm"}
    box = f"0 0 {number(width_mm)} {number(height_mm)}"
    inner = element("title", quoted(alt)) + "".join(content)
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": box, "font_family": FONT, "fill": INK}
    return Drawing(element("svg", inner, **size, **attributes), alt, width_mm, height_mm)
