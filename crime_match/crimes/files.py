"""Files of crimes, told apart by their content: the police batch, our own CSV; police.uk files as background only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from crime_match.crimes import batch_hints, moj_batch, own_csv, police_uk
from crime_match.crimes.crime import Crime
from crime_match.crimes.csv_records import lines_of, records_of
from crime_match.crimes.fault import CrimeFault, CrimeHint
from crime_match.crimes.hints import find_hints
from crime_match.crimes.police_uk import BackgroundCrime
from crime_match.crimes.row import CrimeRow
from crime_match.crimes.time_hints import csv_times, local_hints
from engine.errors import InputError
from ingest.file_bytes import gunzipped, read_file

FORMS = ("moj", "csv", "police-uk")
EXPECTED = f"a police batch (13 columns, no header), a CSV with {own_csv.EXPECTED}, or a file of data.police.uk"


@dataclass(frozen=True, slots=True)
class CrimeFile:
    """What a file of crimes says: the crimes of its good rows in the order of the file, its faults and hints by row.

    `rows[k]` is the row of `crimes[k]`; `n_rows` counts all rows, good or bad; `name` is the file's for messages. A batch of
    several forces or batch ids has good rows and no crimes: the fault says that the whole is refused.
    """

    name: str
    form: str
    crimes: list[Crime]
    rows: list[int]
    faults: list[CrimeFault]
    hints: list[CrimeHint]
    n_rows: int

    def settle(self) -> None:
        """Raise the first fault as an InputError that says how many more there are; nothing where there is none."""
        _settle(self.name, self.faults)


@dataclass(frozen=True, slots=True)
class BackgroundFile:
    """What a file of data.police.uk says: the crimes of its good rows, its faults, and the number of rows."""

    name: str
    crimes: list[BackgroundCrime]
    faults: list[CrimeFault]
    n_rows: int

    def settle(self) -> None:
        """As `CrimeFile.settle`."""
        _settle(self.name, self.faults)


def read_crimes(path: str | Path, form: str | None = None, zone: ZoneInfo | None = None) -> CrimeFile:
    """The crimes of one file (`-` is standard input), plain or gzip; `form` is moj or csv, told by the content if None.

    `zone` is that of times without an offset in our own CSV; the batch is in UTC by its rules. Faulty rows are left out and
    told in `faults`. Raises InputError where the file is neither or cannot be read, and for data.police.uk files, which cannot
    be matched.
    """
    return crimes_of(*read_bytes(path), form, zone)


def crimes_of(name: str, data: bytes, form: str | None = None, zone: ZoneInfo | None = None) -> CrimeFile:
    """As `read_crimes`, of a file's bytes (gzip undone); `name` is the file's for messages."""
    if form is not None and form not in FORMS:
        raise InputError(field="format", value=form, expected=", ".join(FORMS))
    form = form or form_of(name, data)
    if form == "police-uk":
        raise InputError(police_uk.REFUSAL, place=name)
    lines = lines_of(data, name)
    return _read_batch(lines, name) if form == "moj" else _read_csv(lines, name, zone)


def read_background(path: str | Path) -> BackgroundFile:
    """The crimes of a data.police.uk file or of the whole public archive (ZIP); InputError where it is neither."""
    return background_of(*read_bytes(path))


def background_of(name: str, data: bytes) -> BackgroundFile:
    """As `read_background`, of a file's bytes (gzip undone)."""
    crimes: list[BackgroundCrime] = []
    faults: list[CrimeFault] = []
    n_rows = 0
    for member, content in police_uk.street_files(data, name) if _is_zip(data) else [("", data)]:
        place = f"{name}, {member}" if member else name
        lines = lines_of(content, place)
        names, first = _header(lines)
        found, wrong, n = police_uk.read_rows(names, records_of(lines, first), place)
        crimes += found
        faults += (
            [CrimeFault(f.row, f.code, f.field, f.value, f"{member}: {f.message}", f.line) for f in wrong]
            if member
            else wrong
        )
        n_rows += n
    return BackgroundFile(name, crimes, faults, n_rows)


def read_bytes(path: str | Path) -> tuple[str, bytes]:
    """A file's name for messages and its bytes, gzip undone; `-` is standard input. InputError where it is not readable."""
    name, data = read_file(path)
    return name, gunzipped(name, data)


def form_of(name: str, data: bytes) -> str:
    """Which form of file these bytes are: moj, csv or police-uk (its archive too); InputError where they are none."""
    return "police-uk" if _is_zip(data) else tell_form(lines_of(data, name), name)


def tell_form(lines: list[str], name: str) -> str:
    """Which form of file this is, by its first row; InputError where it is none."""
    names, _ = _header(lines)
    if police_uk.is_header(names):
        return "police-uk"
    if {"reference", "from"} <= set(names) or len({"force", "reference", "type", "from", "to"} & set(names)) >= 3:
        return "csv"
    for record in _first(lines, 20):
        force = record[0].replace("\ufeff", "").strip() if record else ""
        if len(record) == moj_batch.N_COLUMNS or force in moj_batch.FORCES:
            return "moj"
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len([part for part in lines[0].split(mark) if part.strip()]) > 4:
            raise InputError(f"columns that look separated by {word}", place=name, expected=f"commas in {EXPECTED}")
    raise InputError("not a file of crimes", place=name, expected=EXPECTED)


def _read_batch(lines: list[str], name: str) -> CrimeFile:
    rows = moj_batch.read_rows(records_of(lines))
    hints = find_hints(rows, moj_batch.COLUMNS, batch_hints.FORM, batch_hints.batch_hints)
    return _file(name, "moj", rows, moj_batch.batch_faults(rows), hints + list(batch_hints.file_hints(rows)))


def _read_csv(lines: list[str], name: str, zone: ZoneInfo | None) -> CrimeFile:
    names, first = _header(lines)
    own_csv.check_header(names, name)
    rows = own_csv.read_rows(names, records_of(lines, first), zone)
    columns = own_csv.COLUMNS
    hints = find_hints(rows, columns, csv_times(rows, zone), lambda row: local_hints(row, columns, zone))
    return _file(name, "csv", rows, [], hints)


def _file(name: str, form: str, rows: list[CrimeRow], of_batch: list[CrimeFault], hints: list[CrimeHint]) -> CrimeFile:
    good = [] if of_batch else [(row.record.row, row.crime) for row in rows if row.crime is not None]
    faults = [fault for row in rows for fault in row.faults] + of_batch
    crimes, numbers = [crime for _, crime in good], [number for number, _ in good]
    faults.sort(key=lambda fault: fault.row)
    return CrimeFile(name, form, crimes, numbers, faults, sorted(hints, key=lambda hint: hint.row), len(rows))


def _settle(name: str, faults: list[CrimeFault]) -> None:
    if not faults:
        return
    error, more = faults[0].error(name), len(faults) - 1
    rest = f" (and {more} more fault{'s' if more > 1 else ''} in this file)" if more else ""
    raise InputError(error.message + rest, place=error.place, field=error.field, value=error.value)


def _header(lines: list[str]) -> tuple[list[str], int]:
    """The first row in lower case, and the index of the line after it."""
    for record in records_of(lines):
        return [text.strip("\ufeff \t\r\n").lower() for text in record.fields], record.last_line
    return [], len(lines)


def _first(lines: list[str], n_records: int) -> list[list[str]]:
    return [record.fields for record, _ in zip(records_of(lines), range(n_records), strict=False)]


def _is_zip(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04")
