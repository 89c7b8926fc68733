"""Position CSV of the Ministry of Justice: the `position` table, the joined view of 47 columns, and the map's exports.

Read at once by Arrow where every value is plain, else row by row, so that each fault is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US
from ingest.csv_table import Table, table_of
from ingest.csv_trail import quotes_are_plain
from ingest.fault import Faults
from ingest.fix_checks import Raw, assemble, check_device
from ingest.moj_columns import KMH_PER_MPS, NAMES, NUMBERS, UK_TIME, columns_of, mechanism
from ingest.moj_rows import read_rows
from ingest.time_texts import parse_column

_CODED = ("device", "source")


def read_positions(data: bytes, faults: Faults, stem: str, tz: ZoneInfo | None = None) -> Fixes:
    """The fixes in the order of the rows; `tz` says the zone of their times, which carry none. Without a device: the file.

    Every fault of a row is told, and the row is left out.
    """
    table = table_of(data, faults.file, [name for names in NAMES.values() for name in names], ())
    at = columns_of(table, faults.file)
    fixes = _read_plain(table, at, stem, tz)
    if fixes is None:
        return read_rows(table, at, faults, stem, tz)
    faults.keep(range(1, len(fixes) + 1))
    return fixes


def _read_plain(table: Table, at: Mapping[str, int], stem: str, tz: ZoneInfo | None) -> Fixes | None:
    """All rows at once; None on any surprise, which the row-by-row pass then names."""
    if not table.body.strip():
        return None
    columns = _columns(table, at)
    if columns is None or not quotes_are_plain(table.body, len(columns)):
        return None
    time_us = _times(columns["time"], tz)
    received_us = _times(columns["received"], tz) if "received" in at else np.zeros(len(columns), np.int64)
    values = {key: _floats(columns[key]) for key in NUMBERS if key in at}
    try:
        devices, device = _codes(columns, "device", lambda name: check_device(name or ""), stem)
        sources, source = _codes(columns, "source", lambda code: mechanism((code or "").strip(), ""), 0)
    except InputError:
        return None
    read = {key: numbers for key, numbers in values.items() if numbers is not None}
    if time_us is None or received_us is None or columns["time"].null_count or len(read) < len(values):
        return None
    if "speed_mps" in read:
        read["speed_mps"] = read["speed_mps"] / KMH_PER_MPS
    received_s = np.where(received_us == 0, time_us, received_us) // SECOND_US
    raw = Raw(devices, device, time_us, read, np.array(sources, np.int32)[source], received_s)
    fixes, _, doubts = assemble(raw)
    return fixes if not doubts else None


def _columns(table: Table, at: Mapping[str, int]) -> Any:
    """The columns that are read, by our names, device and source coded; None where Arrow cannot read them."""
    by_position = {k: field for field, k in at.items()}
    names = [by_position.get(k, f"unknown {k}") for k in range(len(table.names))]
    coded = pa.dictionary(pa.int32(), pa.string())
    types = {field: coded if field in _CODED else pa.float64() if field in NUMBERS else pa.string() for field in at}
    try:
        read = pyarrow.csv.read_csv(
            pa.BufferReader(table.body),
            read_options=pyarrow.csv.ReadOptions(column_names=names),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=b'"' in table.body),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=list(at), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    return read.unify_dictionaries().combine_chunks()


def _times(column: Any, tz: ZoneInfo | None) -> NDArray[np.int64] | None:
    if pc.all(pc.match_substring_regex(column, f"^{UK_TIME}$"), min_count=0).as_py():
        column = pc.replace_substring_regex(column, UK_TIME, r"\3-\2-\1T\4")
    return parse_column(column, tz)


def _floats(column: Any) -> NDArray[np.float64] | None:
    numbers = np.asarray(column.to_numpy(), np.float64)
    # A text "nan" is a fault, an empty cell is not: both are NaN here.
    return numbers if np.count_nonzero(np.isnan(numbers)) == column.null_count else None


def _codes(columns: Any, field: str, check: Any, absent: Any) -> tuple[list[Any], NDArray[np.int32]]:
    """The checked distinct values of a coded column, and for each row the index of its own; InputError where one is odd."""
    if field not in columns.column_names:
        return [absent], np.zeros(len(columns), np.int32)
    column = columns[field].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    known = column.dictionary.to_pylist()
    checked = [check(text) for text in known] + ([check(None)] if column.null_count else [])
    return checked, np.asarray(pc.fill_null(column.indices, len(known)), np.int32)
