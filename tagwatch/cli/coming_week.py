"""Zones and curfews as a clerk reads them: what was understood, what was made of it, and the windows of the next seven days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.times import DAY_US, MINUTE_US, to_datetime
from geofence.curfew import Curfew
from geofence.curfew_windows import windows_of
from geofence.exceptions import ScheduleException
from geofence.remarks import row_text, zone_remarks
from geofence.schedule import Interval
from geofence.versions import FAR_US
from geofence.zone import EVERYBODY, Zone
from tagwatch.coming_weeks import dates_words, length_words, local_words, place_words
from tagwatch.configuration_remarks import remarks_of, rows_by_id

MOST_SHOWN = 20
WEEK_US = 7 * DAY_US


def curfew_lines(rows: Sequence[Any], curfews: Sequence[Curfew], at_us: int, *, every: bool) -> Iterator[str]:
    """The text of each curfew id; of a long list only of those with a remark, unless all are asked for."""
    today = to_datetime(at_us).date()
    by_id = _by_id(curfews)
    raw = rows_by_id(rows)
    for name, versions in by_id.items():
        remarks = list(dict.fromkeys(line for c in versions for line in remarks_of(c, raw[name], today)))
        if remarks or every or len(by_id) <= MOST_SHOWN:
            yield from _curfew(name, versions, remarks, at_us)


def zone_lines(zones: Sequence[Zone], at_us: int, *, every: bool) -> Iterator[str]:
    """The text of each zone id; of a long list only of those with a remark, unless all are asked for."""
    today = to_datetime(at_us).date()
    by_id = _by_id(zones)
    for name, versions in by_id.items():
        remarks = list(dict.fromkeys(line for zone in versions for line in zone_remarks(zone, today)))
        if remarks or every or len(by_id) <= MOST_SHOWN:
            yield from _zone(name, versions, remarks, at_us)


def _curfew(name: str, versions: list[Curfew], remarks: list[str], at_us: int) -> Iterator[str]:
    yield f"{name}, for {versions[-1].wearer}"
    for curfew in versions:
        yield from _since(curfew.holds, len(versions), curfew.schedule.timezone)
        yield f"  where    {', or '.join(place_words(place) for place in curfew.places)}"
        yield f"  rows     {'; '.join(row_text(row) for row in curfew.schedule.weekly)} ({curfew.schedule.timezone})"
        limit, dates = curfew.unverified_us / MINUTE_US, dates_words(curfew.schedule.valid_from, curfew.schedule.valid_to)
        yield f"  grace    {curfew.grace_us / MINUTE_US:g} min; unverified after {limit:g} min{dates}"
    yield from (f"  note     {line}" for line in remarks)
    yield from _exceptions(versions[-1].exceptions, at_us, versions[-1].schedule.timezone)
    windows = [(w.start_us, w.end_us) for w in windows_of(versions, at_us, at_us + WEEK_US)]
    yield from _times("window", windows, versions[-1].schedule.timezone)


def _zone(name: str, versions: list[Zone], remarks: list[str], at_us: int) -> Iterator[str]:
    last = versions[-1]
    whom = "everybody" if last.wearers == EVERYBODY else ", ".join(last.wearers)
    title = f"{name} ({last.name})" if last.name != name else name
    yield f"{title}, {last.kind} zone for {whom}"
    for zone in versions:
        local = zone.schedule.timezone if zone.schedule else zone.timezone
        yield from _since(zone.holds, len(versions), local)
        ring = f"; early warning within {zone.buffer_m:g} m" if zone.buffer_m else ""
        yield f"  where    {place_words(zone.place)}{ring}"
        if zone.schedule:
            yield f"  rows     {'; '.join(row_text(row) for row in zone.schedule.weekly)} ({local})"
        if dates := dates_words(zone.valid_from, zone.valid_to):
            yield f"  dates    {dates.removeprefix('; ')}"
    yield from (f"  note     {line}" for line in remarks)
    local = last.schedule.timezone if last.schedule else last.timezone
    yield from _exceptions(last.exceptions, at_us, local)
    in_force = [w for zone in versions for w in zone.in_force(at_us, at_us + WEEK_US)]
    if in_force == [(at_us, at_us + WEEK_US)]:
        yield "  in force all of the next 7 days"
        return
    yield from _times("in force", in_force, local)


def _exceptions(exceptions: Iterable[ScheduleException], at_us: int, zone_name: str) -> Iterator[str]:
    for one in exceptions:
        if one.end_us > at_us and one.start_us < at_us + WEEK_US:
            times = f"{local_words(one.start_us, zone_name)} to {local_words(one.end_us, zone_name)}"
            yield f"  except   {times}   {one.kind}{f' ({one.reason})' if one.reason else ''}"


def _times(what: str, windows: Sequence[Interval], zone_name: str) -> Iterator[str]:
    if not windows:
        yield f"  {what:8s} none in the next 7 days"
    for start, end in windows:
        yield f"  {what:8s} {local_words(start, zone_name)} to {local_words(end, zone_name)}   {length_words(end - start)}"


def _since(holds: Interval, n_versions: int, zone_name: str) -> Iterator[str]:
    if n_versions > 1 or holds != (-FAR_US, FAR_US):
        start = "the beginning" if holds[0] == -FAR_US else local_words(holds[0], zone_name, year=True)
        end = "" if holds[1] == FAR_US else f" to {local_words(holds[1], zone_name, year=True)}"
        yield f"  holds    from {start}{end}"


def _by_id(versions: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for version in versions:
        found.setdefault(version.id, []).append(version)
    return found
