"""The weeks of a curfew or a zone as they will hold: by local days, those of 23 or 25 hours marked, drawn and told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from engine.times import DAY_US, HOUR_US, to_datetime
from geofence.curfew import Curfew
from geofence.curfew_windows import windows_of
from geofence.exceptions import ScheduleException
from geofence.schedule import Interval, day_start, merged, time_zone
from geofence.zone import Zone
from tagwatch.coming_weeks import LocalDay, length_words, local_days, local_words, next_change

WIDTH, ROW = 960.0, 26


class Bar(NamedTuple):
    """A piece of a window in one day, in units of the drawing."""

    x: float
    width: float
    kind: str


class DayRow(NamedTuple):
    """One local day: its name, what is odd about it, its bars, its length in the drawing."""

    words: str
    note: str
    y: int
    width: float
    bars: tuple[Bar, ...]


class Window(NamedTuple):
    """One window in local words; `note` where it is shorter or longer than the clock on the wall says, or cut."""

    start: str
    end: str
    length: str
    note: str


class Week(NamedTuple):
    """Seven local days from a Monday, and the windows that begin in them."""

    title: str
    rows: tuple[DayRow, ...]
    windows: tuple[Window, ...]


class Weeks(NamedTuple):
    """Some weeks, and where to go from them."""

    weeks: tuple[Week, ...]
    timezone: str
    first: date
    earlier: date
    later: date
    change: date | None


def weeks_of(versions: Sequence[Curfew] | Sequence[Zone], at: date | None, now_us: int, n_weeks: int = 4) -> Weeks:
    """The weeks from the Monday of a day on (default: of now) of all versions of one curfew or one zone, one or more."""
    last = versions[-1]
    name = last.schedule.timezone if last.schedule else getattr(last, "timezone", "UTC")
    zone = time_zone(name)
    today = to_datetime(now_us).astimezone(zone).date()
    day = min(max(at or today, date(2000, 1, 3)), date(2099, 10, 1))
    first = day - timedelta(days=day.weekday())
    n_days = 7 * n_weeks
    span = day_start(first, zone), day_start(first + timedelta(days=n_days), zone)
    windows, exceptions = _windows(versions, span), last.exceptions
    days = local_days(windows, first, n_days, name)
    weeks = tuple(_week(days[k : k + 7], windows, exceptions, name, today) for k in range(0, n_days, 7))
    change = next_change(max(today, first + timedelta(days=n_days)), name)
    return Weeks(weeks, name, first, first - timedelta(days=n_days), first + timedelta(days=n_days), change)


def _windows(versions: Sequence[Curfew] | Sequence[Zone], span: Interval) -> list[Interval]:
    if isinstance(versions[0], Curfew):
        return [(w.start_us, w.end_us) for w in windows_of([v for v in versions if isinstance(v, Curfew)], *span)]
    return merged(w for zone in versions if isinstance(zone, Zone) for w in zone.in_force(*span))


def _week(
    days: Sequence[LocalDay], windows: Sequence[Interval], exceptions: Sequence[ScheduleException], name: str, today: date
) -> Week:  # fmt: skip
    spans = days[0].start_us, days[-1].end_us
    begun = [w for w in windows if spans[0] <= w[0] < spans[1]]
    told = tuple(_told(w, exceptions, name) for w in begun)
    rows = tuple(_row(k, day, exceptions, name, today) for k, day in enumerate(days))
    return Week(f"Week from {days[0].words} {days[0].day.year}", rows, told)


def _row(number: int, day: LocalDay, exceptions: Sequence[ScheduleException], name: str, today: date) -> DayRow:
    """A day by the clock on the wall: the hour that is not there, or that comes twice, is marked."""
    bars = [_bar(a, b, "window", day, name) for a, b in day.windows]
    for one in exceptions:
        a, b = max(one.start_us, day.start_us), min(one.end_us, day.end_us)
        if a < b:
            bars.append(_bar(a, b, "extra" if one.kind == "extra" else "leave", day, name))
    note = ""
    if day.end_us - day.start_us != DAY_US:
        forward = day.n_hours < 24
        note = f"{day.n_hours:g} hours: the clocks go {'forward' if forward else 'back'}"
        x, width = _change(day, name)
        bars.append(Bar(x, width, "missing" if forward else "twice"))
    return DayRow(day.words + (" (today)" if day.day == today else ""), note, number * ROW, WIDTH, tuple(bars))


def _bar(start_us: int, end_us: int, kind: str, day: LocalDay, name: str) -> Bar:
    x, end = _x(start_us, day, name), WIDTH if end_us >= day.end_us else _x(end_us, day, name)
    return Bar(x, max(end - x, 1.0), kind)


def _x(time_us: int, day: LocalDay, name: str) -> float:
    return (_wall_us(time_us, name) - _wall_us(day.start_us, name)) * WIDTH / DAY_US


def _change(day: LocalDay, name: str) -> tuple[float, float]:
    """Where the clocks change in a day, and by how much, in units of the drawing."""
    quarters = range(day.start_us, day.end_us, HOUR_US // 4)
    offsets = [(_wall_us(at, name) - at, at) for at in (*quarters, day.end_us)]
    before, after, at = next((a[0], b[0], b[1]) for a, b in pairwise(offsets) if a[0] != b[0])
    start = (at + min(before, after) - _wall_us(day.start_us, name)) * WIDTH / DAY_US
    return start, abs(after - before) * WIDTH / DAY_US


def _told(window: Interval, exceptions: Sequence[ScheduleException], name: str) -> Window:
    start, end = window
    wall_us = _wall_us(end, name) - _wall_us(start, name)
    notes = []
    if wall_us != end - start:
        word = "an hour less" if end - start < wall_us else "an hour more"
        notes.append(
            f"{word} than the clock on the wall says" if abs(wall_us - end + start) == HOUR_US else "the clocks change"
        )
    for one in exceptions:
        if one.start_us <= end and one.end_us >= start:
            notes.append(one.kind + (f": {one.reason}" if one.reason else ""))
    return Window(local_words(start, name), local_words(end, name), length_words(end - start), "; ".join(notes))


def _wall_us(time_us: int, name: str) -> int:
    offset = to_datetime(time_us).astimezone(time_zone(name)).utcoffset()
    return time_us + (round(offset.total_seconds()) * 1_000_000 if offset else 0)
