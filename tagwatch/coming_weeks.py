"""What conditions come to in the days ahead, in the local time of their schedule: for the commands and for the console."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from engine.times import DAY_US, HOUR_US, MINUTE_US, to_datetime
from geofence.schedule import Interval, day_start, time_zone
from geofence.zone import Circle, Place

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class LocalDay(NamedTuple):
    """One local day [start_us, end_us), 23 or 25 hours long where the clocks change, and what of the windows lies in it."""

    day: date
    start_us: int
    end_us: int
    windows: tuple[Interval, ...]

    @property
    def n_hours(self) -> float:
        """How long the day is."""
        return (self.end_us - self.start_us) / HOUR_US

    @property
    def words(self) -> str:
        """Such as `Sun 29 Mar`."""
        return f"{_WEEKDAYS[self.day.weekday()]} {self.day.day:02d} {_MONTHS[self.day.month - 1]}"


def local_days(windows: Sequence[Interval], first: date, n_days: int, zone_name: str) -> list[LocalDay]:
    """The local days from `first` on, each with its share of the windows."""
    zone = time_zone(zone_name)
    edges = [day_start(first + timedelta(days=k), zone) for k in range(n_days + 1)]
    return [
        LocalDay(first + timedelta(days=k), a, b, tuple((max(s, a), min(e, b)) for s, e in windows if s < b and e > a))
        for k, (a, b) in enumerate(pairwise(edges))
    ]


def next_change(first: date, zone_name: str) -> date | None:
    """The first day from `first` on, within a year, on which the clocks change; None where they do not."""
    days = local_days((), first, 366, zone_name)
    return next((one.day for one in days if one.end_us - one.start_us != DAY_US), None)


def local_words(time_us: int, zone_name: str, *, year: bool = False) -> str:
    """Such as `Sun 29 Mar 19:00`, by the clock on the wall."""
    at = to_datetime(time_us).astimezone(time_zone(zone_name))
    return f"{_WEEKDAYS[at.weekday()]} {at.day:02d} {_MONTHS[at.month - 1]} {f'{at.year} ' if year else ''}{at:%H:%M}"


def length_words(length_us: int) -> str:
    """Such as `11 h 30 min`."""
    hours, minutes = length_us // HOUR_US, length_us % HOUR_US // MINUTE_US
    return " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes or not hours else []))


def place_words(place: Place) -> str:
    """A disc by its radius and centre, an area by a point in it."""
    if isinstance(place, Circle):
        return f"{place.radius_m:g} m about {place.lat_e7 / 1e7:.5f}, {place.lon_e7 / 1e7:.5f}"
    middle = place.representative_point()
    return f"an area about {middle.y:.5f}, {(middle.x + 180.0) % 360.0 - 180.0:.5f}"


def dates_words(first: object, last: object) -> str:
    """The dates of validity, to be put behind something; empty where there are none."""
    return (f"; from {first}" if first else "") + (f"; to {last}, that day included" if last else "")
