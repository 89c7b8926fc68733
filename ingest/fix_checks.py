"""Values as files and payloads give them (degrees, metres, percent) into columns, and what is wrong with them.

One law for all dialects: a number is its nearest float64, and its column holds that number's shortest decimal text
rounded half to even. For text of up to 15 digits this is the text itself, so 53.1234567 is 531234567 exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, POSITION, SOURCES, Column, Fixes
from engine.times import EARLIEST_US, LATEST_US, SECOND_US

KEYS = tuple(column.key for column in (*POSITION, *OPTIONAL))
"""The numeric fields of a fix, by their names in files and payloads."""

DEVICE_MOST = 128
_SIGNED = ("lat", "lon", "altitude_m")
_WHOLE = ("satellites",)
_TIME_EXPECTED = "a year from 2000 to 2099"


class Doubt(NamedTuple):
    """What is wrong with the value of one field in row `row` of a batch, counted from 0."""

    row: int
    code: str
    field: str
    value: object
    message: str
    expected: str


class Raw(NamedTuple):
    """A batch as read, columns of shape (n,): `values` by key in file units, float64, NaN = absent."""

    devices: Sequence[str]
    device: NDArray[np.int32]
    time_us: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    source: NDArray[np.int32]
    received_s: NDArray[np.int64]


def to_units(values: NDArray[np.float64], scale: int) -> NDArray[np.int64]:
    """Numbers times `scale` as integers, half to even, exact in the decimal text of each number; shape (n,).

    The half between two integers, divided by the scale, is correctly rounded (IEEE 754), so comparing the number with
    it decides as its decimal text would; the product alone may land on the wrong side. Needs |value * scale| < 2**51.
    """
    floor = np.floor(values * scale)
    half = (floor + 0.5) / scale
    up = (values > half) | ((values == half) & (floor % 2 != 0))
    units: NDArray[np.int64] = floor.astype(np.int64) + up
    return units


def assemble(raw: Raw) -> tuple[Fixes, NDArray[np.bool_], list[Doubt]]:
    """The good rows as Fixes, the mask (n,) of good rows, and the doubts about the others in row order."""
    n = len(raw.time_us)
    good = np.ones(n, np.bool_)
    doubts: list[Doubt] = []
    columns: dict[str, NDArray[Any]] = {}
    for column in (*POSITION, *OPTIONAL):
        values = raw.values.get(column.key)
        if values is not None:
            columns[column.name] = _column(column, values, good, doubts)
    for name, times in (("time", raw.time_us), ("received", raw.received_s * SECOND_US)):
        _check_times(name, times, good, doubts)
    whole = Fixes.of(raw.devices, device=raw.device, time_us=raw.time_us, source=raw.source, received_s=raw.received_s,
                     **columns)  # fmt: skip
    doubts.sort(key=lambda doubt: doubt.row)
    return (whole if not doubts else keep(whole, good)), good, doubts


def keep(fixes: Fixes, good: NDArray[np.bool_]) -> Fixes:
    """The fixes of a mask (n,), and only the devices that still have one."""
    kept = fixes.take(good)
    used, device = np.unique(kept.device, return_inverse=True)
    return replace(kept, devices=tuple(fixes.devices[code] for code in used), device=device.astype(np.int32))


def check_device(name: str) -> str:
    """The name itself; InputError where no device can be called so."""
    if not name.strip():
        raise InputError("no name", field="device", value=name, expected="a device name")
    if len(name) > DEVICE_MOST:
        raise InputError("too long", field="device", value=name, expected=f"at most {DEVICE_MOST} characters")
    if not name.isprintable():
        raise InputError("has a control character", field="device", value=name, expected="printable characters in UTF-8")
    return name


def source_code(name: str) -> int:
    """The code of a source's name, upper or lower case; empty is unknown. InputError where there is no such source."""
    code = SOURCES.get(name.strip().lower() or "unknown")
    if code is None:
        raise InputError(field="source", value=name, expected=f"one of {', '.join(SOURCES)}")
    return code


def expected(column: Column) -> str:
    """What a field takes, in words."""
    least = f"{-column.most:g}" if column.key in _SIGNED else "0"
    whole = "a whole number, " if column.key in _WHOLE else ""
    return f"{whole}{column.unit} from {least} to {column.most:g}"


def _column(column: Column, values: NDArray[np.float64], good: NDArray[np.bool_], doubts: list[Doubt]) -> NDArray[np.int64]:
    least = -column.most if column.key in _SIGNED else 0.0
    within = (values >= least) & (values <= column.most)
    if column.key in _WHOLE:
        within &= np.floor(values) == values
    absent = np.isnan(values)
    fine = within if column in POSITION else within | absent
    if not fine.all():
        _doubt(column, values, ~fine, doubts)
        good &= fine
    units = to_units(np.where(within, values, 0.0), column.scale)
    units[absent] = ABSENT
    return units


def _doubt(column: Column, values: NDArray[np.float64], bad: NDArray[np.bool_], doubts: list[Doubt]) -> None:
    for index in np.flatnonzero(bad):
        value = float(values[index])
        missing = np.isnan(value)
        code = "missing" if missing else "out_of_range"
        doubts.append(Doubt(int(index), code, column.key, None if missing else value, "", expected(column)))


def _check_times(name: str, times_us: NDArray[np.int64], good: NDArray[np.bool_], doubts: list[Doubt]) -> None:
    fine = (times_us >= EARLIEST_US) & (times_us < LATEST_US)
    if fine.all():
        return
    good &= fine
    for index in np.flatnonzero(~fine):
        value = int(times_us[index]) / SECOND_US
        doubts.append(Doubt(int(index), "bad_time", name, value, "a time that no tag can have", _TIME_EXPECTED))
