"""Weekly windows in local wall time, expanded into intervals of UTC microseconds. Daylight saving lives here and nowhere else.

A time that does not exist (clocks go forward) means the instant of the change; a time that occurs twice (clocks go back)
means the first for a start and the second for an end.

Rows as written are made windows by what lies next to them, never by what is asked for: rows that overlap are one window, and
windows that touch are one, but for a whole day (00:00 to 24:00) that no other row runs over: it stays a window of its own.
Rows that leave no minute of the week free make every local day a window.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.errors import InputError
from engine.times import from_datetime, to_datetime
from geofence.known_keys import refuse_unknown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\Z")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_SHIFT_MINUTES = 180
"""More than any change of clocks: shorter pauses may be gone for a night."""

Interval = tuple[int, int]
"""[start_us, end_us) in UTC microseconds."""


class WeeklyWindow(NamedTuple):
    """Days of the week (0 = Monday) and local minutes; an end before the start is on the next day."""

    days: tuple[int, ...]
    start_minute: int
    end_minute: int

    @property
    def length_days(self) -> int:
        """1 where the end is on the day after the start, else 0."""
        return 1 if self.end_minute < self.start_minute else 0


class Span(NamedTuple):
    """[start_us, end_us) of one row on one day, or of those that were made one; `whole_day` where it is one local day."""

    start_us: int
    end_us: int
    whole_day: bool = False


class Schedule(NamedTuple):
    """Weekly windows in one IANA time zone, with the dates (local, both inclusive) on which a window may start."""

    timezone: str
    weekly: tuple[WeeklyWindow, ...]
    valid_from: date | None = None
    valid_to: date | None = None

    def windows(self, from_us: int, to_us: int) -> list[Interval]:
        """The windows that meet [from_us, to_us], whole, oldest first."""
        return [w[:2] for w in self.made(from_us, to_us)]

    def made(self, from_us: int, to_us: int) -> list[Span]:
        """The same, each with whether it is one local day."""
        return [w for w in _made(self, *self._days(from_us, to_us)) if w.end_us > from_us and w.start_us <= to_us]

    def spans(self, from_us: int, to_us: int) -> tuple[Span, ...]:
        """All that the windows which meet [from_us, to_us] are made of, and some about them."""
        return _spans(self, *self._days(from_us, to_us))

    def _days(self, from_us: int, to_us: int) -> tuple[date, date]:
        """The first and the last day on which a row may start that matters to [from_us, to_us]."""
        zone, reach = time_zone(self.timezone), timedelta(days=_reach_days(self.weekly))
        first, last = _local_day(from_us, zone) - reach, _local_day(to_us, zone) + reach
        return max(first, self.valid_from or first), min(last, self.valid_to or last)


@lru_cache(maxsize=4096)
def _made(schedule: Schedule, first: date, last: date) -> tuple[Span, ...]:
    return tuple(made_windows(_spans(schedule, first, last)))


@lru_cache(maxsize=4096)
def _spans(schedule: Schedule, first: date, last: date) -> tuple[Span, ...]:
    zone = time_zone(schedule.timezone)
    found: list[Span] = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        for weekly in schedule.weekly:
            if day.weekday() in weekly.days:
                start = local_instant(day, weekly.start_minute, zone, is_end=False)
                end = local_instant(day + timedelta(days=weekly.length_days), weekly.end_minute, zone, is_end=True)
                if start < end:
                    found.append(Span(start, end, (weekly.start_minute, weekly.end_minute) == (0, _DAY_MINUTES)))
    return tuple(_by_days(found, first, last, zone) if is_endless(schedule.weekly) else found)


def made_windows(spans: Iterable[Span]) -> list[Span]:
    """Windows, oldest first: spans that overlap are one; those that then touch are one unless either is a whole day."""
    apart = _joined(sorted(set(spans)), lambda one, two: two.start_us < one.end_us)
    return _joined(apart, lambda one, two: two.start_us == one.end_us and not (one.whole_day or two.whole_day))


def _joined(spans: Iterable[Span], belong: Callable[[Span, Span], bool]) -> list[Span]:
    found: list[Span] = []
    for span in spans:
        if found and belong(found[-1], span):
            last = found.pop()
            whole = last.start_us, max(last.end_us, span.end_us)
            found.append(Span(*whole, any(s.whole_day and s[:2] == whole for s in (last, span))))
        else:
            found.append(span)
    return found


def _by_days(spans: list[Span], first: date, last: date, zone: ZoneInfo) -> list[Span]:
    """What the spans cover, cut at each local midnight."""
    nights = [day_start(first + timedelta(days=k), zone) for k in range((last - first).days + 3)]
    covered = merged(s[:2] for s in spans)
    days = [(max(a, start), min(b, end), start, end) for a, b in covered for start, end in pairwise(nights)]
    return [Span(a, b, (a, b) == (start, end)) for a, b, start, end in days if a < b]


@lru_cache(maxsize=4096)
def is_endless(weekly: tuple[WeeklyWindow, ...]) -> bool:
    """Whether the rows leave no minute of the week free."""
    return any(a <= 0 and b >= _WEEK_MINUTES for a, b in merged(span for _, span in by_minutes(weekly)))


@lru_cache(maxsize=4096)
def _reach_days(weekly: tuple[WeeklyWindow, ...]) -> int:
    """More than the length [days] of any window that these rows make: so far one must look back for where it began."""
    if is_endless(weekly):
        return 2
    shifted = [(a, b + _SHIFT_MINUTES) for _, (a, b) in by_minutes(weekly)]
    return min(15, 2 + max(b - a for a, b in merged(shifted)) // _DAY_MINUTES)


def by_minutes(weekly: Iterable[WeeklyWindow]) -> list[tuple[int, Interval]]:
    """(day, [start, end) in minutes since Monday) of rows by the clock on the wall, in the weeks before and after too."""
    days = [(week * 7 + day, row) for week in (-1, 0, 1) for row in weekly for day in row.days]
    starts = [(day, day * _DAY_MINUTES, row) for day, row in days]
    return [
        (day, (minute + row.start_minute, minute + row.length_days * _DAY_MINUTES + row.end_minute))
        for day, minute, row in starts
    ]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Sorted intervals with those that overlap or touch made one."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> list[Interval]:
    """The parts of the intervals that lie in none of the holes."""
    left = merged(intervals)
    for hole_start, hole_end in merged(holes):
        pieces: list[Interval] = []
        for start, end in left:
            pieces += [(a, b) for a, b in ((start, min(end, hole_start)), (max(start, hole_end), end)) if a < b]
        left = pieces
    return left


def local_instant(day: date, minute: int, zone: ZoneInfo, *, is_end: bool) -> int:
    """The instant [us UTC] of a local wall time, `minute` minutes after midnight of `day` (1440 = the next midnight)."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 - local on purpose
    return wall_instant(wall, zone, is_end=is_end)


