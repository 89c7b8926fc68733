"""Trail files of every kind into Fixes: the kind is told by the content, never by the name; gzip and `-` are taken."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.archive.groups import is_archived, read_rows
from engine.archive.manifest import is_archive
from engine.archive.reader import Archive
from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, POSITION, SOURCE_NAMES, Fixes, concat
from engine.times import SECOND_US, in_range, to_iso
from ingest.csv_table import table_of
from ingest.csv_trail import REQUIRED, read_csv
from ingest.fault import Faults, OnFault
from ingest.file_bytes import gunzipped, read_file, refuse_endless_line
from ingest.fix_checks import check_device, expected
from ingest.gpx_trail import read_gpx
from ingest.json_trail import read_json_trail
from ingest.moj_columns import is_moj
from ingest.moj_positions import read_positions
from ingest.nmea_trail import read_nmea
from ingest.owntracks_rec import read_rec
from ingest.parquet_trail import ParquetTrail, is_parquet, read_parquet

KINDS = "CSV, Parquet, GPX, NMEA 0183, OwnTracks .rec or JSON, GeoJSON points or MoJ position CSV, plain or gzip"
_HEAD = 1 << 16
_REC_LINE = re.compile(rb"^\s*\d{4}-\d\d-\d\dT[^\t\n]*\t[^\t\n]*\t\{")
_NMEA_LINE = re.compile(rb"^[^$\n]*\$(?:[A-Z]{2}[A-Z]{3}|P[A-Z0-9]{3,7}),[ -~]*\r?$", re.MULTILINE)
_XML_TAG = re.compile(rb"<\s*(?![?!])(?:[\w.-]+:)?([\w.-]+)")
_FOREIGN = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"PK\x03\x04", "a ZIP or Office file"),
    (b"%PDF", "a PDF"), (b"SQLite format 3", "an SQLite database"),
)  # fmt: skip


class Traced(NamedTuple):
    """Fixes with where they came from: the row (n,) of each, and the SHA-256 of the file's bytes as they were read.

    A row is what faults count: data rows or points from 1; in an OwnTracks recorder file and an NMEA log it is the line.
    """

    fixes: Fixes
    rows: NDArray[np.int64]
    sha256: str


def read_trail(path: str | Path, tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> Fixes:
    """The fixes of one file (`-` is standard input) in the order of the file; `tz` is the zone of times without one.

    Faulty rows: the first is raised as an InputError that says how many more there are; with `on_fault`, each is
    handed to it as a Fault and the good rows are returned. A file of another kind always raises InputError. The folder of an
    archive is taken too: its fixes by device and time.
    """
    if is_archive(path):
        return _checked(Archive(path).read(), str(path))
    name, data = read_bytes(path)
    faults = Faults(name, on_fault)
    fixes = _read(data, faults, name, tz)
    faults.settle()
    return fixes


def read_trail_traced(path: str | Path, tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> Traced:
    """The same, with each fix's row and the hash of the bytes that were read (before gunzip), standard input too."""
    name, data = read_file(path)
    rows: list[Iterable[int]] = []
    faults = Faults(name, on_fault, rows)
    fixes = _read(gunzipped(name, data), faults, name, tz)
    faults.settle()
    numbers = np.fromiter(chain.from_iterable(rows), np.int64)
    assert len(numbers) == len(fixes), "a reader that does not say which rows it kept"
    return Traced(fixes, numbers, hashlib.sha256(data).hexdigest())


def read_pieces(path: str | Path, tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> Iterator[Fixes]:
    """The same fixes in pieces; of a Parquet file and of an archive no more is held than one of them."""
    if is_archive(path):
        archive = Archive(path)
        yield from (_checked(archive.day(day), str(path)) for day in archive.manifest.days)
    elif is_parquet(path) and not is_archived(path):
        faults = Faults(str(path), on_fault)
        trail = ParquetTrail(path, str(path), tz)
        yield from (fixes for _, fixes in trail.pieces(0, len(trail), faults))
        faults.settle()
    else:
        yield read_trail(path, tz, on_fault)


def files_of(path: str | Path) -> dict[str, str | Path]:
    """The files that a trail's path stands for, by their names: of an archive's folder those of its days."""
    if not is_archive(path):
        return {Path(path).name: path}
    archive = Archive(path)
    return {file.path: archive.folder / file.path for file in archive.manifest.files}


def hash_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes as they lie on the disk, in hex; InputError where it is not readable."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", place=str(path)) from None


