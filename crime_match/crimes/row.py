"""What could be read of one row of a crime file, good or bad, and the checks that its forms share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import category

import numpy as np

from crime_match.crimes.crime import Crime
from crime_match.crimes.csv_records import Record
from crime_match.crimes.fault import CrimeFault, CrimeHint, shown
from crime_match.crimes.national_grid import AREA, to_wgs84_or_nan
from engine.errors import InputError
from engine.times import HOUR_US, MINUTE_US, to_iso

MAX_REFERENCE = 200
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
"""Unicode's categories of control and format characters and of line ends."""
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_NUMBER = re.compile(_PLAIN.pattern + r"([eE][+-]?\d+)?", re.ASCII)


class Columns(NamedTuple):
    """How a form calls the fields that faults and hints name."""

    force: str
    type: str
    reference: str
    from_: str
    to: str
    easting: str
    northing: str
    lat: str
    lon: str
    text: str


class Limits(NamedTuple):
    """What a form takes: the longest window [us]; lowest and highest easting, northing [m], latitude, longitude [degrees];
    and how it writes numbers."""

    window_us: int
    place: tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
    number: Callable[[str], float | None]


@dataclass(slots=True)
class CrimeRow:
    """One row: its texts, the numbers that could be read of them, its faults, and the crime where there is none.

    from_us, to_us [us UTC] and east, north [m], lat, lon [degrees] are as written, also out of range; None where they cannot
    be read.
    """

    record: Record
    force: str = ""
    reference: str = ""
    type: str = ""
    batch: str = ""
    from_text: str = ""
    to_text: str = ""
    text: str = ""
    place_texts: tuple[str, str, str, str] = ("", "", "", "")
    from_us: int | None = None
    to_us: int | None = None
    east: float | None = None
    north: float | None = None
    lat: float | None = None
    lon: float | None = None
    uncertainty_m: float = 0.0
    crime: Crime | None = None
    faults: list[CrimeFault] = field(default_factory=list)

    def fault(self, code: str, name: str | None, value: str | None, message: str) -> None:
        """One more thing that is wrong with this row."""
        told = None if value is None else shown(value)
        self.faults.append(CrimeFault(self.record.row, code, name, told, message, self.record.line))

    def hint(self, code: str, name: str | None, value: str | None, message: str) -> CrimeHint:
        """A hint of this row."""
        told = None if value is None else shown(value)
        return CrimeHint(self.record.row, code, name, told, message, self.record.line)

    def settle(self) -> None:
        """The crime, where nothing is wrong."""
        if self.faults or self.from_us is None or self.to_us is None or self.lat is None or self.lon is None:
            return
        self.crime = Crime(
            self.force, self.reference, self.type, self.from_us, self.to_us, self.lat, self.lon, self.uncertainty_m,
            self.text, self.batch, self.east, self.north,
        )  # fmt: skip


def read_plain(text: str) -> float | None:
    """A plain decimal number; None for anything else, such as 51.5d, 0x1p5, 1e2, nan or inf."""
    return float(text) if _PLAIN.fullmatch(text) else None


def read_number(text: str) -> float | None:
    """A decimal number, with an exponent too (-5.1e-05, as programs write a place at Greenwich); None for anything else."""
    return float(text) if _NUMBER.fullmatch(text) else None


def check_text(row: CrimeRow, name: str, value: str) -> None:
    """A fault where free text holds what cannot be kept: bytes that are no UTF-8, or NUL."""
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        place = row.record.bad_byte or "a byte is no UTF-8"
        row.fault(
            "INVALID_TEXT", name, value, f"{place}; expected text in UTF-8 (a file of Windows-1252 must be converted)"
        )
    elif "\0" in value:
        row.fault("INVALID_TEXT", name, value, "a NUL character; expected text")


def check_reference(row: CrimeRow, name: str) -> None:
    """Faults of the crime reference: missing, no text, too long, or with characters that cannot be seen."""
    reference, before = row.reference, len(row.faults)
    if not reference:
        row.fault("MISSING_CRIME_REFERENCE", name, None, "a crime reference is needed")
        return
    check_text(row, name, reference)
    if len(row.faults) > before:
        return
    if len(reference) > MAX_REFERENCE:
        row.fault("INVALID_TEXT", name, reference, f"expected at most {MAX_REFERENCE} characters")
    elif not reference.isprintable() and any(category(character) in _UNSEEN for character in reference):
        row.fault("INVALID_TEXT", name, reference, "a character that cannot be seen; expected one line of text")