def wall_instant(wall: datetime, zone: ZoneInfo, *, is_end: bool) -> int:
    """The instant [us UTC] of a naive local wall time, by the rule at the head of this file."""
    early = from_datetime(wall.replace(tzinfo=zone, fold=0))
    late = from_datetime(wall.replace(tzinfo=zone, fold=1))
    if early == late:
        return early
    if early < late:  # occurs twice
        return late if is_end else early
    return _change_between(late, early, zone)  # does not exist: fold=0 lands after the change, fold=1 before it


def _change_between(low_us: int, high_us: int, zone: ZoneInfo) -> int:
    """The instant in (low, high] at which the zone's offset changes, by bisection to the second."""
    before = to_datetime(low_us).astimezone(zone).utcoffset()
    low, high = low_us // 1_000_000, high_us // 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if to_datetime(middle * 1_000_000).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high * 1_000_000


def day_start(day: date, zone: ZoneInfo) -> int:
    """The instant [us UTC] at which a local day begins."""
    return local_instant(day, 0, zone, is_end=False)


def read_interval(raw_from: object, raw_to: object, zone: ZoneInfo) -> Interval:
    """An interval in ISO 8601, local to the zone unless it carries an offset; InputError where it is empty."""
    start, end = _moment(raw_from, "from", zone, is_end=False), _moment(raw_to, "to", zone, is_end=True)
    if end <= start:
        raise InputError(field="to", value=raw_to, expected=f"later than {raw_from}")
    return start, end


