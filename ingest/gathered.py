"""Fixes gathered one at a time by the readers of files, and what is wrong with them told in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US
from ingest.fault import Fault, Faults, from_error
from ingest.fix_checks import Raw, assemble

_NAN = float("nan")


class Place(NamedTuple):
    """Where a fix stands in its file: row (or point) from 1, line, and in words; 0 and empty where it has none."""

    row: int
    line: int = 0
    where: str = ""


AsWritten = Callable[[Any, str], tuple[str, object]]
"""Of an origin and one of our field names: the name of that field in the file, and its value there."""


class Gathered:
    """The fixes of one file as they are read; `keys` are the numeric fields that the format can have, with lat and lon."""

    def __init__(self, faults: Faults, keys: Iterable[str], as_written: AsWritten | None = None) -> None:
        self._faults, self._as_written = faults, as_written
        self.keys = tuple(keys)
        self._columns: dict[str, list[float]] = {key: [] for key in self.keys}
        self._devices: dict[str, int] = {}
        self._device: list[int] = []
        self._time_us: list[int] = []
        self._source: list[int] = []
        self._received_s: list[int] = []
        self._origins: list[tuple[Place, Any]] = []
        self._wrong: list[Fault] = []

    def add(
        self,
        place: Place,
        device: str,
        time_us: int,
        values: Mapping[str, float | None],
        source: int = 0,
        received_us: int | None = None,
        origin: Any = None,
    ) -> None:
        """One fix: `values` in file units, a key absent or None is absent; `origin` is for `as_written`."""
        self._device.append(self._devices.setdefault(device, len(self._devices)))
        self._time_us.append(time_us)
        self._source.append(source)
        self._received_s.append((time_us if received_us is None else received_us) // SECOND_US)
        self._origins.append((place, origin))
        for key, column in self._columns.items():
            value = values.get(key)
            column.append(_NAN if value is None else value)

    def refuse(self, place: Place, error: InputError, code: str = "bad_value") -> None:
        """What cannot be a fix, and why."""
        fault = from_error(error, place.row, place.line, "missing" if error.field and error.value is None else code)
        self._wrong.append(_told(fault, place.where))

    def fixes(self) -> Fixes:
        """All that is good, in the order of the file; the faults have then been told, in that order too."""
        raw = Raw(
            tuple(self._devices), np.array(self._device, np.int32), np.array(self._time_us, np.int64),
            {key: np.array(column, np.float64) for key, column in self._columns.items()},
            np.array(self._source, np.int32), np.array(self._received_s, np.int64),
        )  # fmt: skip
        fixes, good, doubts = assemble(raw)
        self._faults.keep(compress((place.row for place, _ in self._origins), good))
        for doubt in doubts:
            place, origin = self._origins[doubt.row]
            name, value = (doubt.field, doubt.value)
            if self._as_written is not None and origin is not None:
                name, value = self._as_written(origin, doubt.field)
            fault = Fault(place.row, doubt.code, name, value, doubt.message, doubt.expected, line=place.line)
            self._wrong.append(_told(fault, place.where))
        for fault in sorted(self._wrong, key=lambda fault: (fault.row, fault.line)):
            self._faults.add(fault)
        self._wrong.clear()
        return fixes


def _told(fault: Fault, where: str) -> Fault:
    return fault._replace(message=f"{fault.message} ({where})" if fault.message and where else fault.message or where)
