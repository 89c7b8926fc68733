"""Hints about times: day and month exchanged, windows of odd length or date, and local times in a file of any form.

The hints that belong to the police batch alone, which is written in UTC, are in `batch_hints`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from crime_match.crimes.fault import CrimeHint
from crime_match.crimes.own_csv import parse_moment
from crime_match.crimes.row import Columns, CrimeRow, length_of
from engine.errors import InputError
from engine.times import DAY_US, HOUR_US, to_datetime, to_iso

LONDON = ZoneInfo("Europe/London")
LONG_US = 12 * HOUR_US
NEAR_US, SLACK_US = 31 * DAY_US, 14 * DAY_US
_ISO_DAY = re.compile(r"^(\d{4})-(\d\d)-(\d\d)", re.ASCII)
MIN_CENTRE = 5

Span = tuple[int, int]


class TimeForm(NamedTuple):
    """How a form of file writes times: read one (as a start, or True as an end) or None, exchange its day and month (None
    where there are none), and between which instants a row's window is expected [us UTC], None where the file cannot tell."""

    parse: Callable[[str, bool], int | None]
    exchange: Callable[[str], str | None]
    expected: Callable[[CrimeRow], Span | None]


def time_hints(row: CrimeRow, columns: Columns, form: TimeForm) -> Iterator[CrimeHint]:
    """The hints that rows of every form can have about their times."""
    if row.from_us is not None and row.from_us == row.to_us:
        yield row.hint("ZERO_LENGTH_WINDOW", columns.to, row.to_text, "the window is one instant; is that meant?")
    if row.crime is not None and row.crime.to_us - row.crime.from_us > LONG_US:
        message = "the window is longer than the 12 hours of the police batch; the longer it is, the less a match says"
        yield row.hint("WINDOW_OVER_12_HOURS", columns.to, length_of(row.crime.to_us - row.crime.from_us), message)
    exchanged = exchange_days(row, form)
    if exchanged is not None:
        in_from, (from_us, to_us) = exchanged
        name, value = (columns.from_, row.from_text) if in_from else (columns.to, row.to_text)
        window = f"{to_iso(from_us)} to {to_iso(to_us)}"
        message = f"day and month look exchanged: as written the window is not likely, exchanged it is {window}"
        yield row.hint("DAY_MONTH_SWAPPED", name, value, message)


def exchange_days(row: CrimeRow, form: TimeForm) -> tuple[bool, Span] | None:
    """Where the window is not likely as written, but is so with day and month exchanged (in both ends, else in one): is the
    start's text another one then, and the window [us UTC]."""
    expected = form.expected(row)
    if _is_likely(row.from_us, row.to_us, expected, slack_us=SLACK_US):
        return None
    start, end = form.exchange(row.from_text), form.exchange(row.to_text)
    pairs = ((start, end), (start, row.to_text), (row.from_text, end))
    for one, other in pairs:
        if one is None or other is None or (one, other) == (row.from_text, row.to_text):
            continue
        from_us, to_us = form.parse(one, False), form.parse(other, True)
        if from_us is not None and to_us is not None and _is_likely(from_us, to_us, expected):
            return one != row.from_text, (from_us, to_us)
    return None


def expected_about(rows: Sequence[CrimeRow]) -> Span | None:
    """A month on both sides of the file's middle window, where three quarters of the good ones begin in it; else None."""
    starts = [row.crime.from_us for row in rows if row.crime is not None]
    if len(starts) < MIN_CENTRE:
        return None
    middle = int(median(starts))
    near = sum(abs(start - middle) <= NEAR_US for start in starts)
    return (middle - NEAR_US, middle + NEAR_US) if near * 4 >= len(starts) * 3 else None


def csv_times(rows: Sequence[CrimeRow], zone: ZoneInfo | None) -> TimeForm:
    """How our own CSV writes times: ISO 8601, by the parser that read the rows; expected about the file's other windows."""
    expected = expected_about(rows)

    def parse(text: str, is_end: bool) -> int | None:
        try:
            return parse_moment(text, is_end, zone)
        except InputError:
            return None

    return TimeForm(parse, lambda text: _ISO_DAY.sub(r"\1-\3-\2", text), lambda row: expected)


def is_changing(wall: datetime, zone: ZoneInfo) -> str:
    """`skipped` where a naive local time does not exist, `doubled` where it occurs twice, else empty."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first == second or first is None or second is None:
        return ""
    return "doubled" if second < first else "skipped"


def local_hints(row: CrimeRow, columns: Columns, zone: ZoneInfo | None) -> Iterator[CrimeHint]:
    """Of our own CSV: local times in the hour of a change, and offsets that London does not have on that day."""
    for name, text, time_us in ((columns.from_, row.from_text, row.from_us), (columns.to, row.to_text, row.to_us)):
        wall = None if time_us is None else _written(text)
        if wall is None or time_us is None:
            continue
        if wall.tzinfo is None:
            if zone is not None and (change := is_changing(wall, zone)):
                yield row.hint(
                    "DAYLIGHT_SAVING_CHANGE", name, text, f"{_CHANGES[change]} in {zone.key}; taken as {to_iso(time_us)}"
                )
        elif wall.utcoffset() and _is_off(wall, time_us, zone or _home(row)):
            message = f"the offset is not that of {(zone or LONDON).key} on that day: an hour off for daylight saving?"
            yield row.hint("OFFSET_OF_ANOTHER_SEASON", name, text, message)


_CHANGES = {
    "skipped": "the clocks go forward and this local time does not exist",
    "doubled": "the clocks go back and this local time occurs twice",
}


def _written(text: str) -> datetime | None:
    """The wall time of ISO 8601 as it stands there; None for epoch seconds."""
    try:
        return datetime.fromisoformat(text.replace(",", ".").replace("z", "Z")) if "-" in text[1:] else None
    except ValueError:
        return None


def _is_off(wall: datetime, time_us: int, zone: ZoneInfo | None) -> bool:
    if zone is None:
        return False
    offset, local = wall.utcoffset(), to_datetime(time_us).astimezone(zone).utcoffset()
    return offset is not None and local is not None and abs((offset - local).total_seconds()) == 3600


def _home(row: CrimeRow) -> ZoneInfo | None:
    """London's zone for a place in Great Britain and the seas about it, else none is known."""
    in_britain = row.lat is not None and row.lon is not None and 49.5 <= row.lat <= 61.5 and -8.5 <= row.lon <= 2.6
    return LONDON if in_britain else None


def _is_likely(from_us: int | None, to_us: int | None, expected: Span | None, slack_us: int = 0) -> bool:
    if from_us is None or to_us is None or not 0 <= to_us - from_us <= LONG_US:
        return False
    return expected is None or (expected[0] - slack_us <= from_us and to_us <= expected[1])