def _moment(raw: object, field: str, zone: ZoneInfo, *, is_end: bool) -> int:
    try:
        moment = datetime.fromisoformat(str(raw).strip())
    except ValueError:
        raise InputError(field=field, value=raw, expected="ISO 8601, local unless it carries an offset") from None
    return wall_instant(moment, zone, is_end=is_end) if moment.tzinfo is None else from_datetime(moment)


def _local_day(time_us: int, zone: ZoneInfo) -> date:
    return to_datetime(time_us).astimezone(zone).date()


def time_zone(name: object) -> ZoneInfo:
    """The IANA time zone of this name; InputError where there is none."""
    if not isinstance(name, str):
        raise InputError(field="timezone", value=name, expected="an IANA name such as Europe/London")
    return _time_zone(name)


@lru_cache(maxsize=64)
def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(field="timezone", value=name, expected="an IANA name such as Europe/London") from None


def read_schedule(raw: Any, *, valid_from: object = None, valid_to: object = None) -> Schedule:
    """A schedule from its JSON form `{"timezone", "weekly": [{"days", "start", "end"}]}`; InputError names the field."""
    if not isinstance(raw, dict):
        raise InputError(field="schedule", value=raw, expected='{"timezone": ..., "weekly": [...]}')
    name = raw.get("timezone")
    time_zone(name)
    rows = raw.get("weekly")
    if not isinstance(rows, list) or not rows:
        raise InputError(
            field="weekly", value=rows, expected='a list of {"days": ["mon", ...], "start": "19:00", "end": "07:00"}'
        )
    weekly = tuple(_read_row(row, f"weekly row {number}" if len(rows) > 1 else "") for number, row in enumerate(rows, 1))
    return Schedule(str(name), weekly, *read_validity(valid_from, valid_to))


def read_validity(valid_from: object, valid_to: object) -> tuple[date | None, date | None]:
    """The first and the last day of validity, None where open; InputError where the last is before the first."""
    first, last = read_date(valid_from, "valid_from"), read_date(valid_to, "valid_to")
    if first and last and last < first:
        raise InputError(field="valid_to", value=str(last), expected=f"{first} or later")
    return first, last


def read_date(raw: object, field: str) -> date | None:
    """An ISO date, or None where it is absent or empty."""
    if raw is None or raw == "":
        return None
    try:
        return date.fromisoformat(str(raw))
    except ValueError:
        raise InputError(field=field, value=raw, expected="a date such as 2026-03-29") from None


def read_clock(raw: object, field: str) -> int:
    """`HH:MM` as minutes after midnight, 24:00 allowed."""
    found = _CLOCK.match(raw) if isinstance(raw, str) else None
    minute = int(found[1]) * 60 + int(found[2]) if found else _DAY_MINUTES + 1
    if minute > _DAY_MINUTES:
        raise InputError(field=field, value=raw, expected="a time of day from 00:00 to 24:00")
    return minute


def _read_row(row: Any, place: str) -> WeeklyWindow:
    try:
        return _read_window(row)
    except InputError as fault:
        raise (fault.at(place) if place else fault) from None


def _read_window(row: Any) -> WeeklyWindow:
    if not isinstance(row, dict):
        raise InputError(field="weekly", value=row, expected='{"days": ["mon", ...], "start": "19:00", "end": "07:00"}')
    days = row.get("days")
    if not isinstance(days, list) or not days:
        raise InputError(field="days", value=days, expected=f"a list of {', '.join(DAYS)}")
    for day in days:
        if day not in DAYS:
            raise InputError(field="days", value=day, expected=f"one of {', '.join(DAYS)}")
    refuse_unknown(row, ("days", "start", "end", "note"), "a weekly row")
    start, end = read_clock(row.get("start"), "start"), read_clock(row.get("end"), "end")
    if start == _DAY_MINUTES:
        raise InputError(field="start", value=row.get("start"), expected="a time of day from 00:00 to 23:59")
    if start == end:
        raise InputError(
            "equals the start", field="end", value=row.get("end"), expected="another time (a whole day is 00:00 to 24:00)"
        )
    return WeeklyWindow(tuple(sorted({DAYS.index(day) for day in days})), start, end)
