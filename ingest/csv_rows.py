"""The slow and exact way through a CSV trail: row by row, naming row, field, value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from zoneinfo import ZoneInfo

import numpy as np

from engine.errors import InputError
from engine.fixes import OPTIONAL, POSITION, Fixes
from engine.times import SECOND_US, parse_time
from ingest.csv_table import Row, Table, rows_of
from ingest.fault import Fault, Faults
from ingest.fix_checks import KEYS, Raw, assemble, check_device, expected, source_code

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NAN = float("nan")
_EXPECTED = {column.key: expected(column) for column in (*POSITION, *OPTIONAL)}


class _Reading:
    """What has been read so far: one list a column, and the row each entry came from."""

    def __init__(self, faults: Faults, names: Sequence[str], known: Sequence[str], tz: ZoneInfo | None) -> None:
        self.faults, self.tz = faults, tz
        self.at = {name: names.index(name) for name in known if name in names}
        self.devices: dict[str, int] = {}
        self.columns: dict[str, list[float]] = {key: [] for key in KEYS if key in self.at}
        self.device: list[int] = []
        self.time_us: list[int] = []
        self.source: list[int] = []
        self.received_s: list[int] = []
        self.rows: list[Row] = []
        self.pending: list[Fault] = []

    def take(self, row: Row) -> None:
        """One row: kept if each of its fields can be read, else one fault for each that cannot."""
        before = len(self.pending)
        if row.error:
            self.pending.append(Fault(row.row, "wrong_row", "", None, row.error, line=row.line))
            return
        name = self._field(row, "device", check_device, "bad_device")
        time_us = self._field(row, "time", self._time, "bad_time")
        source = self._field(row, "source", source_code, "unknown_source")
        received = self._field(row, "received", self._received, "bad_time")
        numbers = [self._number(row, key) for key in self.columns]
        if len(self.pending) > before or time_us is None:
            return
        self.device.append(self.devices.setdefault(str(name), len(self.devices)))
        self.time_us.append(time_us)
        self.source.append(source or 0)
        self.received_s.append(time_us // SECOND_US if received is None else received)
        for column, number in zip(self.columns.values(), numbers, strict=True):
            column.append(number)
        self.rows.append(row)

    def fixes(self) -> Fixes:
        """All rows that are good, in order; every fault has been told."""
        raw = Raw(
            tuple(self.devices), np.array(self.device, np.int32), np.array(self.time_us, np.int64),
            {key: np.array(column, np.float64) for key, column in self.columns.items()},
            np.array(self.source, np.int32), np.array(self.received_s, np.int64),
        )  # fmt: skip
        fixes, good, doubts = assemble(raw)
        self.faults.keep(compress((row.row for row in self.rows), good))
        for doubt in doubts:
            row = self.rows[doubt.row]
            text = row.fields[self.at[doubt.field]] or None
            message = "" if text else "required"
            self.pending.append(Fault(row.row, doubt.code, doubt.field, text, message, doubt.expected, line=row.line))
        for fault in sorted(self.pending, key=lambda fault: fault.row):
            self.faults.add(fault)
        return fixes

    def _field(self, row: Row, name: str, parse, code: str):  # type: ignore[no-untyped-def]
        position = self.at.get(name)
        if position is None:
            return None
        text = row.fields[position]
        try:
            return parse(text)
        except InputError as error:
            code = "missing" if not text else code
            value = None if not text else error.value
            self.pending.append(Fault(row.row, code, name, value, error.message, error.expected, line=row.line))
            return None

    def _number(self, row: Row, key: str) -> float:
        text = row.fields[self.at[key]].strip()
        if not text:
            return _NAN
        if _NUMBER.fullmatch(text):
            return float(text)
        self.pending.append(Fault(row.row, "not_a_number", key, text, "not a number", _EXPECTED[key], line=row.line))
        return _NAN

    def _time(self, text: str) -> int:
        return parse_time(text, self.tz)

    def _received(self, text: str) -> int | None:
        return parse_time(text, self.tz, "received") // SECOND_US if text.strip() else None


def read_rows(
    table: Table, faults: Faults, known: Sequence[str], tz: ZoneInfo | None = None, row: int = 0
) -> tuple[Fixes, int]:
    """The fixes of a canonical CSV, and how many rows it has, good or bad, counted on from `row`.

    The values are those of the quick way; every fault is told to `faults`.
    """
    reading = _Reading(faults, table.names, known, tz)
    last = row
    for entry in rows_of(table.body, len(table.names), row, table.line):
        reading.take(entry)
        last = entry.row
    return reading.fixes(), last - row
