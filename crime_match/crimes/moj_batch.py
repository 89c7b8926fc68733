"""The police batch: a CSV of 13 columns without a header, one crime a record, with the ministry's codes for its faults.

Stricter than the ministry's reader: every date and number must be plain and exist, the batch id has no tail, a reference
stands once. A row is a CSV record, counted from 1 (blank lines are none); text in quotes may run over several lines, so a
fault gives the line, too, on which its row starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache

from crime_match.crimes.csv_records import Record
from crime_match.crimes.fault import CrimeFault
from crime_match.crimes.row import (
    Columns,
    CrimeRow,
    Limits,
    check_place,
    check_reference,
    check_text,
    check_window,
    read_plain,
    settle_rows,
)
from engine.times import DAY_US, HOUR_US, SECOND_US, to_datetime

FORCES = {
    "AvonSomerset": "AVS", "Bedfordshire": "BFD", "Cheshire": "CHS", "CoLP": "CoLP", "Cumbria": "CMB", "Derbyshire": "DBY",
    "Durham": "DUR", "Essex": "ESX", "Gloucestershire": "GLC", "Gwent": "GWP", "Hampshire": "HAM", "Hertfordshire": "HRT",
    "Humberside": "HMB", "Kent": "KNT", "Metropolitan": "MPS", "NorthWales": "NWL", "Nottinghamshire": "NOT",
    "Sussex": "SXP", "WestMidlands": "WMP",
}  # fmt: skip
"""The police forces of the format, each with the code that its batch ids begin with."""
TYPES = {
    "RB": "Robbery", "BIAD": "Burglary in a dwelling", "AB": "Aggravated burglary",
    "BOTD": "Burglary in a building other than a dwelling", "TOMV": "Theft of a vehicle",
    "TFP": "Theft from the person of another", "TFMV": "Theft from a vehicle",
}  # fmt: skip
"""The crime types of the format."""
N_COLUMNS = 13
COLUMNS = Columns(
    "policeForce", "crimeTypeId", "crimeReference", "dateFrom", "dateTo", "easting", "northing", "latitude", "longitude",
    "crimeText",
)  # fmt: skip
LIMITS = Limits(12 * HOUR_US, ((0.0, 600_000.0), (0.0, 1_300_000.0), (49.5, 61.5), (-8.5, 2.6)), read_plain)
_BATCH = re.compile(r"([A-Za-z]+)([0-9]{8})(-[0-9])?(-[RAra])?")
_STAMP = re.compile(r"[0-9]{14}")


def read_rows(records: Iterable[Record]) -> list[CrimeRow]:
    """All rows of a batch, good or bad, each with all its faults."""
    rows = [_read_row(record) for record in records]
    settle_rows(rows, COLUMNS)
    return rows


def parse_stamp(text: str, is_end: bool = False) -> int | None:
    """yyyyMMddHHmmss, taken as UTC [us]; None where it is not that, does not exist, or lies outside 2000 to 2099."""
    if not _STAMP.fullmatch(text):
        return None
    day_us, hour, minute, second = _day(text[:8]), int(text[8:10]), int(text[10:12]), int(text[12:])
    if day_us is None or hour > 23 or minute > 59 or second > 59:
        return None
    return day_us + (hour * 3600 + minute * 60 + second) * SECOND_US


def batch_date(batch: str) -> date | None:
    """The day that a batch id names, None where it names none."""
    match = _BATCH.fullmatch(batch)
    day_us = _day(match[2]) if match else None
    return None if day_us is None else to_datetime(day_us).date()


def batch_faults(rows: Sequence[CrimeRow]) -> list[CrimeFault]:
    """What is wrong with the batch as a whole, of its good rows: two forces, or two batch ids. Each names the first row that
    differs from the first good one; the ministry then takes no row of the batch."""
    good = [row for row in rows if row.crime is not None]
    for code, name, values in (
        ("MULTIPLE_POLICE_FORCES", COLUMNS.force, [row.force for row in good]),
        ("MULTIPLE_BATCH_IDS", "batchId", [row.batch for row in good]),
    ):
        other = next((k for k, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            first, record = good[0].record, good[other].record
            message = f"row {first.row} has {values[0]}; expected one in a batch, so that the whole batch is refused"
            return [CrimeFault(record.row, code, name, values[other], message, record.line)]
    return []


def _read_row(record: Record) -> CrimeRow:
    row = CrimeRow(record)
    if record.error or len(record.fields) != N_COLUMNS:
        reason = record.error or f"has {len(record.fields)} columns"
        row.fault("INVALID_COLUMN_COUNT", None, None, f"{reason}; expected {N_COLUMNS}, separated by commas")
        return row
    fields = [text.strip() for text in record.fields]
    row.force, row.type, row.batch, row.reference = fields[0].replace("\ufeff", "").strip(), fields[1].upper(), *fields[3:5]
    row.from_text, row.to_text, row.text = fields[5], fields[6], fields[12]
    row.place_texts = (fields[7], fields[8], fields[9], fields[10])
    if row.force not in FORCES:
        row.fault("INVALID_POLICE_FORCE", COLUMNS.force, row.force, "expected one of " + ", ".join(FORCES))
    if row.type not in TYPES:
        row.fault("INVALID_CRIME_TYPE", COLUMNS.type, fields[1], "expected one of " + ", ".join(TYPES))
    _check_batch(row)
    check_reference(row, COLUMNS.reference)
    row.from_us = _read_stamp(row, COLUMNS.from_, row.from_text, "INVALID_FROM_DATE_FORMAT")
    row.to_us = _read_stamp(row, COLUMNS.to, row.to_text, "INVALID_TO_DATE_FORMAT")
    check_window(row, COLUMNS.to, LIMITS)
    check_place(row, COLUMNS, LIMITS)
    check_text(row, COLUMNS.text, row.text)
    return row


def _check_batch(row: CrimeRow) -> None:
    """Faults of the batch id; it cannot be judged where the force is not known."""
    code = FORCES.get(row.force)
    if code is None:
        return
    if not row.batch:
        row.fault("MISSING_BATCH_ID", "batchId", None, "a batch id is needed")
        return
    match = _BATCH.fullmatch(row.batch)
    expected = (
        f"expected {code} and the date, as in {code}20250131, then at most a digit as in -1 and a letter as in -R or -A"
    )
    if match is None or match[1] != code:
        row.fault("INVALID_BATCH_ID_FORMAT", "batchId", row.batch, expected)
    elif _day(match[2]) is None:
        row.fault(
            "INVALID_BATCH_ID_DATE", "batchId", row.batch, f"{match[2]} is no date from 2000 to 2099; expected yyyyMMdd"
        )


def _read_stamp(row: CrimeRow, name: str, text: str, code: str) -> int | None:
    time_us = parse_stamp(text)
    if time_us is None:
        row.fault(code, name, text, "expected a date and time that exist, as yyyyMMddHHmmss in UTC, from 2000 to 2099")
    return time_us


@lru_cache(maxsize=4096)
def _day(digits: str) -> int | None:
    """The start of a day yyyyMMdd [us UTC]; None where the day does not exist or lies outside 2000 to 2099."""
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return (day - date(1970, 1, 1)).days * DAY_US if 2000 <= day.year < 2100 else None
