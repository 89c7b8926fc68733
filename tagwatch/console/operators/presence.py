"""A wearer's day as a timeline: in, out or unknown at each place that matters, from the states of the filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from engine.database import Connection
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, from_datetime, to_datetime
from engine.trail import Trail
from geofence.curfew import Curfew
from geofence.episodes import episodes
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.schedule import Interval, day_start, time_zone
from geofence.zone import Zone
from tagwatch.console.managers.worn import worn_by
from tagwatch.monitor import Conditions, Monitor

BEFORE_US = 7 * DAY_US
"""How long before the day fixes are read: the filter forgets in less."""
WIDTH = 640
"""Of the drawing, for the whole day."""
STATES = {IN: "in", OUT: "out", UNKNOWN: "unknown", SINGLE: "single"}


class Stretch(NamedTuple):
    """[start_us, end_us) in one state, where it is drawn, and its local times in words."""

    state: str
    start_us: int
    end_us: int
    x: float
    width: float
    words: str


class Lane(NamedTuple):
    """One place: its states over the day, and the windows in which the wearer had to be there or must not be."""

    name: str
    kind: str
    stretches: list[Stretch]
    windows: list[Stretch]


class Day(NamedTuple):
    """[start_us, end_us) of a local day, its hours for the axis (x, words), and the lanes."""

    start_us: int
    end_us: int
    timezone: str
    name: str
    hours: list[tuple[float, str]]
    lanes: list[Lane]


def local_day(time_us: int, zone_name: str) -> Interval:
    """The local day that holds an instant."""
    zone = time_zone(zone_name)
    day = to_datetime(time_us).astimezone(zone).date()
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


def read_day(connection: Connection, conditions: Conditions, wearer: str, at_us: int, now_us: int, zone_name: str) -> Day:
    """The day about an instant, as far as it is over; `conditions` are the wearer's own."""
    start_us, end_us = local_day(at_us, zone_name)
    as_of_us = min(end_us, now_us)
    monitor = Monitor(conditions)
    devices = {row.device for row in worn_by(conditions, wearer)}
    monitor.take(FixStore(connection).read(devices=devices, from_us=start_us - BEFORE_US, to_us=as_of_us), as_of_us)
    trail = monitor.trails.get(wearer) or Trail(wearer)
    day = Day(start_us, end_us, zone_name, f"{to_datetime(start_us).astimezone(time_zone(zone_name)):%A %d %B %Y}",
              _hours(start_us, end_us, zone_name), [])  # fmt: skip
    return day._replace(lanes=list(_lanes(monitor, trail, day, as_of_us)))


def stretches(day: Day, states: Iterable[tuple[str, int, int]]) -> list[Stretch]:
    """States over time as they are drawn, cut to the day."""
    scale = WIDTH / (day.end_us - day.start_us)
    cut = [(state, max(a, day.start_us), min(b, day.end_us)) for state, a, b in states]
    return [
        Stretch(state, a, b, round((a - day.start_us) * scale, 2), round(max((b - a) * scale, 0.75), 2), _words(day, a, b))
        for state, a, b in cut if a < b
    ]  # fmt: skip


def _lanes(monitor: Monitor, trail: Trail, day: Day, as_of_us: int) -> Iterable[Lane]:
    """Curfew first, then zones; the ring of early warning is left out. Versions of one are one lane."""
    groups: dict[tuple[str, str], list[tuple[Zone | Curfew, list[tuple[str, int, int]]]]] = {}
    found = {(s.subject.kind, s.subject.of.id, s.subject.of.holds): s for s in monitor.watch.slots(trail.wearer)}
    for kind, of in _subjects(monitor.conditions):
        slot = found.get((kind, of.id, of.holds))
        every = episodes(slot, trail, monitor.watch, as_of_us) if slot else []
        states = [(STATES[e.state], e.start_us, min(e.end_us, as_of_us)) for e in every]
        if not states and kind == "exclusion":
            continue  # never near it
        low, high = of.holds
        groups.setdefault((kind, of.id), []).append((of, [(s, max(a, low), min(b, high)) for s, a, b in states]))
    for (kind, identifier), versions in groups.items():
        states = _filled(sorted(s for _, each in versions for s in each if s[1] < s[2]), day.start_us, as_of_us)
        required = [w for of, _ in versions for w in _windows(of, day)]
        name = next((of.name for of, _ in versions if isinstance(of, Zone)), f"Curfew: {identifier}")
        yield Lane(name, kind, stretches(day, states), stretches(day, (("due", a, b) for a, b in required)))


def _subjects(conditions: Conditions) -> list[tuple[str, Zone | Curfew]]:
    kinds = ("inclusion", "exclusion")
    zones = sorted(conditions.zones, key=lambda z: (kinds.index(z.kind), z.id, z.holds))
    return [
        *(("curfew", c) for c in sorted(conditions.curfews, key=lambda c: (c.id, c.holds))),
        *((z.kind, z) for z in zones),
    ]


def _filled(states: Sequence[tuple[str, int, int]], start_us: int, end_us: int) -> list[tuple[str, int, int]]:
    """What no state covers is unknown."""
    whole, at_us = [], start_us
    for state, a, b in sorted(states, key=lambda s: s[1]):
        if a > at_us:
            whole.append(("unknown", at_us, min(a, end_us)))
        whole.append((state, a, b))
        at_us = max(at_us, b)
    if at_us < end_us:
        whole.append(("unknown", at_us, end_us))
    return whole


def _windows(of: Zone | Curfew, day: Day) -> list[Interval]:
    return of.in_force(day.start_us, day.end_us) if isinstance(of, Zone) else of.windows(day.start_us, day.end_us)


def _hours(start_us: int, end_us: int, zone_name: str) -> list[tuple[float, str]]:
    """Every third local hour; a day of a change of clocks has 23 or 25 of them."""
    zone, found = time_zone(zone_name), []
    for at_us in range(start_us, end_us, HOUR_US):
        at = to_datetime(at_us).astimezone(zone)
        if at.hour % 3 == 0 and at.minute == 0 and not (at.fold and from_datetime(at) != at_us):
            found.append((round((at_us - start_us) * WIDTH / (end_us - start_us), 2), f"{at:%H:%M}"))
    return found


def _words(day: Day, start_us: int, end_us: int) -> str:
    zone = time_zone(day.timezone)
    end = "24:00" if end_us == day.end_us else f"{to_datetime(end_us).astimezone(zone):%H:%M:%S}"
    return f"{to_datetime(start_us).astimezone(zone):%H:%M:%S} to {end}"
