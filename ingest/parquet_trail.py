"""Parquet trails: the columns of the canonical CSV, typed; degrees as float64 or our own 1e-7 degree integers.

A file is read a batch of rows at a time, so that what is between the file and the columns stays in the processor's cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, NAMES, OPTIONAL, POSITION, SOURCE_NAMES, Fixes
from engine.times import SECOND_US
from ingest.fault import Fault, Faults, from_error
from ingest.fix_checks import KEYS, Raw, assemble, check_device, keep, source_code, to_units
from ingest.parquet_plain import Names, codes, is_coded, is_instant, micros, plain_fixes
from ingest.time_texts import localise, parse_column, parse_texts

_E7 = {"lat": "lat_e7", "lon": "lon_e7"}
_TIME_TYPES = "timestamp with a zone, ISO 8601 text with an offset, or epoch seconds"
_BATCH = 65_536
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError)
"""What pyarrow raises at files that are not what they say; an InputError, which is a ValueError, is let through."""
_ALWAYS_ROWS, _MOST_ROWS_A_BYTE = 1 << 20, 10
_OPTIONAL = tuple(column.key for column in OPTIONAL)
_OURS = ("device", "time", "received", "source", *KEYS, *_E7.values())


class ParquetTrail:
    """A Parquet trail to be read in pieces. `source` is its bytes or its path, `file` what messages call it."""

    def __init__(self, source: bytes | str | Path, file: str, tz: ZoneInfo | None = None) -> None:
        self.file, self._tz = file, tz
        try:
            opened = pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))
            self._parquet = pq.ParquetFile(opened)
            self.names = [name.strip().lower() for name in self._parquet.schema_arrow.names]
        except _BROKEN as error:
            raise self._unreadable(error) from None
        _check_columns(self.names, file)
        self._refuse_bomb(opened.size())

    def __len__(self) -> int:
        return int(self._parquet.metadata.num_rows)

    def pieces(self, first: int, last: int, faults: Faults) -> Iterator[tuple[int, Fixes]]:
        """The fixes of the row groups that hold the rows first to last, in pieces, each with the row after its own.

        Faulty rows go to `faults`.
        """
        try:
            yield from self._pieces(first, last, faults)
        except _BROKEN as error:
            if isinstance(error, InputError):
                raise
            raise self._unreadable(error) from None

    def _pieces(self, first: int, last: int, faults: Faults) -> Iterator[tuple[int, Fixes]]:
        metadata, row = self._parquet.metadata, 0
        groups = []
        for k in range(metadata.num_row_groups):
            stop = row + metadata.row_group(k).num_rows
            groups += [(k, row)] if row <= last and stop > first else []
            row = stop
        row, names = groups[0][1] if groups else 0, Names()
        for table in self._tables([k for k, _ in groups], self._told([k for k, _ in groups])):
            fixes, first = plain_fixes(table, names), row
            row += len(table)
            if fixes is None:
                fixes = _checked_fixes(table, first, faults, self._tz)
            else:
                faults.keep(range(first + 1, row + 1))
            yield row, fixes

    def names_and_times(self) -> Iterator[tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int64]] | None]:
        """Of each piece the devices' names, each row's index in them and its time [us]; None where they are not plain."""
        schema = self._parquet.schema_arrow
        keys = [self.names.index(key) for key in ("device", "time")]
        device, time = (schema.field(k).type for k in keys)
        if not (is_coded(device) and is_instant(time)):
            yield None
            return
        known = Names()
        for table in self._tables(list(range(self._parquet.num_row_groups)), [schema.names[k] for k in keys]):
            names = known.of(table["device"])
            odd = names is None or table["device"].null_count or table["time"].null_count
            yield None if odd or names is None else (names, codes(table["device"]), micros(table["time"]))

    def _refuse_bomb(self, n_bytes: int) -> None:
        """InputError where a file says that it has rows that it cannot have, or far more than its bytes: all the same."""
        metadata = self._parquet.metadata
        groups = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
            raise InputError("its row groups have other rows than the whole", place=self.file, expected="a whole file")
        if metadata.num_rows > _ALWAYS_ROWS + _MOST_ROWS_A_BYTE * n_bytes:
            raise InputError(f"says that its {n_bytes:,} bytes hold {metadata.num_rows:,} rows", place=self.file,
                             expected="a trail")  # fmt: skip

    def _told(self, groups: list[int]) -> list[str]:
        """The columns that are ours and say anything in these row groups, by their names in the file."""
        metadata, told = self._parquet.metadata, []
        leaves = {metadata.schema.column(k).path: k for k in range(metadata.num_columns)}
        for path, name in zip(self._parquet.schema_arrow.names, self.names, strict=True):
            if name in _OURS and not (name in _OPTIONAL and path in leaves and self._is_silent(groups, leaves[path])):
                told.append(path)
        return told

    def _is_silent(self, groups: list[int], leaf: int) -> bool:
        """Whether the file itself says that a column holds nothing but nulls."""
        chunks = (self._parquet.metadata.row_group(k).column(leaf) for k in groups)
        return all(c.is_stats_set and c.statistics.null_count == c.num_values for c in chunks)

    def _tables(self, groups: list[int], columns: list[str]) -> Iterator[Any]:
        try:
            batches = self._parquet.iter_batches(_BATCH, groups, columns, use_threads=False)
            for batch in batches:
                table = pa.Table.from_batches([batch])
                yield table.rename_columns([name.strip().lower() for name in table.column_names])
        except _BROKEN as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(f"not a readable Parquet file ({_first_line(error)})", place=self.file)


def is_parquet(path: str | Path) -> bool:
    """Whether a path is a plain file that begins as Parquet does."""
    try:
        with Path(path).open("rb") as file:
            return Path(path).is_file() and file.read(4) == b"PAR1"
    except OSError:
        return False


def read_parquet(data: bytes, faults: Faults, tz: ZoneInfo | None = None) -> Fixes:
    """The fixes of a Parquet file in the order of its rows; null and NaN are absent; faulty rows go to `faults`."""
    trail = ParquetTrail(data, faults.file, tz)
    names: dict[str, int] = {}
    columns = {name: np.empty(len(trail), Fixes.dtype(name)) for name in NAMES}
    n, number = 0, np.empty(0, np.int32)
    known: tuple[str, ...] = ()
    for _, piece in trail.pieces(0, len(trail), faults):
        if piece.devices is not known:
            known, number = piece.devices, np.array([names.setdefault(d, len(names)) for d in piece.devices], np.int32)
        for name, column in columns.items():
            column[n : n + len(piece)] = number[piece.device] if name == "device" else piece.column(name)
        n += len(piece)
    return Fixes(tuple(names), **{name: column[:n] for name, column in columns.items()})


def _checked_fixes(table: Any, row: int, faults: Faults, tz: ZoneInfo | None) -> Fixes:
    """The good fixes of a batch whose first row is number `row` of the file; each fault is named."""
    bad: dict[int, Fault] = {}
    time_us = _times(table, "time", tz, faults.file, bad)
    received_us = _times(table, "received", tz, faults.file, bad) if "received" in table.column_names else 0 * time_us
    devices, device = _names(table, "device", check_device, faults.file, bad)
    names, source = _names(table, "source", source_code, faults.file, bad)
    numbers = np.array([code if isinstance(code, int) else 0 for code in names], np.int32)
    values = {key: column for key in KEYS if (column := _numbers(table, key, faults.file)) is not None}
    received_s = np.where(received_us == 0, time_us, received_us) // SECOND_US
    raw = Raw([str(name) for name in devices], device, time_us, values, numbers[source], received_s)
    return _settle(raw, bad, row, faults)


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


def _check_columns(found: list[str], file: str) -> None:
    missing = [name for name in ("device", "time") if name not in found]
    missing += [name for name in ("lat", "lon") if name not in found and _E7[name] not in found]
    if missing:
        raise InputError(f"no column {', '.join(missing)} (it has: {', '.join(found[:20])})", place=file,
                         expected="device,time,lat,lon")  # fmt: skip
    twice = next((name for name, n in Counter(found).items() if n > 1), "")
    if twice:
        raise InputError(f"column {twice} more than once", place=file)


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


def _settle(raw: Raw, bad: dict[int, Fault], row: int, faults: Faults) -> Fixes:
    fixes, good, doubts = assemble(raw)
    for doubt in doubts:
        fault = Fault(doubt.row + 1, doubt.code, doubt.field, doubt.value, doubt.message, doubt.expected)
        bad.setdefault(doubt.row, fault)
    for index in sorted(bad):
        faults.add(bad[index]._replace(row=row + index + 1))
    fine = np.ones(len(good), np.bool_)
    fine[list(bad)] = False
    faults.keep(row + 1 + np.flatnonzero(fine))
    return fixes if not bad else keep(fixes, fine[good])


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0][:120]
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