def check_window(row: CrimeRow, name: str, limits: Limits) -> None:
    """Faults of a window whose ends could be read: it ends before it begins, or is too long."""
    if row.from_us is None or row.to_us is None:
        return
    length_us = row.to_us - row.from_us
    if length_us < 0:
        message = f"ends before it begins ({to_iso(row.from_us)}); expected the same time or a later one"
        row.fault("CRIME_DATE_TIME_TO_AFTER_FROM", name, row.to_text, message)
    elif length_us > limits.window_us:
        most = limits.window_us // HOUR_US
        allowed = f"{most // 24} days" if most % 24 == 0 else f"{most} hours"
        message = f"the window lasts from {to_iso(row.from_us)} to {to_iso(row.to_us)}; expected at most {allowed}"
        row.fault("CRIME_DATE_TIME_EXCEEDS_WINDOW", name, length_of(length_us), message)


def length_of(length_us: int) -> str:
    """A length of time as the ministry echoes it, such as 12h 59m."""
    return f"{length_us // HOUR_US}h {length_us % HOUR_US // MINUTE_US}m"


def check_place(row: CrimeRow, columns: Columns, limits: Limits, other: str = "") -> None:
    """Read the place: exactly one of the two pairs, or `other` (a place already read in a third way) and neither pair.

    For each field the first that holds: no number, its partner blank, another kind of place filled too, out of range.
    """
    names = (columns.easting, columns.northing, columns.lat, columns.lon)
    texts = row.place_texts
    numbers: list[float | None] = [None] * 4
    for k, text in enumerate(texts):
        if not text:
            continue
        number = numbers[k] = limits.number(text)
        low, high = limits.place[k]
        if number is None:
            row.fault("INVALID_NUMBER", names[k], text, "expected a number in plain digits, such as 51.5074")
        elif not texts[k ^ 1]:
            row.fault("DEPENDENT_LOCATION_DATA", names[k], text, f"needs {names[k ^ 1]} beside it, which is blank")
        elif texts[k ^ 2] or texts[k ^ 3] or other:
            row.fault("MULTIPLE_LOCATION_DATA_TYPES", names[k], text, "another kind of place is given too; expected one")
        elif not low <= number <= high:
            beyond = "; beyond it give latitude and longitude" if k < 2 else ""
            row.fault("INVALID_LOCATION_DATA_RANGE", names[k], text, f"expected {low:.10g} to {high:.10g}{beyond}")
    if not other:
        row.east, row.north, row.lat, row.lon = numbers
    if not any(texts) and not other:
        row.fault("MISSING_LOCATION_DATA", None, None, "a place is needed")


def settle_rows(rows: Sequence[CrimeRow], columns: Columns) -> None:
    """Latitude and longitude of all places in the National Grid (a fault where OSTN15 does not reach), then the crimes."""
    pair = columns.easting, columns.northing
    gridded = [row for row in rows if row.east is not None and not any(fault.field in pair for fault in row.faults)]
    east, north = (np.array([getattr(row, name) for row in gridded], np.float64) for name in ("east", "north"))
    for row, lat, lon in zip(gridded, *(values.tolist() for values in to_wgs84_or_nan(east, north)), strict=True):
        if not math.isnan(lat):
            row.lat, row.lon = lat, lon
        else:
            message = f"easting {row.east:.10g}, northing {row.north:.10g} is outside; expected {AREA}"
            row.fault("INVALID_LOCATION_DATA_RANGE", columns.easting, row.place_texts[0] or None, message)
    for row in rows:
        row.settle()
    _find_repeats(rows, columns)


def why(error: InputError) -> str:
    """An error's own words, without the field and value that stand beside them."""
    return "; ".join(part for part in (error.message, f"expected {error.expected}" if error.expected else "") if part)


def _find_repeats(rows: Sequence[CrimeRow], columns: Columns) -> None:
    """A fault for each row that repeats the force and reference of a good row before it: which of the two holds is for the
    force to say; until then the first one stands."""
    seen: dict[tuple[str, str], CrimeRow] = {}
    for row in rows:
        if not row.reference:
            continue
        key = row.force, row.reference
        first = seen.get(key)
        if first is not None:
            message = f"row {row.record.row} repeats the reference of row {first.record.row}, {_difference(first, row)}"
            row.fault("DUPLICATE_CRIME_REFERENCE", columns.reference, row.reference, message)
            row.crime = None
        elif row.crime is not None:
            seen[key] = row


def _difference(first: CrimeRow, row: CrimeRow) -> str:
    if first.record.fields == row.record.fields:
        return "identical in everything; the first one is kept"
    return "not identical; the first one is kept"
