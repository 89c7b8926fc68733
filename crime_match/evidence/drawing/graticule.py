"""Lines of equal latitude and longitude, and of the British National Grid, across the frame of a map, with their numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crime_match.crimes.national_grid import from_wgs84
from crime_match.evidence.drawing.plane import Floats, Frame, Plane, nice_step
from crime_match.evidence.drawing.svg import FAINT, INK, SMALL_MM, element, line, path, text
from engine.errors import InputError

_N = 33
"""Points of the frame on a side at which the fields are known; between them they are as good as straight."""
_MOST = 40


class _Line(NamedTuple):
    level: float
    points: list[tuple[float, float]]


class Graticule(NamedTuple):
    """The lines across the frame, the numbers about it, and whether the lines are those of the National Grid."""

    lines: list[str]
    ticks: list[str]
    is_national: bool


def graticule(plane: Plane, frame: Frame) -> Graticule:
    """Ticks of latitude and longitude on the left and below; lines of the National Grid with numbers on the right and
    above or, where there is none, lines of latitude and longitude."""
    x = np.linspace(frame.left, frame.right, _N)
    y = np.linspace(frame.bottom, frame.top, _N)
    east_m = frame.west_m + (x - frame.left) * frame.m_per_mm
    north_m = frame.south_m + (frame.bottom - y) * frame.m_per_mm
    lat, lon = (field.reshape(_N, _N) for field in plane.back(*np.meshgrid(east_m, north_m)))
    lats, lons = _rows_of(lat, x, y), _columns_of(lon, x, y)
    ticks = [_tick_left(frame, one, _degrees(one.level, lats.step, "NS")) for one in lats.lines]
    ticks += [_tick_below(frame, one, _degrees((one.level + 180.0) % 360.0 - 180.0, lons.step, "EW")) for one in lons.lines]
    grid = _national_grid(lat, lon, x, y)
    if grid is None:
        return Graticule([_stroke(one) for one in lats.lines + lons.lines], ticks, False)
    eastings, northings = grid
    ticks += [_above(frame, one) for one in eastings.lines] + [_beside(frame, one) for one in northings.lines]
    return Graticule([_stroke(one) for one in eastings.lines + northings.lines], ticks, True)


class _Lines(NamedTuple):
    step: float
    lines: list[_Line]


def _national_grid(lat: Floats, lon: Floats, x: Floats, y: Floats) -> tuple[_Lines, _Lines] | None:
    try:
        easting, northing = from_wgs84(lat.ravel(), lon.ravel())
    except InputError:
        return None
    return _columns_of(easting.reshape(_N, _N), x, y), _rows_of(northing.reshape(_N, _N), x, y)


def _columns_of(field: Floats, x: Floats, y: Floats) -> _Lines:
    """Lines of a field that grows along x: where each row of the frame meets each level."""
    levels, step = _levels(field)
    growing = bool(np.all(np.diff(field, axis=1) > 0.0))  # not about a pole
    return _Lines(step, [
        _Line(level, [
            (float(np.interp(level, field[k], x)), float(y[k]))
            for k in range(_N) if growing and field[k, 0] <= level <= field[k, -1]
        ])
        for level in levels
    ])  # fmt: skip


def _rows_of(field: Floats, x: Floats, y: Floats) -> _Lines:
    """Lines of a field that grows upwards."""
    turned = _columns_of(field.T, y, x)
    return _Lines(turned.step, [_Line(one.level, [(b, a) for a, b in one.points]) for one in turned.lines])


def _levels(field: Floats) -> tuple[list[float], float]:
    low, high = float(field.min()), float(field.max())
    step = nice_step(max(high - low, 1e-9) / 3.0)
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [k * step for k in range(first, min(last, first + _MOST) + 1)], step


def _stroke(one: _Line) -> str:
    look = {"class_": "grid", "fill": "none", "stroke": "#b8b8b8", "stroke_width": 0.12}
    return element("path", d=path(one.points), **look) if len(one.points) > 1 else ""


def _degrees(value: float, step: float, sides: str) -> str:
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    told = f"{abs(value):.{digits}f}"
    return f"{told}°" + ("" if float(told) in {0.0, 180.0} else f" {sides[0] if value > 0 else sides[1]}")


def _tick_left(frame: Frame, one: _Line, told: str) -> str:
    for x, y in one.points[:1]:
        if x <= frame.left + 1e-6 and frame.top + 4.0 < y < frame.bottom - 4.0:
            return line(x - 1.2, y, x + 1.2, y, stroke=INK, stroke_width=0.2) + _upright(x - 2.6, y, told)
    return ""


def _tick_below(frame: Frame, one: _Line, told: str) -> str:
    for x, y in one.points[:1]:
        if y >= frame.bottom - 1e-6 and frame.left + 4.0 < x < frame.right - 4.0:
            tick = line(x, y - 1.2, x, y + 1.2, stroke=INK, stroke_width=0.2)
            return tick + text(x, y + 2.6, told, SMALL_MM, text_anchor="middle")
    return ""


def _above(frame: Frame, one: _Line) -> str:
    for x, y in one.points[-1:]:
        if y <= frame.top + 1e-6 and frame.left + 6.0 < x < frame.right - 6.0:
            return text(x, y - 1.9, f"{one.level:.0f} E", SMALL_MM, text_anchor="middle", fill=FAINT)
    return ""


def _beside(frame: Frame, one: _Line) -> str:
    for x, y in one.points[-1:]:
        if x >= frame.right - 1e-6 and frame.top + 6.0 < y < frame.bottom - 6.0:
            return _upright(x + 2.2, y, f"{one.level:.0f} N", fill=FAINT)
    return ""


def _upright(x: float, y: float, told: str, fill: str = INK) -> str:
    return text(0, 0, told, SMALL_MM, text_anchor="middle", transform=f"translate({x:.2f} {y:.2f}) rotate(-90)", fill=fill)
