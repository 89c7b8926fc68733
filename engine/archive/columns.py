"""The columns of an archive's files: ordinary names with units, GeoParquet points, and the integers of `Fixes` bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.archive.chunks import Encoding, Leaf, Type, Values
from engine.archive.kernels import fill_by_code, fill_units_e7
from engine.fixes import ABSENT, SOURCE_NAMES, SOURCES, Fixes

_DELTAS, _STREAMS, _CODES = Encoding.DELTA_BINARY_PACKED, Encoding.BYTE_STREAM_SPLIT, Encoding.RLE_DICTIONARY
# zstd finds more in the times at level 17 than at 19, and cuts blocks where the values change from level 18 on
LEAVES = {
    "device": Leaf(("device",), Type.TEXT, _CODES, 9),
    "time_us": Leaf(("time",), Type.INSTANT_US, _DELTAS, 17),
    "lon_e7": Leaf(("geometry", "x"), Type.DOUBLE, _STREAMS, 18),
    "lat_e7": Leaf(("geometry", "y"), Type.DOUBLE, _STREAMS, 18),
    "accuracy_cm": Leaf(("accuracy_cm",), Type.INT32, _CODES, 18, optional=True),
    "source": Leaf(("source",), Type.TEXT, _CODES, 9),
    "speed_cms": Leaf(("speed_cm_per_s",), Type.INT32, _CODES, 18, optional=True),
    "course_cdeg": Leaf(("course_centidegrees",), Type.INT32, _CODES, 18, optional=True),
    "altitude_cm": Leaf(("altitude_cm",), Type.INT32, _CODES, 18, optional=True),
    "hdop_c": Leaf(("hdop_hundredths",), Type.INT32, _CODES, 18, optional=True),
    "satellites": Leaf(("satellites",), Type.INT32, _CODES, 18, optional=True),
    "battery_pct": Leaf(("battery_percent",), Type.INT32, _DELTAS, 15, optional=True),
    "received_s": Leaf(("received",), Type.INSTANT_MS, _DELTAS, 17),
}
"""Each column of `Fixes` as it is in the files."""
TEXTS = ("device", "source")
_UNKNOWN_SOURCE = "code "


def values_of(fixes: Fixes) -> list[Values]:
    """The fixes as values of LEAVES, in their order."""
    return [_values(name, fixes) for name in LEAVES]


def geo_of(box_e7: Sequence[int]) -> str:
    """What GeoParquet 1.1 wants to be told of a file: points in longitude and latitude (CRS 84), and the box of all."""
    about = {"encoding": "point", "geometry_types": ["Point"], "bbox": [edge / 1e7 for edge in box_e7]}
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}})


def paths_of(names: Iterable[str]) -> list[str]:
    """The files' paths of these columns of `Fixes`."""
    return [".".join(LEAVES[name].path) for name in names]


def columns_of(table: Any, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """These columns, all but the device, of one row group as pyarrow read it, in the units of `Fixes`."""
    return {name: _units(name, table) for name in names if name != "device"}


def degrees(units_e7: NDArray[np.int32]) -> NDArray[np.float64]:
    """Degrees that are these 1e-7 degree units when rounded, with 23 binary digits behind the point, or 24 where it takes that.

    At most half a unit (6 mm) off. The decimal itself has 40 digits and more, which would take twice the room.
    """
    exact = units_e7 / 1e7
    short = np.rint(exact * 2.0**23) / 2.0**23
    return np.where(units(short) == units_e7, short, np.rint(exact * 2.0**24) / 2.0**24)


def units(degrees: NDArray[np.float64]) -> NDArray[np.int32]:
    """Degrees of an archive as 1e-7 degree units, exactly."""
    found = _room(len(degrees))
    fill_units_e7(degrees, found)
    return found


def codes_of(column: Any) -> tuple[NDArray[np.int32], list[str]]:
    """The indices (n,) and names of a text column of one row group."""
    coded = _whole(column)
    return np.asarray(coded.indices, np.int32), coded.dictionary.to_pylist()


def _values(name: str, fixes: Fixes) -> Values:
    column = fixes.column(name)
    if name == "device":
        return Values(column, names=fixes.devices)
    if name == "source":
        codes, where = np.unique(column, return_inverse=True)
        return Values(where, names=[SOURCE_NAMES.get(code, f"{_UNKNOWN_SOURCE}{code}") for code in codes.tolist()])
    if name == "received_s":
        return Values(column * 1000)
    if LEAVES[name].type is Type.DOUBLE:
        return Values(degrees(column))
    if LEAVES[name].optional:
        is_there = column != ABSENT
        return Values(column[is_there], is_there)
    return Values(column)


def _units(name: str, table: Any) -> NDArray[Any]:
    path, kind = LEAVES[name].path, LEAVES[name].type
    column = _whole(table[path[0]])
    if len(path) > 1:
        return units(np.asarray(column.field(path[1])))
    if name == "source":
        codes, names = codes_of(table[path[0]])
        found = _room(len(codes))
        fill_by_code(np.array([_source(text) for text in names], np.int32), codes, found)
        return found
    if kind in (Type.INSTANT_MS, Type.INSTANT_US):
        whole = np.asarray(column.view(pa.int64()), np.int64)
        return whole // 1000 if name == "received_s" else whole
    if column.null_count == len(column):
        return np.full(len(column), ABSENT, np.int32)
    return np.asarray(column.fill_null(ABSENT) if column.null_count else column, np.int32)


def _room(n: int) -> NDArray[np.int32]:
    """An empty column (n,), in memory that was in use already: fresh pages cost a scan a tenth of its time."""
    return np.frombuffer(pa.allocate_buffer(4 * n), np.int32)


def _whole(column: Any) -> Any:
    """The one array of a column of one row group."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.unify_dictionaries().chunks)


def _source(text: str) -> int:
    return SOURCES[text] if text in SOURCES else int(text.removeprefix(_UNKNOWN_SOURCE))
