"""Our own CSV of crimes: a header with force, reference, type, from, to and a place, columns in any order.

The place is lat and lon (WGS84, anywhere), or easting and northing, or grid_ref: one of the three in each row. uncertainty_m
and text are optional, unknown columns are ignored. force and type may be empty: the reference alone then names the crime. A
time carries an offset, or is epoch seconds, or is local in a zone that is given. Rows are counted from 1 after the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from crime_match.crimes.csv_records import Record
from crime_match.crimes.national_grid import read_reference
from crime_match.crimes.row import (
    Columns,
    CrimeRow,
    Limits,
    check_place,
    check_reference,
    check_text,
    check_window,
    read_number,
    settle_rows,
    why,
)
from engine.errors import InputError
from engine.times import DAY_US, in_range, parse_time
from geofence.schedule import wall_instant

COLUMNS = Columns("force", "type", "reference", "from", "to", "easting", "northing", "lat", "lon", "text")
LIMITS = Limits(31 * DAY_US, ((0.0, 700_000.0), (0.0, 1_250_000.0), (-90.0, 90.0), (-180.0, 180.0)), read_number)
MAX_UNCERTAINTY_M = 100_000.0
REQUIRED = ("force", "reference", "type", "from", "to")
PLACES = (("lat", "lon"), ("easting", "northing"), ("grid_ref",))
KNOWN = (*REQUIRED, *(name for names in PLACES for name in names), "uncertainty_m", "text")
EXPECTED = "a header with force,reference,type,from,to,lat,lon and, if wanted, uncertainty_m,text"
_EPOCH = re.compile(r"[+-]?\d+(\.\d*)?")


def check_header(names: Sequence[str], place: str) -> None:
    """InputError where the header lacks a column that is needed, or has one twice."""
    missing = [name for name in REQUIRED if name not in names]
    if not any(set(pair) <= set(names) for pair in PLACES):
        missing.append("lat and lon (or easting and northing, or grid_ref)")
    if missing:
        raise InputError(f"the header has no column {', '.join(missing)}", place=place, expected=EXPECTED)
    twice = [name for name in KNOWN if names.count(name) > 1]
    if twice:
        raise InputError(f"the header has column {twice[0]} more than once", place=place, expected=EXPECTED)


def read_rows(names: Sequence[str], records: Iterable[Record], zone: ZoneInfo | None = None) -> list[CrimeRow]:
    """All rows after the header, good or bad, each with all its faults; `zone` is that of times without an offset."""
    at = {name: names.index(name) for name in KNOWN if name in names}
    rows = [_read_row(record, at, len(names), zone) for record in records]
    settle_rows(rows, COLUMNS)
    return rows


def parse_moment(text: str, is_end: bool = False, zone: ZoneInfo | None = None, field: str = "time") -> int:
    """A time [us UTC]. A local one that occurs twice is the first for a start and the second for an end, one that does not
    exist is the instant of the change, as everywhere in Tagwatch: the window is never narrower than what was meant."""
    time_us = parse_time(text, zone, field)
    if zone is None or _EPOCH.fullmatch(text):
        return time_us
    wall = datetime.fromisoformat(text.replace(",", ".").replace("z", "Z"))
    return in_range(wall_instant(wall, zone, is_end=is_end), text, field) if wall.tzinfo is None else time_us


def _read_row(record: Record, at: dict[str, int], n_columns: int, zone: ZoneInfo | None) -> CrimeRow:
    row = CrimeRow(record)
    if record.error or len(record.fields) != n_columns:
        reason = record.error or f"has {len(record.fields)} columns"
        row.fault("INVALID_COLUMN_COUNT", None, None, f"{reason}; the header has {n_columns}")
        return row
    fields = {name: record.fields[k].strip() for name, k in at.items()}
    row.force, row.reference, row.type = fields["force"], fields["reference"], fields["type"]
    row.from_text, row.to_text, row.text = fields["from"], fields["to"], fields.get("text", "")
    row.place_texts = tuple(fields.get(name, "") for name in COLUMNS[5:9])  # type: ignore[assignment]
    for name, value in (("force", row.force), ("type", row.type)):
        check_text(row, name, value)
    check_reference(row, "reference")
    row.from_us = _read_time(row, "from", row.from_text, zone)
    row.to_us = _read_time(row, "to", row.to_text, zone)
    check_window(row, "to", LIMITS)
    reference = fields.get("grid_ref", "")
    check_place(row, COLUMNS, LIMITS, reference)
    _read_uncertainty(row, fields.get("uncertainty_m", ""))
    _read_grid_reference(row, reference)
    check_text(row, "text", row.text)
    return row


def _read_time(row: CrimeRow, name: str, text: str, zone: ZoneInfo | None) -> int | None:
    code = "INVALID_FROM_DATE_FORMAT" if name == "from" else "INVALID_TO_DATE_FORMAT"
    try:
        return parse_moment(text, name == "to", zone, name)
    except InputError as error:
        row.fault(code, name, text, why(error).removeprefix("a time that no tag can have; "))
        return None


def _read_uncertainty(row: CrimeRow, text: str) -> None:
    if not text:
        return
    number = read_number(text)
    if number is None:
        row.fault("INVALID_NUMBER", "uncertainty_m", text, "expected a number in plain digits")
    elif not 0.0 <= number <= MAX_UNCERTAINTY_M:
        row.fault("INVALID_UNCERTAINTY", "uncertainty_m", text, f"expected metres from 0 to {MAX_UNCERTAINTY_M:.0f}")
    else:
        row.uncertainty_m = number


def _read_grid_reference(row: CrimeRow, text: str) -> None:
    """The centre of the square; half its diagonal is added to the uncertainty, so that every place in it is covered."""
    if not text or any(row.place_texts):
        return
    try:
        square = read_reference(text)
    except InputError as error:
        row.fault("INVALID_GRID_REFERENCE", "grid_ref", text, why(error))
        return
    row.east, row.north = square.easting_m, square.northing_m
    row.uncertainty_m += square.uncertainty_m
    if row.uncertainty_m > MAX_UNCERTAINTY_M:
        message = f"{row.uncertainty_m:.0f} m with the square; expected at most {MAX_UNCERTAINTY_M:.0f}"
        row.fault("INVALID_UNCERTAINTY", "grid_ref", text, message)
