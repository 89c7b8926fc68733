"""The fields of NMEA 0183 sentences as numbers, exactly: hhmmss, ddmmyy, ddmm.mmmm, knots. InputError where one is odd."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from engine.errors import InputError
from engine.times import HOUR_US, MINUTE_US, SECOND_US, from_datetime, in_range

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,6}))?", re.ASCII)
_NUMBER = re.compile(r"([+-]?)(?=\.?\d)(\d{0,9})(?:\.(\d{0,12}))?", re.ASCII)
_ANGLE = {"lat": re.compile(r"(\d\d)([0-5]\d)(?:\.(\d{0,12}))?", re.ASCII),
          "lon": re.compile(r"(\d{3})([0-5]\d)(?:\.(\d{0,12}))?", re.ASCII)}  # fmt: skip
_SIGN = {("lat", "N"): 1, ("lat", "S"): -1, ("lon", "E"): 1, ("lon", "W"): -1}
_WRITTEN = {"lat": "ddmm.mmmm and N or S", "lon": "dddmm.mmmm and E or W"}
_E7_PER_DEGREE = 10_000_000


def in_day_us(text: str) -> int:
    """`hhmmss.sss` as microseconds since midnight UTC; 235960, a leap second, is the midnight after."""
    found = _TIME.fullmatch(text)
    if found is None or (found[3] == "60" and text[:4] != "2359"):
        raise InputError("" if text else "required", field="time", value=text or None, expected="hhmmss.sss")
    hour, minute, second, fraction = found.groups()
    micros = int(fraction.ljust(6, "0")) if fraction else 0
    return int(hour) * HOUR_US + int(minute) * MINUTE_US + int(second) * SECOND_US + micros


@lru_cache(maxsize=64)
def day_us(text: str) -> int:
    """`ddmmyy` as the microseconds of that midnight UTC; the years 80 to 99 are 1980 to 1999, which no tag can have."""
    try:
        if len(text) != 6 or not text.isdecimal() or not text.isascii():
            raise ValueError
        day, month, year = int(text[:2]), int(text[2:4]), int(text[4:])
        midnight = datetime(year + (1900 if year >= 80 else 2000), month, day, tzinfo=UTC)
    except ValueError:
        message = "does not exist" if text else "required"
        raise InputError(message, field="date", value=text or None, expected="ddmmyy") from None
    return in_range(from_datetime(midnight), text, field="date")


def degrees(text: str, hemisphere: str, field: str) -> float:
    """`lat` or `lon` from degrees and minutes, in degrees rounded half to even to the 1e-7 of our columns."""
    found, sign = _ANGLE[field].fullmatch(text), _SIGN.get((field, hemisphere))
    if found is None or sign is None:
        value = f"{text},{hemisphere}" if text or hemisphere else None
        raise InputError("" if value else "required", field=field, value=value, expected=_WRITTEN[field])
    whole, minutes, part = found.groups()
    denominator = 60 * 10 ** len(part or "")
    return sign * (int(whole) * _E7_PER_DEGREE + _nearest(int(minutes + (part or "")) * _E7_PER_DEGREE, denominator)) / 1e7


def number(text: str, field: str, unit: str) -> float | None:
    """A decimal number, None where the field is empty."""
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise InputError("not a number", field=field, value=text, expected=unit)
    return float(text)


def knots(text: str) -> float | None:
    """A speed in knots (1852 m an hour) as metres a second, rounded half to even to the centimetre of our columns."""
    found = _NUMBER.fullmatch(text)
    if found is None or found[1] == "-":
        return number(text, "speed", "knots")
    part = found[3] or ""
    return _nearest(int(found[2] + part) * 185_200, 3600 * 10 ** len(part)) / 100


def _nearest(numerator: int, denominator: int) -> int:
    """The quotient rounded half to even."""
    floor, rest = divmod(numerator, denominator)
    return floor + (2 * rest > denominator or (2 * rest == denominator and floor % 2 == 1))
