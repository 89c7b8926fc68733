"""A moment as somebody writes it: on the clocks of a time zone, or with its offset; what clocks leave open is told."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.errors import InputError
from engine.times import from_datetime, in_range, parse_time, to_datetime

EXPECTED = "a date and time such as 27/02/2026 19:30, or 2026-02-27T19:30Z"
_LOCAL = re.compile(
    r"(?:(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})|(?P<iso>\d{4}-\d\d-\d\d))[ T,]+(?P<clock>\d{1,2}:\d\d(?::\d\d)?)"
)


def read_moment(text: str, zone: ZoneInfo, field: str) -> int:
    """The instant [us UTC]. InputError where there is no such time, where clocks show it twice, or skip it."""
    plain = " ".join(text.split())
    if not plain:
        raise InputError(field=field, expected=EXPECTED)
    found = _LOCAL.fullmatch(plain)
    if found is None:
        if not re.match(r"\d{4}-\d\d-\d\d[T ].*(?:[zZ]|[+-]\d\d:?\d\d)$", plain):
            raise InputError(field=field, value=text, expected=EXPECTED)
        return parse_time(plain, None, field)
    wall = _wall(found, text, field)
    early, late = (from_datetime(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early < late:
        raise InputError(
            f"clocks show it twice in {zone.key}", field=field, value=text, expected=_either(early, late, zone)
        )
    if early > late:
        expected = f"{clock_words(late, zone)} or {clock_words(early, zone)}"
        raise InputError(f"clocks skip it in {zone.key}, it never was", field=field, value=text, expected=expected)
    return in_range(early, text, field)


def clock_words(time_us: int, zone: ZoneInfo) -> str:
    """A moment as the clocks of a zone show it, to the minute or second, with the zone's short name."""
    local = to_datetime(time_us).astimezone(zone)
    return local.strftime("%d/%m/%Y %H:%M:%S %Z" if local.second else "%d/%m/%Y %H:%M %Z")


def _wall(found: re.Match[str], text: str, field: str) -> datetime:
    day = found["iso"] or f"{found['year']}-{int(found['month']):02d}-{int(found['day']):02d}"
    try:
        return datetime.fromisoformat(
            f"{day}T{found['clock']:0>5}" if len(found["clock"]) < 6 else f"{day}T{found['clock']:0>8}"
        )
    except ValueError:
        raise InputError("there is no such day or hour", field=field, value=text, expected=EXPECTED) from None


def _either(early_us: int, late_us: int, zone: ZoneInfo) -> str:
    """Both readings, each as it can be typed."""
    told = []
    for time_us in (early_us, late_us):
        local = to_datetime(time_us).astimezone(zone)
        told.append(f"{local.isoformat(timespec='minutes' if not local.second else 'seconds')} ({local:%Z})")
    return " or ".join(told)
