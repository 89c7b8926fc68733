"""Canonical CSV trails: read at once by Arrow where every value is plain, else row by row, so that each fault is named."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, POSITION, SOURCE_NAMES, Fixes, concat
from engine.times import SECOND_US
from ingest.csv_rows import read_rows
from ingest.csv_table import table_of
from ingest.fault import Faults
from ingest.fix_checks import KEYS, Raw, assemble, check_device, source_code
from ingest.time_texts import parse_column

REQUIRED = ("device", "time", "lat", "lon")
COLUMNS = ("device", "time", "lat", "lon", "accuracy_m", "source", "speed_mps", "course_deg", "altitude_m", "hdop",
           "satellites", "battery_pct", "received")  # fmt: skip
"""The canonical columns in their order of writing; a file may have them in any order, and others beside them."""

SMALL = 1 << 16  # bytes of a block that goes row by row when there is something wrong in it
WRITTEN_AT_ONCE = 1 << 18
_ODD_QUOTE = re.compile(rb'[^,\n"]"[^,\r\n"]|""')
_TEXTS = ("device", "source", "time", "received")


def read_csv(data: bytes, faults: Faults, tz: ZoneInfo | None = None) -> Fixes:
    """The fixes of a canonical CSV in the order of its rows; faulty rows go to `faults` and are left out."""
    table = table_of(data, faults.file, COLUMNS, REQUIRED)
    blocks, row, line = [table.body], 0, table.line
    parts: list[Fixes] = []
    while blocks:
        body = blocks.pop()
        fixes = _read_plain(body, table.names, tz)
        if fixes is not None:
            n_rows = len(fixes)
            faults.keep(range(row + 1, row + 1 + n_rows))
        elif len(body) > SMALL and b'"' not in body:  # a fault somewhere in it: look for it in halves
            cut = body.find(b"\n", len(body) // 2) + 1 or len(body)
            if cut < len(body):
                blocks += [body[cut:], body[:cut]]
                continue
            fixes, n_rows = read_rows(table._replace(body=body, line=line), faults, COLUMNS, tz, row)
        else:
            fixes, n_rows = read_rows(table._replace(body=body, line=line), faults, COLUMNS, tz, row)
        parts.append(fixes)
        row, line = row + n_rows, line + body.count(b"\n")
    return concat(parts)


def write_csv(fixes: Fixes, file: str | Path | BinaryIO) -> None:
    """Write all columns in canonical form: exact decimals, times in UTC, absent values empty."""
    if isinstance(file, (str, Path)):
        with open(file, "wb") as out:
            write_csv(fixes, out)
        return
    file.write(",".join(COLUMNS).encode() + b"\n")
    for start in range(0, len(fixes), WRITTEN_AT_ONCE):
        file.write(_lines(fixes.take(slice(start, start + WRITTEN_AT_ONCE))))


def _lines(fixes: Fixes) -> bytes:
    columns = [_text_of(fixes, name) for name in COLUMNS]
    joined = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise(joined, "", "\n")
    return bytes(lines.buffers()[2])


def _read_plain(body: bytes, names: Sequence[str], tz: ZoneInfo | None) -> Fixes | None:
    """All columns at once; None on any surprise, which the row-by-row pass then names."""
    if not body.strip():
        return None
    table = _table(body, names)
    if table is None or not quotes_are_plain(body, len(table)):
        return None
    time_us, received_us = parse_column(table["time"], tz), _received_us(table, tz)
    devices, device = _devices(table["device"])
    source = _sources(table, names)
    if table["time"].null_count or time_us is None or received_us is None or device is None or source is None:
        return None
    values = {key: _floats(table[key]) for key in KEYS if key in names}
    read = {key: numbers for key, numbers in values.items() if numbers is not None}
    if len(read) < len(values):
        return None
    received_s = np.where(received_us == 0, time_us, received_us) // SECOND_US
    fixes, _, doubts = assemble(Raw(devices, device, time_us, read, source, received_s))
    return fixes if not doubts else None


def _table(body: bytes, names: Sequence[str]) -> Any:
    kept = [name for name in COLUMNS if name in names]
    unique = [name if name in kept else f"unknown {i}" for i, name in enumerate(names)]
    types = {name: pa.dictionary(pa.int32(), pa.string()) if name in ("device", "source") else
             pa.string() if name in _TEXTS else pa.float64() for name in kept}  # fmt: skip
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(body),
            read_options=pyarrow.csv.ReadOptions(column_names=unique),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=b'"' in body),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=kept, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table.unify_dictionaries()


def quotes_are_plain(body: bytes, n_rows: int) -> bool:
    """Whether each quote is where one belongs and each row on one line: Arrow takes a quote that is never closed, and
    with it the rows behind."""
    if b'"' not in body:
        return True
    n_lines = body.count(b"\n") + (not body.endswith(b"\n"))
    return n_rows == n_lines and _ODD_QUOTE.search(body) is None


def _floats(column: Any) -> NDArray[np.float64] | None:
    numbers = np.asarray(column.to_numpy(), np.float64)
    # A text "nan" is a fault, an empty cell is not: both are NaN here.
    return numbers if np.count_nonzero(np.isnan(numbers)) == column.null_count else None


def _received_us(table: Any, tz: ZoneInfo | None) -> NDArray[np.int64] | None:
    if "received" not in table.column_names:
        return np.zeros(len(table), np.int64)
    return parse_column(table["received"], tz)


def _devices(column: Any) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
    names = tuple(column.chunk(0).dictionary.to_pylist()) if column.num_chunks else ()
    try:
        for name in names:
            check_device(name)
    except InputError:
        return names, None
    return names, None if column.null_count else _indices(column)


def _sources(table: Any, names: Sequence[str]) -> NDArray[np.int32] | None:
    if "source" not in names:
        return np.zeros(len(table), np.int32)
    column = table["source"]
    try:
        known = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
        codes = [source_code(name) for name in known]
    except InputError:
        return None
    return np.array([*codes, 0], np.int32)[_indices(column, absent=len(codes))]


def _indices(column: Any, absent: int = 0) -> NDArray[np.int32]:
    parts = [np.asarray(pc.fill_null(chunk.indices, absent)) for chunk in column.chunks]
    return np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, np.int32)


def _text_of(fixes: Fixes, name: str) -> Any:
    if name == "device":
        quoted = [_quoted(device) for device in fixes.devices]
        return pa.array(quoted, pa.string()).take(pa.array(fixes.device))
    if name == "source":
        codes, where = np.unique(fixes.source, return_inverse=True)
        return pa.array([SOURCE_NAMES[int(code)] for code in codes], pa.string()).take(pa.array(where))
    if name == "time":
        return time_text(fixes.time_us)
    if name == "received":
        return time_text(fixes.received_s * SECOND_US)
    column = next(column for column in (*POSITION, *OPTIONAL) if column.key == name)
    return decimal_text(fixes.column(column.name), len(str(column.scale)) - 1, optional=column in OPTIONAL)


def time_text(times_us: NDArray[np.int64]) -> Any:
    """ISO 8601 UTC with `Z` as a pyarrow string column, in milliseconds, or in microseconds where any has them."""
    unit = "us" if np.any(times_us % 1000) else "ms"
    moments = pa.array(times_us if unit == "us" else times_us // 1000).cast(pa.timestamp(unit))
    texts = pc.utf8_replace_slice(moments.cast(pa.string()), start=10, stop=11, replacement="T")
    return pc.binary_join_element_wise(texts, "Z", "")


def decimal_text(units: NDArray[np.int32], digits: int, optional: bool) -> Any:
    """Integers as decimal text with `digits` decimals, a pyarrow string column; ABSENT is null where optional."""
    column = pa.array(units, mask=units == ABSENT if optional else None).cast(pa.int64())
    if not digits:
        return column.cast(pa.string())
    size = pc.abs(column)
    whole = pc.divide(size, 10**digits)
    part = pc.subtract(size, pc.multiply(whole, 10**digits)).cast(pa.string())
    sign = pc.if_else(pc.less(column, 0), "-", "")
    number = pc.binary_join_element_wise(whole.cast(pa.string()), pc.utf8_lpad(part, digits, "0"), ".")
    return pc.binary_join_element_wise(sign, number, "")


def _quoted(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([text])
    return out.getvalue()
