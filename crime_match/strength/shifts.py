"""The same clock hours on other days: the windows that a crime's own window is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from engine.times import DAY_US, to_datetime, to_iso
from geofence.schedule import day_start, time_zone, wall_instant

LONDON = "Europe/London"
MOST_DAYS = 63
"""No block of days is longer: nine weeks, and the days fit the bits of a signed 64-bit number."""
ROUTINE_DAYS = 28


class Shifted(NamedTuple):
    """Windows (n,) int64: by how many days each is shifted (0: the crime's own), its padded start and end [us UTC]."""

    days: NDArray[np.int64]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]


class Calendar(NamedTuple):
    """The period of the data [us UTC, both ends included], the zone whose wall clock and weekdays count, and whether Monday
    to Friday and Saturday to Sunday are compared apart."""

    first_us: int
    last_us: int
    timezone: str = LONDON
    by_class: bool = True

    def record(self) -> dict[str, Any]:
        """The calendar as parameters of a run."""
        edges = {"from": to_iso(self.first_us), "to": to_iso(self.last_us)}
        return edges | {"timezone": self.timezone, "by_class": self.by_class, "most_days": MOST_DAYS}


def step_days(question: Question) -> int:
    """By how many days, or a multiple, a window is shifted: 1; a padded window longer than a day: the weeks that it fills."""
    length_us = question.end_us - question.start_us
    return 1 if length_us <= DAY_US else 7 * -(-length_us // (7 * DAY_US))


def is_weekend(question: Question, days: int, timezone: str) -> bool:
    """Whether the unpadded window, so many days later, starts on a Saturday or Sunday: Friday's night is Friday's."""
    return (_wall(question.from_us, time_zone(timezone)).weekday() + days) % 7 >= 5


def shifted(question: Question, days: Iterable[int], timezone: str) -> Shifted:
    """The window moved by whole days on the wall clock, then padded.

    A time that does not exist on such a day is the instant of the change; one that occurs twice is the first for the start and
    the second for the end. By 0 days it is the crime's own window.
    """
    zone, listed = time_zone(timezone), list(days)
    from_wall, to_wall = _wall(question.from_us, zone), _wall(question.to_us, zone)
    rows = [(question.from_us, question.to_us) if d == 0 else _moved(from_wall, to_wall, d, zone) for d in listed]
    # Clocks that went back within the window can turn wall times round: it keeps its length then.
    length_us = question.to_us - question.from_us
    edges = np.array([(a, b if b >= a else a + length_us) for a, b in rows], np.int64).reshape(-1, 2)
    return Shifted(np.array(listed, np.int64), edges[:, 0] - question.pad_us, edges[:, 1] + question.pad_us)


def comparable(question: Question, days: Iterable[int], timezone: str, by_class: bool = True) -> list[int]:
    """Those of these shifts that are multiples of the window's step and lead to its own class of weekday."""
    step, weekday = step_days(question), _wall(question.from_us, time_zone(timezone)).weekday()
    return [d for d in days if d % step == 0 and not (by_class and ((weekday + d) % 7 >= 5) != (weekday >= 5))]


def before(question: Question, timezone: str) -> Shifted:
    """The comparable windows of the previous 28 days, newest first; none of them meets the window itself."""
    days = comparable(question, range(-1, -ROUTINE_DAYS - 1, -1), timezone)
    found = shifted(question, days, timezone)
    return Shifted(*(column[found.end_us < question.start_us] for column in found))


def within_block(question: Question, calendar: Calendar) -> Shifted:
    """The comparable windows that lie in the period, of the window's own block of days, its own too; oldest first.

    The period's days are cut into as few blocks as there must be for none to be longer than 63 days, all of one length but
    for a day. As a block holds the same days whichever of them is the crime's, a crime whose day is chance is drawn from the
    windows that it is compared with.
    """
    zone = time_zone(calendar.timezone)
    first, last = (_wall(edge, zone).date() for edge in (calendar.first_us, calendar.last_us))
    own = (_wall(question.from_us, zone).date() - first).days
    n_days = (last - first).days + 1
    n_blocks = max(1, -(-n_days // MOST_DAYS))
    block = own * n_blocks // n_days
    days = [d - own for d in range(n_days) if d * n_blocks // n_days == block and d != own]
    kept = sorted([0, *comparable(question, days, calendar.timezone, calendar.by_class)])
    found = shifted(question, kept, calendar.timezone)
    inside = (found.days == 0) | ((found.start_us >= calendar.first_us) & (found.end_us <= calendar.last_us))
    return Shifted(*(column[inside] for column in found))


def _wall(time_us: int, zone: ZoneInfo) -> datetime:
    return to_datetime(time_us).astimezone(zone).replace(tzinfo=None)


def _moved(from_wall: datetime, to_wall: datetime, days: int, zone: ZoneInfo) -> tuple[int, int]:
    by = timedelta(days=days)
    return _instant(from_wall + by, zone, is_end=False), _instant(to_wall + by, zone, is_end=True)


def _instant(wall: datetime, zone: ZoneInfo, *, is_end: bool) -> int:
    midnight_us = _midnight_us(wall.date(), zone)
    if midnight_us is None:
        return wall_instant(wall, zone, is_end=is_end)
    return midnight_us + (wall - datetime.combine(wall.date(), datetime.min.time())) // timedelta(microseconds=1)


@lru_cache(maxsize=65536)
def _midnight_us(day: date, zone: ZoneInfo) -> int | None:
    """The instant at which a local day of 24 hours by a steady clock begins; None for a day on which clocks change."""
    start_us, end_us = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    return start_us if end_us - start_us == DAY_US else None
