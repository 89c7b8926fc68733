"""Parquet trails: the columns of the canonical CSV, typed; degrees as float64 or our own 1e-7 degree integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, POSITION, SOURCE_NAMES, Fixes
from engine.times import SECOND_US
from ingest.fault import Fault, Faults, from_error
from ingest.fix_checks import KEYS, Raw, assemble, check_device, keep, source_code, to_units
from ingest.time_texts import localise, parse_column, parse_texts

_E7 = {"lat": "lat_e7", "lon": "lon_e7"}
_TIME_TYPES = "timestamp with a zone, ISO 8601 text with an offset, or epoch seconds"


def read_parquet(data: bytes, faults: Faults, tz: ZoneInfo | None = None) -> Fixes:
    """The fixes of a Parquet file in the order of its rows; null and NaN are absent; faulty rows go to `faults`."""
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file ({_first_line(error)})", place=faults.file) from None
    table = table.rename_columns([name.strip().lower() for name in table.column_names])
    _check_columns(table, faults.file)
    bad: dict[int, Fault] = {}
    time_us = _times(table, "time", tz, faults.file, bad)
    received_us = _times(table, "received", tz, faults.file, bad) if "received" in table.column_names else 0 * time_us
    devices, device = _names(table, "device", check_device, faults.file, bad)
    names, source = _names(table, "source", source_code, faults.file, bad)
    codes = np.array([code if isinstance(code, int) else 0 for code in names], np.int32)
    values = {key: column for key in KEYS if (column := _numbers(table, key, faults.file)) is not None}
    received_s = np.where(received_us == 0, time_us, received_us) // SECOND_US
    return _settle(Raw([str(name) for name in devices], device, time_us, values, codes[source], received_s), bad, faults)


def write_parquet(fixes: Fixes, path: str | Path) -> None:
    """Write all columns under their canonical names: time in microseconds UTC, float64 numbers, absent values null."""
    columns: dict[str, Any] = {
        "device": pa.DictionaryArray.from_arrays(pa.array(fixes.device), pa.array(fixes.devices, pa.string())),
        "time": pa.array(fixes.time_us).cast(pa.timestamp("us", "UTC")),
    }
    for column in POSITION:
        columns[column.key] = pa.array(fixes.column(column.name) / column.scale)
    columns["source"] = _source_texts(fixes)
    for column in OPTIONAL:
        units = fixes.column(column.name)
        columns[column.key] = pa.array(units / column.scale, mask=units == ABSENT)
    columns["received"] = pa.array(fixes.received_s * 1000).cast(pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table(columns), path, compression="zstd")


def _source_texts(fixes: Fixes) -> Any:
    codes, where = np.unique(fixes.source, return_inverse=True)
    names = pa.array([SOURCE_NAMES[int(code)] for code in codes], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(where.astype(np.int32)), names)


def _check_columns(table: Any, file: str) -> None:
    found = table.column_names
    missing = [name for name in ("device", "time") if name not in found]
    missing += [name for name in ("lat", "lon") if name not in found and _E7[name] not in found]
    if missing:
        raise InputError(f"no column {', '.join(missing)} (it has: {', '.join(found[:20])})", place=file,
                         expected="device,time,lat,lon")  # fmt: skip
    twice = [name for name in found if found.count(name) > 1]
    if twice:
        raise InputError(f"column {twice[0]} more than once", place=file)


def _times(table: Any, name: str, tz: ZoneInfo | None, file: str, bad: dict[int, Fault]) -> NDArray[np.int64]:
    column = _plain(table[name])
    if name == "time":
        _note_nulls(column, name, bad)
    kind = column.type
    if pa.types.is_timestamp(kind):
        moments = pc.fill_null(pc.cast(column, pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()), 0)
        times = np.asarray(moments.to_numpy(), np.int64)
        if kind.tz is None and tz is None:
            raise InputError(
                "has no zone", place=file, field=name, value=str(kind), expected=f"{_TIME_TYPES} (or say --tz)"
            )
        return times if kind.tz is not None or tz is None else localise(times, tz)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _time_texts(column.cast(pa.string()), name, tz, bad)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        seconds = np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy())
        fine = np.abs(seconds) < 1e10
        return to_units(np.where(fine, seconds, -1.0), SECOND_US)
    raise InputError(place=file, field=name, value=str(kind), expected=_TIME_TYPES)


def _time_texts(column: Any, name: str, tz: ZoneInfo | None, bad: dict[int, Fault]) -> NDArray[np.int64]:
    times = parse_column(column, tz)
    if times is not None:
        return times
    times, errors = parse_texts(column.to_pylist(), tz, name)
    for index, error in errors.items():
        bad.setdefault(index, from_error(error, index + 1, code="bad_time"))
    return times


def _names(
    table: Any, name: str, check: Any, file: str, bad: dict[int, Fault]
) -> tuple[list[str | int], NDArray[np.int32]]:
    """The checked distinct values of a text column, and for each row the index of its own."""
    if name not in table.column_names:
        return [0], np.zeros(len(table), np.int32)
    column = _plain(table[name])
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_integer(column.type)):
        raise InputError(place=file, field=name, value=str(column.type), expected="a column of text")
    if name == "device":
        _note_nulls(column, name, bad)
    coded = pc.fill_null(column.cast(pa.string()), "" if name == "source" else "?").combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    where = np.asarray(coded.indices, np.int32)
    checked: list[str | int] = []
    for code, text in enumerate(coded.dictionary.to_pylist()):
        try:
            checked.append(check(text))
        except InputError as error:
            checked.append(text)
            for index in np.flatnonzero(where == code):
                bad.setdefault(int(index), from_error(error, int(index) + 1, code=f"bad_{name}"))
    return checked, where


def _numbers(table: Any, key: str, file: str) -> NDArray[np.float64] | None:
    exact = _E7.get(key)
    name = exact if exact in table.column_names else key
    if name not in table.column_names:
        return None
    column = _plain(table[name])
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        raise InputError(place=file, field=str(name), value=str(kind), expected="a column of numbers")
    numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    return numbers / 1e7 if name == exact else numbers


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _note_nulls(column: Any, name: str, bad: dict[int, Fault]) -> None:
    if column.null_count:
        for index in np.flatnonzero(np.asarray(column.is_null())):
            bad.setdefault(int(index), Fault(int(index) + 1, "missing", name, None, "required"))


def _settle(raw: Raw, bad: dict[int, Fault], faults: Faults) -> Fixes:
    fixes, good, doubts = assemble(raw)
    for doubt in doubts:
        fault = Fault(doubt.row + 1, doubt.code, doubt.field, doubt.value, doubt.message, doubt.expected)
        bad.setdefault(doubt.row, fault)
    for index in sorted(bad):
        faults.add(bad[index])
    fine = np.ones(len(good), np.bool_)
    fine[list(bad)] = False
    return fixes if not bad else keep(fixes, fine[good])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120]
