"""The records of a CSV file in whatever state it is in: each with its row, its line, and why it cannot be cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.errors import InputError
from ingest.file_bytes import refuse_endless_line

_REREAD_LINES = 10_000


class Record(NamedTuple):
    """`row` counts records from 1, blank lines left out; `line` and `last_line` are where it stands; `error`: cannot be cut.

    Bytes that are no UTF-8 stand in the fields as lone surrogates; `bad_byte` then says where the first one is.
    """

    row: int
    line: int
    last_line: int
    fields: list[str]
    error: str = ""
    bad_byte: str = ""


def lines_of(data: bytes, name: str) -> list[str]:
    """The lines of a file with their ends, without its byte order mark; InputError where it is empty or no text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:4096].count(0) > len(data[:4096]) // 4:
        raise InputError("a binary file or text in UTF-16", place=name, expected="text in UTF-8")
    refuse_endless_line(data, name)
    text = data.decode("utf-8-sig", "surrogateescape")
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("an empty file", place=name, expected="rows of crimes")
    return list(io.StringIO(text, newline=""))


def records_of(lines: Sequence[str], first: int = 0) -> Iterator[Record]:
    """The records from line `first` (0-based) on.

    Where a quote is never closed, only the line in which it opens is lost: reading goes on with the next one (up to so many
    lines in all that the work stays in proportion to the file).
    """
    at, row, budget = first, 0, len(lines) + _REREAD_LINES
    while at < len(lines):
        for start, end, fields, error in _cut(lines, at):
            budget -= end - start - 1 if error else 0
            again = bool(error) and end - start > 1 and budget >= 0
            at = start + 1 if again else end
            if error or len(fields) > 1 or "".join(fields).strip():
                row += 1
                yield Record(row, start + 1, at, fields, error, _bad_byte(lines, start, at))
            if again:
                break


def _cut(lines: Sequence[str], at: int) -> Iterator[tuple[int, int, list[str], str]]:
    """First line and the one after the last, fields, and what is wrong, of each record from line `at` on."""
    reader = csv.reader(map(lines.__getitem__, range(at, len(lines))), strict=True)
    start = at
    while True:
        fields: list[str] = []
        error = ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as broken:
            error = f"cannot be cut into columns ({broken})"
        yield start, at + reader.line_num, fields, error
        start = at + reader.line_num


def _bad_byte(lines: Sequence[str], start: int, end: int) -> str:
    for number in range(start, end):
        line = lines[number]
        if not line.isascii() and (bad := next((k for k, c in enumerate(line) if "\udc80" <= c <= "\udcff"), -1)) >= 0:
            place = len(line[:bad].encode("utf-8", "surrogateescape")) + 1
            return f"byte 0x{ord(line[bad]) - 0xDC00:02X} (byte {place} of line {number + 1}) is no UTF-8"
    return ""
