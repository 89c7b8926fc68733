"""Faults: what is wrong in one row of a file. Without a taker the first one is raised, with the count of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.errors import InputError


class Fault(NamedTuple):
    """One fault: `row` counts data rows (or points) from 1; `line` is the line in the file, 0 where it has none."""

    row: int
    code: str
    field: str
    value: object
    message: str
    expected: str = ""
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """File, row and line, as a person looks them up."""
        row = f"row {self.row}" if self.row else ""
        line = f"line {self.line}" if self.line else ""
        where = f"{row} ({line})" if row and line else row or line
        return ", ".join(part for part in (self.file, where) if part)

    def error(self) -> InputError:
        """The same as an error."""
        return InputError(self.message, place=self.place, field=self.field, value=self.value, expected=self.expected)


OnFault = Callable[[Fault], object]


class Faults:
    """Takes the faults of one reading: hands them on, or keeps the first and counts.

    `rows` takes the other half, the rows that the fixes came from, where somebody asks for them.
    """

    def __init__(self, file: str, on_fault: OnFault | None = None, rows: list[Iterable[int]] | None = None) -> None:
        self.file = file
        self.count = 0
        self._rows = rows
        self._on_fault = on_fault
        self._first: Fault | None = None

    def add(self, fault: Fault) -> None:
        """One more fault of this file."""
        self.count += 1
        fault = fault._replace(file=self.file)
        if self._on_fault is not None:
            self._on_fault(fault)
        elif self._first is None or (fault.row, fault.line) < (self._first.row, self._first.line):
            self._first = fault

    def keep(self, rows: Iterable[int]) -> None:
        """The rows (lines, where the file has no rows) of the next fixes that are given back, in the order of these."""
        if self._rows is not None:
            self._rows.append(rows)

    def settle(self) -> None:
        """Raise the first fault as an InputError, saying how many more there are, unless somebody took them."""
        if self._first is None:
            return
        more = self.count - 1
        rest = f"and {more} more fault{'s' if more > 1 else ''} in this file" if more else ""
        fault = self._first
        raise fault._replace(message="; ".join(part for part in (fault.message, rest) if part)).error()


def from_error(error: InputError, row: int, line: int = 0, code: str = "bad_value") -> Fault:
    """The fault that an InputError tells of."""
    return Fault(row, code, error.field, error.value, error.message, error.expected, line=line)
