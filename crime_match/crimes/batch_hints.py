"""Hints about the times of a police batch, which are UTC by its rules and local time in the hands of some who write it.

No number is impossible as UTC. What speaks for local time can be told soundly in four ways: the window ends after the day of
its batch by no more than the hour; the text gives its hours as they stand in the columns; the time stands in the hour that
local clocks skip or double; one crime stands there twice, an hour apart. All else in summer is one hint for the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache

from crime_match.crimes.fault import CrimeHint
from crime_match.crimes.moj_batch import COLUMNS, batch_date, parse_stamp
from crime_match.crimes.row import CrimeRow
from crime_match.crimes.time_hints import LONDON, NEAR_US, Span, TimeForm, exchange_days, is_changing
from engine.times import HOUR_US, MINUTE_US, to_datetime, to_iso
from geofence.schedule import day_start

_CLOCK = re.compile(
    r"(?<![\d:.])(\d{1,2}):(\d\d)(?![\d:])\s?([ap]m\b)?|(?<!\d)(\d\d)(\d\d)\s?(?:hrs|hours|h)\b", re.IGNORECASE
)


def exchange_stamp(text: str) -> str | None:
    """yyyyMMddHHmmss with day and month exchanged, None where the text is no such stamp."""
    return text[:4] + text[6:8] + text[4:6] + text[8:] if len(text) == 14 and text.isdigit() else None


def expected_by_batch(row: CrimeRow) -> Span | None:
    """A row's window is expected in the month before the end of its batch's day; None where the batch names no day."""
    end_us = _day_end(row.batch)
    return None if end_us is None else (end_us - NEAR_US, end_us)


FORM = TimeForm(lambda text, is_end: parse_stamp(text), exchange_stamp, expected_by_batch)


def batch_hints(row: CrimeRow) -> Iterator[CrimeHint]:
    """The hints of one row that only a batch can have."""
    if row.record.row == 1 and len(row.record.fields) == 13 and row.from_us is None and _is_header(row.record.fields):
        yield row.hint("LOOKS_LIKE_HEADER", None, None, "the first row looks like a header; a police batch has none")
    if row.from_us is None or row.to_us is None:
        return
    yield from _end_hints(row, row.to_us)
    for name, text, time_us in ((COLUMNS.from_, row.from_text, row.from_us), (COLUMNS.to, row.to_text, row.to_us)):
        change = is_changing(to_datetime(time_us).replace(tzinfo=None), LONDON) if text[8:10] == "01" else ""
        if change:
            yield row.hint("DAYLIGHT_SAVING_CHANGE", name, text, _CHANGES[change])
    if is_summer(row.from_us) and _tells_its_hours(row.text, row.from_us, row.to_us):
        message = "the text gives the time as it stands here, so that it looks like British Summer Time; the format is UTC"
        yield row.hint("LOOKS_LIKE_LOCAL_TIME", COLUMNS.from_, row.from_text, message)


def file_hints(rows: Sequence[CrimeRow]) -> Iterator[CrimeHint]:
    """The hints that a batch as a whole gives: crimes that stand there twice, an hour apart; and how many are in summer."""
    summer = [row for row in rows if row.crime is not None and is_summer(row.crime.from_us)]
    seen = {_key(row, 0): row for row in reversed(summer)}
    for row in summer:
        first = seen.get(_key(row, -HOUR_US)) or seen.get(_key(row, HOUR_US))
        if first is not None and first.record.row < row.record.row:
            message = (
                f"the crime of row {first.record.row} ({first.reference}), an hour apart: once in UTC, once in local time?"
            )
            yield row.hint("AN_HOUR_APART", COLUMNS.from_, row.from_text, message)
    if summer:
        n_good = sum(row.crime is not None for row in rows)
        message = (
            f"{len(summer)} of {n_good} windows lie in British Summer Time. The format is UTC; if the force wrote local time, "
            "they are an hour late, and nothing in the numbers tells"
        )
        yield summer[0].hint("SUMMER_TIME", COLUMNS.from_, None, message)


_CHANGES = {
    "skipped": "local clocks skip this hour, so that this is UTC, as the format says, or a slip of the pen",
    "doubled": "local clocks show this hour twice; if it is local time, nothing tells which of the two is meant",
}


def is_summer(time_us: int) -> bool:
    """Does British Summer Time hold at this instant?"""
    return _is_summer(time_us // HOUR_US)


def _end_hints(row: CrimeRow, to_us: int) -> Iterator[CrimeHint]:
    end_us = _day_end(row.batch)
    if end_us is None or to_us <= end_us or exchange_days(row, FORM) is not None:
        return
    if is_summer(to_us) and to_us <= end_us + HOUR_US:
        message = f"as UTC it ends after the day of its batch ({to_iso(end_us)}); as British Summer Time it does not"
        yield row.hint("LOOKS_LIKE_LOCAL_TIME", COLUMNS.to, row.to_text, message)
    else:
        yield row.hint("ENDS_AFTER_BATCH_DATE", COLUMNS.to, row.to_text, f"the day of its batch ends at {to_iso(end_us)}")


def _tells_its_hours(text: str, from_us: int, to_us: int) -> bool:
    """Does the text give the time of day of an end of the window as it stands in the column, and nowhere an hour later?"""
    told = set(_minutes(text))
    edges = {from_us // MINUTE_US % 1440, to_us // MINUTE_US % 1440}
    return bool(told & edges) and not told & {(edge + 60) % 1440 for edge in edges}


def _minutes(text: str) -> Iterator[int]:
    """The times of day in a text, as minutes after midnight: 22:30, 10:30pm, 2230hrs."""
    for match in _CLOCK.finditer(text):
        hour, minute = int(match[1] or match[4]), int(match[2] or match[5])
        if match[3] and 1 <= hour <= 12:
            hour = hour % 12 + (12 if match[3].lower() == "pm" else 0)
        if hour < 24 and minute < 60:
            yield hour * 60 + minute


def _key(row: CrimeRow, moved_us: int) -> tuple[object, ...]:
    crime = row.crime
    assert crime is not None
    return crime.force, crime.type, crime.lat, crime.lon, crime.from_us + moved_us, crime.to_us + moved_us


def _is_header(fields: Sequence[str]) -> bool:
    return "force" in fields[0].casefold() and "date" in fields[5].casefold()


@lru_cache(maxsize=65536)
def _is_summer(hour: int) -> bool:
    return bool(to_datetime(hour * HOUR_US).astimezone(LONDON).dst())


@lru_cache(maxsize=256)
def _day_end(batch: str) -> int | None:
    """The end of the local day that a batch id names [us UTC]."""
    day = batch_date(batch)
    return None if day is None else day_start(day + timedelta(days=1), LONDON)
