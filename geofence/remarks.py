"""Remarks on zones and curfews that are right as written and may yet not be what was meant: each one line for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from engine.times import DAY_US, to_datetime
from geofence.curfew import Curfew
from geofence.exceptions import ScheduleException
from geofence.known_keys import near
from geofence.schedule import DAYS, Interval, Schedule, WeeklyWindow, by_minutes, is_endless, local_instant, time_zone
from geofence.zone import PROPERTIES, Zone

_YEAR = 366


def curfew_remarks(row: Mapping[str, Any], curfew: Curfew, today: date) -> list[str]:
    """What is worth saying of a curfew; `row` is the JSON that it was read from."""
    bare = curfew._replace(exceptions=tuple(e for e in curfew.exceptions if e.kind == "extra"))
    found = [*repeated_days(row["weekly"]), *row_remarks(curfew.schedule), *empty_nights(curfew.schedule, today)]
    for number, one in enumerate(curfew.exceptions, 1):
        what = f"exception {number} ({one.kind}, {_span(one, curfew.schedule.timezone)})"
        if one in curfew.exceptions[: number - 1]:
            found.append(f"{what} comes twice")
        elif one.kind == "authorised" and not _meets(bare, one):
            found.append(f"{what} lies outside every window: it changes nothing")
        elif one.kind == "extra" and _lies_in(curfew._replace(exceptions=()), one):
            found.append(f"{what} lies in a window as it is: it changes nothing")
    return found


def zone_remarks(zone: Zone, today: date) -> list[str]:
    """What is worth saying of a zone."""
    found = [*row_remarks(zone.schedule, of_zone=True), *empty_nights(zone.schedule, today)] if zone.schedule else []
    local = zone.schedule.timezone if zone.schedule else zone.timezone
    for number, one in enumerate(zone.exceptions, 1):
        what = f"exception {number} ({one.kind}, {_span(one, local)})"
        if one in zone.exceptions[: number - 1]:
            found.append(f"{what} comes twice")
        elif not zone._replace(exceptions=()).in_force(one.start_us, one.end_us):
            found.append(f"{what} lies where the zone is not in force: it changes nothing")
    return found


def foreign_properties(raw: Any) -> list[str]:
    """The properties of a GeoJSON file's features that are not Tagwatch's: slips of the pen one by one, others by name."""
    slips: list[str] = []
    others: dict[str, int] = {}
    for number, feature in enumerate(raw["features"], 1):
        for key in feature["properties"]:
            if key in PROPERTIES:
                continue
            if meant := near(key, PROPERTIES):
                name = feature["properties"].get("id")
                slips.append(f"feature {number} (id {name}): {key} is not known and passed over; is {meant} meant?")
            else:
                others[key] = others.get(key, 0) + 1
    named = ", ".join(f"{key} ({n})" for key, n in sorted(others.items()))
    return [*slips, *([f"properties that mean nothing here are passed over: {named}"] if named else [])]


def repeated_days(weekly: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Rows that name a day twice."""
    for number, row in enumerate(weekly, 1):
        twice = [day for day in DAYS if row["days"].count(day) > 1]
        if twice:
            yield f"row {number} names {', '.join(twice)} twice"


def row_remarks(schedule: Schedule, *, of_zone: bool = False) -> Iterator[str]:
    """Rows that say the same, overlap or touch, and what was made of them; a zone is in force from one day to the next."""
    rows = list(enumerate(schedule.weekly, 1))
    for (i, one), (j, two) in combinations(rows, 2):
        if one == two:
            yield f"row {j} says the same as row {i}: {row_text(one)}"
        elif days := _days(one, two, lambda a, b: a[0] < b[1] and b[0] < a[1]):
            yield f"row {i} ({row_text(one)}) on {days} and row {j} ({row_text(two)}) overlap: one window"
        elif days := _days(one, two, lambda a, b: a[1] == b[0] or b[1] == a[0]):
            apart = not of_zone and (_is_whole_day(one) or _is_whole_day(two))
            made = "a whole day stays a window of its own" if apart else "one window"
            yield f"row {i} ({row_text(one)}) on {days} and row {j} ({row_text(two)}) touch: {made}"
    if is_endless(schedule.weekly):
        yield f"no minute of the week is free: {'in force at all times' if of_zone else 'each day is a window'}"


def row_text(row: WeeklyWindow) -> str:
    """A row as courts write it: `Mon-Fri 22:00-06:00`."""
    return f"{_day_names(row.days)} {_clock(row.start_minute)}-{_clock(row.end_minute)}"


def empty_nights(schedule: Schedule, today: date) -> Iterator[str]:
    """Windows of the coming year that are gone for a day, because the clocks go forward over all of them."""
    zone = time_zone(schedule.timezone)
    for day in _days_of_change(zone, today):
        for number, row in enumerate(schedule.weekly, 1):
            if day.weekday() not in row.days:
                continue
            start = local_instant(day, row.start_minute, zone, is_end=False)
            if start >= local_instant(day + timedelta(days=row.length_days), row.end_minute, zone, is_end=True):
                yield f"row {number} ({row_text(row)}) has no window on {day}: the clocks go forward over it"


@lru_cache(maxsize=64)
def _days_of_change(zone: ZoneInfo, today: date) -> tuple[date, ...]:
    """The days of the coming year from whose midnight to the next the clocks change."""
    days = [today + timedelta(days=k) for k in range(_YEAR)]
    midnights = [local_instant(day, 0, zone, is_end=False) for day in days]
    return tuple(day for day, (a, b) in zip(days[:-1], pairwise(midnights), strict=True) if b - a != DAY_US)


def _days(one: WeeklyWindow, two: WeeklyWindow, belong: Callable[[Interval, Interval], bool]) -> str:
    """The days of the first row on which it and the second belong together."""
    others = [span for _, span in by_minutes((two,))]
    mine = [(day, span) for day, span in by_minutes((one,)) if 0 <= day < 7]
    return _day_names([day for day, span in mine if any(belong(span, other) for other in others)])


def _is_whole_day(row: WeeklyWindow) -> bool:
    return (row.start_minute, row.end_minute) == (0, 24 * 60)


def _day_names(days: Sequence[int]) -> str:
    """`Mon-Fri`, `Sat, Sun`."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [DAYS[day].capitalize() for day in range(7)]
    return ", ".join(
        f"{names[run[0]]}-{names[run[-1]]}" if len(run) > 2 else ", ".join(names[day] for day in run) for run in runs
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _span(one: ScheduleException, zone_name: str) -> str:
    zone = time_zone(zone_name)
    start, end = (to_datetime(t).astimezone(zone) for t in (one.start_us, one.end_us))
    return f"{start:%Y-%m-%d %H:%M} to {end:{'%H:%M' if start.date() == end.date() else '%Y-%m-%d %H:%M'}}"


def _meets(curfew: Curfew, one: ScheduleException) -> bool:
    return any(a < one.end_us and b > one.start_us for a, b in curfew.windows(one.start_us, one.end_us))


def _lies_in(curfew: Curfew, one: ScheduleException) -> bool:
    return any(a <= one.start_us and b >= one.end_us for a, b in curfew.windows(one.start_us, one.end_us))
