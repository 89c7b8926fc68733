"""CSV tables in general: the header, and the rows with their row and line numbers, whatever state they are in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.errors import InputError
from ingest.file_bytes import refuse_endless_line

BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One data row: counted from 1, the line it starts on, its fields by position; `error` where it cannot be cut."""

    row: int
    line: int
    fields: list[str]
    error: str = ""


class Table(NamedTuple):
    """A CSV cut at its header: the column names, the bytes after the header, and the line they start on."""

    names: list[str]
    body: bytes
    line: int


def table_of(data: bytes, file: str, known: Sequence[str], required: Sequence[str]) -> Table:
    """The table behind a header on the first line that is not blank; InputError where that is no header."""
    refuse_endless_line(data, file)
    at = len(BOM) if data.startswith(BOM) else 0
    line, n_lines = b"", 1
    while at < len(data) and not line.strip():
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end + 1
        line, at, n_lines = data[at:end], end, n_lines + 1
    if not line.strip():
        raise InputError("an empty file", place=file, expected=f"a header with {','.join(required)}")
    try:
        text = line.decode("utf-8").strip("\r\n")
        names = [name.strip().lower() for name in next(csv.reader([text], strict=True))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"no header in UTF-8 on the first line ({error})", place=file) from None
    _check_header(names, file, known, required)
    return Table(names, data[at:], n_lines)


def rows_of(body: bytes, n_fields: int, row: int = 0, line: int = 1) -> Iterator[Row]:
    """The rows of `body`, blank lines left out, counted on from `row`, `line` being that of the first byte.

    A row that cannot be cut, or has other than `n_fields` fields, carries an error.
    """
    reader = csv.reader(io.StringIO(body.decode("utf-8", "surrogateescape"), newline=""), strict=True)
    first = line
    while True:
        error, fields, start = "", [], first + reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as broken:
            error = f"cannot be cut into fields ({broken}), lines {start} to {first + reader.line_num - 1}"
        if not error and len(fields) <= 1 and not "".join(fields).strip():
            continue
        row += 1
        if not error and len(fields) != n_fields:
            error = f"has {len(fields)} fields, the header has {n_fields}"
        yield Row(row, start, fields, error)


def _check_header(names: list[str], file: str, known: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    twice = [name for name in known if names.count(name) > 1]
    if missing:
        found = ", ".join(names[:20])
        raise InputError(
            f"the header has no column {', '.join(missing)} (it has: {found})",
            place=file,
            expected=f"a comma-separated header with {','.join(required)}",
        )
    if twice:
        raise InputError(f"the header has column {twice[0]} more than once", place=file)
