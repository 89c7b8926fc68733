"""Rows of fixes as they are read from payloads, column by column, and where each came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import Fixes
from ingest.fix_checks import Raw, assemble, source_code
from ingest.message import Message
from ingest.time_texts import parse_values

TIME, SOURCE = 0, 4
NUMBERS = {"lat": 1, "lon": 2, "accuracy_m": 3, "speed_mps": 5, "course_deg": 6, "altitude_m": 7, "hdop": 8,
           "satellites": 9, "battery_pct": 10}  # fmt: skip
"""Where each field of a row stands."""
WIDTH = 11
_NAN = float("nan")


class Origin(NamedTuple):
    """Where a row came from: its message, its position in it (-1: it is the message), its device."""

    message: Message
    position: int
    device: str


@dataclass(slots=True)
class Rows:
    """Rows of a batch in order of arrival."""

    columns: list[list[Any]] = field(default_factory=lambda: [[] for _ in range(WIDTH)])
    messages: list[Message] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    device: list[int] = field(default_factory=list)
    devices: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, message: Message, device: str, row: Sequence[Any], position: int) -> None:
        """One row: time, lat, lon, accuracy_m, source, speed_mps and so on as in NUMBERS; absent is None or UNSET."""
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)
        self.messages.append(message)
        self.positions.append(position)
        self.device.append(self.number(device))

    def add_list(self, message: Message, device: str, columns: Sequence[Sequence[Any]]) -> None:
        """The rows of a message that is a list."""
        n = len(columns[TIME])
        self._extend(columns)
        self.messages.extend(repeat(message, n))
        self.positions.extend(range(n))
        self.device.extend(repeat(self.number(device), n))

    def add_singles(self, messages: Sequence[Message], devices: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        """A row for each message."""
        self._extend(columns)
        self.messages.extend(messages)
        self.positions.extend(repeat(-1, len(messages)))
        self.device.extend(map(self.number, devices))

    def number(self, device: str) -> int:
        """The number of a device, given in the order in which they are first seen."""
        return self.devices.setdefault(device, len(self.devices))

    def origins(self, rows: Iterable[int]) -> list[Origin]:
        """Where these rows came from."""
        names = list(self.devices)
        return [Origin(self.messages[k], self.positions[k], names[self.device[k]]) for k in rows]

    def to_fixes(self) -> tuple[Fixes, NDArray[np.bool_], dict[int, InputError]]:
        """The rows without a fault in a value, the mask (n,) of these, and by row what is wrong with others.

        Errors may tell of rows that the mask leaves in: their time or source cannot be read.
        """
        time_us, errors = parse_values(self.columns[TIME])
        codes = _source_codes(self.columns[SOURCE], errors)
        values = {key: numbers for key, k in NUMBERS.items() if (numbers := _numbers(self.columns[k])) is not None}
        received_s = np.array([message.received_us for message in self.messages], np.int64) // 1_000_000
        raw = Raw(tuple(self.devices), np.array(self.device, np.int32), time_us, values, codes, received_s)
        fixes, good, doubts = assemble(raw)
        for doubt in doubts:
            wrong = InputError(doubt.message, field=doubt.field, value=doubt.value, expected=doubt.expected)
            errors.setdefault(doubt.row, wrong)
        return fixes, good, errors

    def _extend(self, columns: Sequence[Sequence[Any]]) -> None:
        for column, more in zip(self.columns, columns, strict=False):  # what follows is no part of a fix
            column.extend(more)


def _numbers(column: list[Any]) -> NDArray[np.float64] | None:
    """A column as float64, NaN where absent; None where it is absent everywhere."""
    n_absent = column.count(UNSET)
    if n_absent == len(column):
        return None
    if n_absent:
        return np.array([_NAN if value is UNSET else value for value in column], np.float64)
    return np.array(column, np.float64)  # None becomes NaN


def _source_codes(sources: list[Any], errors: dict[int, InputError]) -> NDArray[np.int32]:
    codes: dict[Any, int] = {None: 0, UNSET: 0}
    wrong: dict[str, InputError] = {}
    for name in set(sources) - codes.keys():
        try:
            codes[name] = source_code(name)
        except InputError as error:
            codes[name], wrong[name] = 0, error
    for index, name in enumerate(sources if wrong else ()):
        if name in wrong:
            errors.setdefault(index, wrong[name])
    return np.array([codes[name] for name in sources], np.int32)
