"""Crimes as data.police.uk publishes them: a month and a snapped map point each, so background and never matched.

The places are moved to the nearest of a list of anonymous map points and the day is withheld (data.police.uk, "About the
data"): no window and no distance can be asked about them.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from crime_match.crimes.csv_records import Record
from crime_match.crimes.fault import CrimeFault, shown
from crime_match.crimes.row import read_number
from engine.errors import InputError
from ingest.file_bytes import ALWAYS_BYTES, MOST_BYTES, MOST_TIMES

REQUIRED = ("crime id", "month", "longitude", "latitude", "location", "crime type")
OPTIONAL = ("reported by", "falls within", "last outcome category")
EXPECTED = (
    "the header of data.police.uk: Crime ID,Month,Reported by,Falls within,Longitude,Latitude,Location,...,Crime type"
)
REFUSAL = (
    "a data.police.uk file gives only the month of a crime and a map point near its place: it is background "
    "(crimes import --format police-uk) and cannot be matched"
)
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


class BackgroundCrime(NamedTuple):
    """One published crime: month as yyyy-mm, the force that reported it, the map point [degrees] or None, None."""

    crime_id: str
    month: str
    force: str
    lat: float | None
    lon: float | None
    location: str
    type: str
    outcome: str


def is_header(names: Sequence[str]) -> bool:
    """Is this (in lower case) the header of such a file?"""
    return {"crime id", "month"} <= set(names)


def read_rows(
    names: Sequence[str], records: Iterable[Record], place: str
) -> tuple[list[BackgroundCrime], list[CrimeFault], int]:
    """The crimes of the good rows after the header (those without a place too), the faults, and the number of rows."""
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(f"the header has no column {', '.join(missing)}", place=place, expected=EXPECTED)
    at = {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}
    crimes: list[BackgroundCrime] = []
    faults: list[CrimeFault] = []
    n_rows = 0
    for record in records:
        n_rows += 1
        found = _faults(record, at, len(names))
        faults += found
        if not found:
            crimes.append(_crime({name: record.fields[k].strip() for name, k in at.items()}))
    return crimes, faults, n_rows


def street_files(data: bytes, place: str) -> list[tuple[str, bytes]]:
    """The files of crimes in the public archive (2019-09/2019-09-lincolnshire-street.csv, ...), in order of their names;
    outcomes and stops are left out. InputError where the archive is damaged or has none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = sorted((one for one in archive.infolist() if one.filename.endswith("-street.csv")), key=_name_of)
            _require_bounds(found, len(data), place)
            files = [(one.filename, archive.read(one)) for one in found]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise InputError(f"a damaged ZIP archive ({error})", place=place) from None
    if not files:
        raise InputError("a ZIP archive without a file *-street.csv", place=place, expected="the archive of data.police.uk")
    return files


def _name_of(member: zipfile.ZipInfo) -> str:
    return member.filename


def _require_bounds(members: Sequence[zipfile.ZipInfo], n_packed: int, place: str) -> None:
    """InputError where the members say that they become more than such files do, or lie upon each other: a bomb."""
    n_bytes, most = sum(one.file_size for one in members), max(ALWAYS_BYTES, MOST_TIMES * n_packed)
    if n_bytes > min(most, MOST_BYTES) or sum(one.compress_size for one in members) > n_packed:
        raise InputError(f"its files say that they have {n_bytes:,} bytes", place=place, expected=f"at most {most:,}")


def _crime(fields: dict[str, str]) -> BackgroundCrime:
    return BackgroundCrime(
        fields["crime id"], fields["month"], fields.get("reported by") or fields.get("falls within", ""),
        read_number(fields["latitude"]), read_number(fields["longitude"]), fields["location"], fields["crime type"],
        fields.get("last outcome category", ""),
    )  # fmt: skip


def _faults(record: Record, at: dict[str, int], n_columns: int) -> list[CrimeFault]:
    faults: list[CrimeFault] = []

    def fault(code: str, name: str | None, value: str | None, message: str) -> None:
        faults.append(CrimeFault(record.row, code, name, None if value is None else shown(value), message, record.line))

    if record.error or len(record.fields) != n_columns:
        reason = record.error or f"has {len(record.fields)} columns"
        fault("INVALID_COLUMN_COUNT", None, None, f"{reason}; the header has {n_columns}")
        return faults
    if record.bad_byte or any("\0" in text for text in record.fields):
        fault("INVALID_TEXT", None, None, f"{record.bad_byte or 'a NUL character'}; expected text in UTF-8")
    month = record.fields[at["month"]].strip()
    if not _MONTH.fullmatch(month):
        fault("INVALID_MONTH", "Month", month, "expected a month as yyyy-mm")
    texts = [record.fields[at[name]].strip() for name in ("longitude", "latitude")]
    for k, (name, bound) in enumerate((("Longitude", 180.0), ("Latitude", 90.0))):
        number = read_number(texts[k])
        if texts[k] and number is None:
            fault("INVALID_NUMBER", name, texts[k], "expected a number")
        elif texts[k] and not texts[1 - k]:
            fault("DEPENDENT_LOCATION_DATA", name, texts[k], "needs the other coordinate beside it, which is blank")
        elif number is not None and abs(number) > bound:
            fault("INVALID_LOCATION_DATA_RANGE", name, texts[k], f"expected {-bound:g} to {bound:g}")
    return faults
