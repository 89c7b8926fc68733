"""A place as investigators write it: degrees in any of their forms, a grid reference, or easting and northing."""

from __future__ import annotations

import re
from typing import NamedTuple

from crime_match.crimes.national_grid import read_reference, to_wgs84
from engine.errors import InputError

EXPECTED = "such as 53.2307, -0.5406 or 53°13'50\"N 0°32'26\"W or SK 97 71 or 497500, 371500"
_AXES = {"lat": ("NS", 90.0), "lon": ("EW", 180.0)}
_SIGNS = str.maketrans({"º": "°", "˚": "°", "’": "'", "′": "'", "”": '"', "″": '"', "−": "-", "–": "-", "\u00a0": " "})
_NUMBER = r"\d+(?:\.\d+)?"
_ANGLE = re.compile(
    rf"(?P<sign>[+-])?\s*(?P<deg>{_NUMBER})\s*(?:°|\s|$)\s*(?:(?P<min>{_NUMBER})\s*(?:'|\s|$)\s*)?"
    rf"(?:(?P<sec>{_NUMBER})\s*(?:\"|''|$)\s*)?"
)
_GRID = re.compile(r"[A-HJ-Z]{2}\s*\d[\d\s]*", re.IGNORECASE | re.ASCII)
_METRES = re.compile(
    rf"(?:E(?:asting)?\s*[:=]?\s*)?({_NUMBER})\s*m?\s*[,;\s]\s*(?:N(?:orthing)?\s*[:=]?\s*)?({_NUMBER})\s*m?",
    re.IGNORECASE | re.ASCII,
)
_LETTERED = tuple(
    re.compile(form, re.IGNORECASE) for form in (r"([NSEW][^NSEW]+)([NSEW][^NSEW]+)", r"([^NSEW]+[NSEW])([^NSEW]+[NSEW])")
)


class Place(NamedTuple):
    """Latitude and longitude [degrees, WGS84], how far a place so written may lie from them [m], and how it was written."""

    lat: float
    lon: float
    uncertainty_m: float = 0.0
    form: str = "degrees"


def read_place(text: str) -> Place:
    """The place that a text names; InputError where it names none, or two could be meant."""
    plain = " ".join(text.translate(_SIGNS).split())
    if _GRID.fullmatch(plain):
        square = read_reference(plain)
        return Place(*to_wgs84(square.easting_m, square.northing_m), square.uncertainty_m, "grid reference")
    metres = _METRES.fullmatch(plain)
    if metres and max(float(metres[1]), float(metres[2])) > 180.0:
        return Place(*to_wgs84(float(metres[1]), float(metres[2])), 0.0, "easting and northing")
    return _degrees(plain, text)


def read_angle(text: str, axis: str) -> float:
    """A latitude (`lat`) or longitude (`lon`) as degrees, minutes and seconds, a fraction in the last. InputError names it."""
    letters, most = _AXES[axis]
    plain = " ".join(text.translate(_SIGNS).split()).upper()
    hemisphere = next((sign for sign in (plain[:1], plain[-1:]) if sign and sign in "NSEW"), "")
    bare = plain.replace(hemisphere, "", 1).strip() if hemisphere else plain
    found = _ANGLE.fullmatch(bare)
    expected = f"degrees, as 53.2307 or 53°13'50\"{letters[0]}, up to {most:g}"
    if found is None or (hemisphere and (hemisphere not in letters or found["sign"])):
        raise InputError(field=axis, value=text, expected=expected)
    parts = [found[name] for name in ("deg", "min", "sec") if found[name]]
    values = [float(part) for part in parts]
    value = sum(part / 60.0**k for k, part in enumerate(values))
    if any("." in part for part in parts[:-1]) or any(part >= 60 for part in values[1:]) or value > most:
        raise InputError(field=axis, value=text, expected=expected)
    return -value if found["sign"] == "-" or hemisphere in {"S", "W"} else value


def _degrees(plain: str, text: str) -> Place:
    """Two angles: by their letters in any order, else latitude first; between them a comma, or a space between two numbers."""
    parts = [part for part in re.split(r"[,;]", plain) if part.strip()]
    if len(parts) == 1:
        lettered = next((found for form in _LETTERED if (found := form.fullmatch(plain))), None)
        bare = re.fullmatch(rf"([+-]?{_NUMBER}) ([+-]?{_NUMBER})", plain)
        both = lettered or bare
        parts = list(both.groups()) if both else []
    if len(parts) != 2:
        raise InputError(field="place", value=text, expected=EXPECTED)
    first, second = (part.strip() for part in parts)
    if any(sign in first.upper() for sign in "EW") and any(sign in second.upper() for sign in "NS"):
        first, second = second, first
    try:
        return Place(read_angle(first, "lat"), read_angle(second, "lon"))
    except InputError:
        raise InputError(field="place", value=text, expected=EXPECTED) from None
