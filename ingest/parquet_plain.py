"""Batches of a Parquet trail in which every value is plainly what it should be, as in most: read without looking at each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, POSITION, Column, Fixes
from engine.kernels import fill_seconds, fill_units
from engine.times import EARLIEST_US, LATEST_US, SECOND_US
from ingest.fix_checks import check_device, source_code

_PER_SECOND = {"s": 1, "ms": 1000, "us": SECOND_US}


class Names:
    """The device names of coded columns, checked once for all batches that share a dictionary."""

    def __init__(self) -> None:
        self._dictionary: Any = None
        self._names: tuple[str, ...] | None = None

    def of(self, column: Any) -> tuple[str, ...] | None:
        """The names that the column's codes index; None where one of them needs a look."""
        dictionary = _chunk(column).dictionary
        if self._dictionary is None or not dictionary.equals(self._dictionary):
            self._dictionary, self._names = dictionary, _checked(dictionary.to_pylist())
        return self._names


def plain_fixes(table: Any, names: Names) -> Fixes | None:
    """The fixes of a batch; None where a value or a type needs a look."""
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    times = [name for name in ("time", "received") if name in kinds]
    texts = [name for name in ("device", "source") if name in kinds]
    plain = all(is_instant(kinds[name]) for name in times) and all(is_coded(kinds[name]) for name in texts)
    if not plain or any(table[name].null_count for name in (*times, *texts)) or not len(table):
        return None
    devices, received_s = names.of(table["device"]), np.empty(len(table), np.int64)
    source = _source_codes(table["source"]) if "source" in kinds else np.zeros(len(table), np.int32)
    if devices is None or source is None or not all(_fill_seconds(table[name], received_s) for name in times):
        return None
    columns = {column.name: _units(table, column) for column in (*POSITION, *OPTIONAL)}
    if any(column is None for column in columns.values()):
        return None
    columns |= {"device": codes(table["device"]), "source": source}
    return Fixes(devices, time_us=micros(table["time"]), received_s=received_s, **columns)  # type: ignore[arg-type]


def is_coded(kind: Any) -> bool:
    """Whether a column's type is text by a dictionary."""
    return bool(pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type))


def is_instant(kind: Any) -> bool:
    """Whether a column's type is a time of a known zone."""
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None and kind.unit in _PER_SECOND)


def codes(column: Any) -> NDArray[np.int32]:
    """For each row (n,) of a coded column the index of its value."""
    return np.asarray(_chunk(column).indices, np.int32)


def micros(column: Any) -> NDArray[np.int64]:
    """A column of instants (n,) in microseconds UTC."""
    return np.asarray(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy(), np.int64)


def _chunk(column: Any) -> Any:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def _checked(names: list[str | None]) -> tuple[str, ...] | None:
    try:
        checked = tuple(check_device(name or "") for name in names)
    except InputError:
        return None
    return checked if len(set(checked)) == len(checked) else None


def _source_codes(column: Any) -> NDArray[np.int32] | None:
    try:
        found = [source_code(name) if name is not None else 0 for name in _chunk(column).dictionary.to_pylist()]
    except InputError:
        return None
    return np.array(found, np.int32)[codes(column)]


def _units(table: Any, column: Column) -> NDArray[np.int32] | None:
    """A column in units, all ABSENT where the file has none; None where a value is not what it may be."""
    units = np.empty(len(table), np.int32)
    if column.key not in table.column_names or table[column.key].null_count == len(table):
        units.fill(ABSENT)
        return None if column in POSITION else units
    numbers = table[column.key]
    if not pa.types.is_floating(numbers.type):
        return None
    values = np.asarray(numbers.cast(pa.float64()).to_numpy(), np.float64)
    n_absent, n_odd = fill_units(values, column.scale, column.least, column.most, column.whole, ABSENT, units)
    return None if n_odd or (n_absent and column in POSITION) else units


def _fill_seconds(column: Any, seconds: NDArray[np.int64]) -> bool:
    """Write instants as whole seconds; whether a tag can have them."""
    times = np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)
    least, most = fill_seconds(times, _PER_SECOND[column.type.unit], seconds)
    return bool(EARLIEST_US // SECOND_US <= least <= most < LATEST_US // SECOND_US)