def read_trails(paths: Iterable[str | Path], tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> Fixes:
    """The fixes of several files, one after the other; same devices join, the order of files and rows is kept."""
    return concat([read_trail(path, tz, on_fault) for path in paths])


def read_bytes(path: str | Path) -> tuple[str, bytes]:
    """A file's name for messages and its bytes, gzip undone; `-` is standard input. InputError where it is not readable."""
    name, data = read_file(path)
    return name, gunzipped(name, data)


def _read(data: bytes, faults: Faults, name: str, tz: ZoneInfo | None) -> Fixes:
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        raise InputError("an empty file", place=name, expected=KINDS)
    if head.startswith(b"PAR1"):
        return _read_archived(data, faults) if is_archived(data) else read_parquet(data, faults, tz)
    if head.startswith(b"<"):
        tag = _XML_TAG.search(re.sub(rb"<!--.*?(?:-->|\Z)", b"", head, flags=re.DOTALL))
        if tag is None or tag[1] != b"gpx":
            raise InputError("XML, but no GPX", place=name, expected=KINDS)
        return read_gpx(data, faults, _stem(name), tz)
    if head.startswith((b"{", b"[", b"\x1e")):
        return read_json_trail(data.removeprefix(b"\xef\xbb\xbf"), faults, _stem(name), tz)
    _refuse_foreign(head, name)
    if b"\0" not in head:
        refuse_endless_line(data, name)
    if _REC_LINE.match(head):
        return read_rec(data, faults, name, tz)
    columns = _columns(head)
    canonical = columns.issuperset(REQUIRED)
    if not canonical and is_moj(columns):
        return read_positions(data, faults, _stem(name), tz)
    if not canonical and _NMEA_LINE.search(head):
        return read_nmea(data, faults, _stem(name))
    if b"\0" in head:
        raise InputError("a binary file (or text in UTF-16), not a trail", place=name, expected=KINDS)
    return read_csv(data, faults, tz)


def _read_archived(data: bytes, faults: Faults) -> Fixes:
    """One file of an archive, by itself, in the order of its rows."""
    fixes = _checked(read_rows(data, faults.file), faults.file)
    faults.keep(range(1, len(fixes) + 1))
    return fixes


def _checked(fixes: Fixes, name: str) -> Fixes:
    """The fixes of an archive; InputError where a device or a value is as none can be: an archive may be a stranger's."""
    try:
        for device in fixes.devices:
            check_device(device)
    except InputError as error:
        raise error.at(name) from None
    for times_us in (fixes.time_us, fixes.received_s * SECOND_US):
        for edge in (times_us.min(), times_us.max()) if len(fixes) else ():
            in_range(int(edge), to_iso(int(edge)))
    for column in (*POSITION, *OPTIONAL):
        units = fixes.column(column.name)
        low, high = round(column.least * column.scale), round(column.most * column.scale)
        odd = units[((units < low) & ((units != ABSENT) | (column in POSITION))) | (units > high)]
        if len(odd):
            value = int(odd[0]) / column.scale
            raise InputError(place=name, field=column.key, value=value, expected=expected(column))
    strange = set(np.unique(fixes.source).tolist()) - set(SOURCE_NAMES)
    if strange:
        raise InputError(place=name, field="source", value=min(strange), expected="the code of a source")
    return fixes


def _columns(head: bytes) -> set[str]:
    """The column names, were it a CSV."""
    try:
        return set(table_of(head, "", (), ()).names)
    except InputError:
        return set()


def _refuse_foreign(head: bytes, name: str) -> None:
    for start, kind in _FOREIGN:
        if head.startswith(start):
            raise InputError(f"this is {kind}, not a trail", place=name, expected=KINDS)


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").rsplit(".", 1)[0] or name
