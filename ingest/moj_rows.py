"""The slow and exact way through a position CSV: row by row, naming row, column, value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import parse_time
from ingest.csv_table import Row, Table, rows_of
from ingest.fault import Faults
from ingest.fix_checks import check_device
from ingest.gathered import Gathered, Place
from ingest.moj_columns import KMH_PER_MPS, NUMBERS, UK_TIME, UNITS, mechanism

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UK_TIME = re.compile(UK_TIME, re.ASCII)


def read_rows(table: Table, at: Mapping[str, int], faults: Faults, stem: str, tz: ZoneInfo | None) -> Fixes:
    """The good rows, in order; every fault of the others is told. `at` says where each field stands."""
    names = {field: table.names[k] for field, k in at.items()}

    def as_written(row: Row, field: str) -> tuple[str, object]:
        return names[field], row.fields[at[field]] or None

    gathered = Gathered(faults, NUMBERS, as_written)
    reading = _Reading(gathered, at, names, stem, tz)
    for row in rows_of(table.body, len(table.names), 0, table.line):
        reading.take(row)
    return gathered.fixes()


class _Reading:
    """One file being read: where its columns are, and what takes the fixes."""

    def __init__(
        self, gathered: Gathered, at: Mapping[str, int], names: Mapping[str, str], stem: str, tz: ZoneInfo | None
    ) -> None:
        self._gathered, self._at, self._names, self._stem, self._tz = gathered, at, names, stem, tz
        self._n_wrong = 0

    def take(self, row: Row) -> None:
        """One row: a fix, or a fault for each of its fields that cannot be read."""
        place = Place(row.row, row.line)
        if row.error:
            self._gathered.refuse(place, InputError(row.error), "wrong_row")
            return
        before = self._n_wrong
        device = self._read(row, place, "device", lambda text, _: check_device(text), "bad_device", required=True)
        time_us = self._read(row, place, "time", self._time, "bad_time", required=True)
        received_us = self._read(row, place, "received", self._time, "bad_time")
        source = self._read(row, place, "source", lambda text, name: mechanism(text.strip(), name), "unknown_source")
        values = {key: self._read(row, place, key, _number(key), "not_a_number") for key in NUMBERS}
        if self._n_wrong == before:
            speed = values["speed_mps"]
            values["speed_mps"] = None if speed is None else speed / KMH_PER_MPS
            self._gathered.add(place, device or self._stem, time_us, values, source or 0, received_us, row)

    def _read(
        self, row: Row, place: Place, field: str, parse: Callable[[str, str], Any], code: str, required: bool = False
    ) -> Any:
        position = self._at.get(field)
        if position is None:
            return None
        text, name = row.fields[position], self._names[field]
        try:
            if text.strip():
                return parse(text, name)
            if required:
                raise InputError("required", field=name, expected="a value")
        except InputError as error:
            self._n_wrong += 1
            told = InputError(error.message, field=name, value=error.value, expected=error.expected)
            self._gathered.refuse(place, told, code)
        return None

    def _time(self, text: str, name: str) -> int:
        found = _UK_TIME.fullmatch(text.strip())
        try:
            return parse_time(f"{found[3]}-{found[2]}-{found[1]}T{found[4]}" if found else text, self._tz, name)
        except InputError as error:
            raise InputError(error.message, field=name, value=text, expected=_wanted(error, bool(found))) from None


def _wanted(error: InputError, is_export: bool) -> str:
    if error.message == "has no zone":
        return "--tz to say the zone of these times" + (" (exports of the map are in Europe/London)" if is_export else "")
    return error.expected if "year" in error.expected else "YYYY-MM-DD HH:MM:SS or DD/MM/YYYY HH:MM"


def _number(key: str) -> Callable[[str, str], float]:
    def parse(text: str, name: str) -> float:
        if _NUMBER.fullmatch(text.strip()) is None:
            raise InputError("not a number", field=name, value=text, expected=UNITS[key])
        return float(text)

    return parse
