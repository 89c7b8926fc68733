"""When a member of a team is on duty: weekly hours written as OpenStreetMap writes opening hours, in the team's time zone.

`Mo-Fr 08:00-18:00; Sa 09:00-12:00`, `Mo,We 08:00-12:00,13:00-17:00`, `Fr-Mo 22:00-06:00` (the end is on the next day), `24/7`,
`Mo-Fr 08:00-18:00; We off`. As there, a later rule replaces the earlier ones for its days. Holidays are not known: `PH` is
refused.
"""

from __future__ import annotations

import re

from engine.errors import InputError
from engine.times import DAY_US
from geofence.schedule import Schedule, WeeklyWindow, read_clock, time_zone

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
EXPECTED = "such as Mo-Fr 08:00-18:00; Sa 09:00-12:00, or 24/7"

_RULE = re.compile(r"(?P<days>[a-z]{2}(?:\s*[-,]\s*[a-z]{2})*)?\s*(?P<times>off|\d\d:\d\d.*)?\Z")
_LOOK_DAYS = (8, 36)  # a weekly window comes back within 8 days, unless a change of the clocks swallows it

_Span = tuple[int, int]


def read_hours(text: object, timezone: str) -> Schedule | None:
    """The hours as a schedule; None means always on duty (`24/7`, an empty or absent text). InputError says what is wrong."""
    time_zone(timezone)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise InputError(field="hours", value=text, expected=EXPECTED)
    spans: dict[int, list[_Span]] = {}
    for rule in (part.strip().lower() for part in text.split(";")):
        if rule == "24/7":
            spans = {day: [(0, 1440)] for day in range(7)}
        elif rule:
            spans |= _read_rule(rule, text)
    weekly = tuple(WeeklyWindow((day,), *span) for day in sorted(spans) for span in spans[day])
    if not weekly:
        raise InputError("leaves no hour of duty", field="hours", value=text, expected=EXPECTED)
    always = all((0, 1440) in spans.get(day, []) for day in range(7))
    return None if always else Schedule(timezone, weekly)


def on_duty(hours: Schedule | None, at_us: int) -> bool:
    """Whether an instant [us UTC] lies in the hours; their start does, their end does not."""
    return hours is None or any(start <= at_us < end for start, end in hours.windows(at_us, at_us))


def next_duty_us(hours: Schedule | None, at_us: int) -> int:
    """The instant itself while on duty, else the start of the next duty hours [us UTC]."""
    if hours is None:
        return at_us
    for n_days in _LOOK_DAYS:
        for start, end in hours.windows(at_us, at_us + n_days * DAY_US):
            if end > at_us:
                return max(start, at_us)
    return at_us  # hours that never come: better told now than never


def _read_rule(rule: str, text: str) -> dict[int, list[_Span]]:
    """The spans of minutes by day that one rule gives; a day that is off has none."""
    found = _RULE.match(rule)
    if not found or not (found["days"] or found["times"]):
        raise InputError("cannot be read", field="hours", value=text, expected=EXPECTED)
    days = _read_days(found["days"], text) if found["days"] else set(range(7))
    times = found["times"] or "00:00-24:00"
    spans = [] if times == "off" else [_read_span(part.strip(), text) for part in times.split(",")]
    return dict.fromkeys(days, spans)


def _read_days(listed: str, text: str) -> set[int]:
    days: set[int] = set()
    for part in listed.split(","):
        ends = [end.strip() for end in part.split("-")]
        for end in ends:
            if end not in DAYS:
                raise InputError(f"{end} is no day", field="hours", value=text, expected="Mo Tu We Th Fr Sa Su")
        if len(ends) > 2:
            raise InputError(f"{part.strip()} is no range of days", field="hours", value=text, expected="such as Mo-Fr")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days |= {(first + k) % 7 for k in range((last - first) % 7 + 1)}
    return days


def _read_span(part: str, text: str) -> _Span:
    start_text, dash, end_text = part.partition("-")
    if not dash:
        raise InputError(f"{part} has no end", field="hours", value=text, expected=EXPECTED)
    try:
        start, end = read_clock(start_text.strip(), "hours"), read_clock(end_text.strip(), "hours")
    except InputError as fault:
        raise InputError(f"{fault.value} is no time", field="hours", value=text, expected=fault.expected) from None
    if start in (end, 1440):
        raise InputError(
            f"{part} is empty",
            field="hours",
            value=text,
            expected="an end that is not the start (a whole day: 00:00-24:00)",
        )
    return start, end
