"""Places as people type them: coordinates in degrees, or a reference of the national grid; corners one a line."""

from __future__ import annotations

import re

from crime_match.crimes.national_grid import read_reference, to_wgs84
from engine.errors import InputError

EXPECTED = "latitude and longitude such as 53.2307, -0.5406, or a grid reference such as SK 9751 7180"
_NUMBER = r"[+-]?\d{1,3}(?:\.\d+)?"
_PAIR = re.compile(rf"({_NUMBER})\s*[,;\s]\s*({_NUMBER})\Z")
_COARSEST_M = 10.0


def read_point(text: str, field: str) -> tuple[float, float]:
    """Latitude and longitude [degrees] of a typed place; InputError where it is none, or a square wider than 10 m."""
    pair = _PAIR.match(text.strip())
    if pair:
        lat, lon = float(pair[1]), float(pair[2])
        if abs(lat) > 90 or abs(lon) > 180:
            raise InputError("lies outside the world", field=field, value=text, expected=EXPECTED)
        return lat, lon
    try:
        square = read_reference(text)
        lat, lon = to_wgs84(square.easting_m, square.northing_m)
    except InputError:
        raise InputError(field=field, value=text, expected=EXPECTED) from None
    if square.uncertainty_m > _COARSEST_M:
        raise InputError(
            f"is a square of {square.uncertainty_m * 2**0.5:.0f} m", field=field, value=text,
            expected="eight or ten digits, which name a square of 10 m or 1 m",
        )  # fmt: skip
    return round(lat, 7), round(lon, 7)


def read_corners(lines: list[str], field: str) -> list[list[float]]:
    """A closed ring [longitude, latitude] of corners, one a line; InputError names the line."""
    ring = []
    for number, line in enumerate(lines, 1):
        try:
            lat, lon = read_point(line, field)
        except InputError as fault:
            message = f"in line {number}" + (f" {fault.message}" if fault.message else " is no place")
            raise InputError(message, field=field, value=line, expected=fault.expected) from None
        ring.append([lon, lat])
    if ring and ring[0] == ring[-1]:
        ring.pop()
    if len(ring) < 3:
        raise InputError(
            f"has {len(ring)} corner{'s' * (len(ring) != 1)}", field=field, expected="three corners or more, one a line"
        )
    return [*ring, ring[0]]


def point_text(lat: float, lon: float) -> str:
    """A place as it is typed."""
    return f"{lat:.7f}".rstrip("0").rstrip(".") + ", " + f"{lon:.7f}".rstrip("0").rstrip(".")
