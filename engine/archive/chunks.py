"""Column chunks of a Parquet file: a column's values in a row group as pages, one of data, before it one of distinct values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.archive import encodings
from engine.archive.thrift import Field, Kind, struct

_DATA_PAGE, _DICTIONARY_PAGE = 0, 2


class Encoding(IntEnum):
    """How values are laid out, by the code of the format."""

    PLAIN = 0
    RLE = 3
    DELTA_BINARY_PACKED = 5
    RLE_DICTIONARY = 8
    BYTE_STREAM_SPLIT = 9


def _instant(unit: int) -> bytes:
    """The logical type of a time in UTC; unit 1 is milliseconds, 2 microseconds."""
    of_unit = struct((unit, Kind.STRUCT, struct()))
    return struct((8, Kind.STRUCT, struct((1, Kind.YES, True), (2, Kind.STRUCT, of_unit))))


class Type(Enum):
    """What a column holds, by the format's codes of physical and converted type, and its logical type."""

    INT32 = (1, None, None)
    DOUBLE = (5, None, None)
    TEXT = (6, 0, struct((1, Kind.STRUCT, struct())))
    INSTANT_MS = (2, 9, _instant(1))
    INSTANT_US = (2, 10, _instant(2))


class Leaf(NamedTuple):
    """A column: where it is in the schema, what it holds, how that is laid out, how hard zstd tries, whether it may be null."""

    path: tuple[str, ...]
    type: Type
    encoding: Encoding
    level: int
    optional: bool = False


class Values(NamedTuple):
    """A column's values in a row group: those that are there, which rows (n,) have one (None: all), and of TEXT, whose values
    are indices, the names."""

    values: NDArray[Any]
    is_there: NDArray[np.bool_] | None = None
    names: Sequence[str] = ()


class Chunk(NamedTuple):
    """The pages as bytes, how long they were before compression, how much of the bytes is the dictionary, the statistics."""

    data: bytes
    n_plain: int
    n_dictionary: int
    statistics: bytes


def chunk_of(leaf: Leaf, column: Values, n_rows: int) -> Chunk:
    """The pages of a column in a row group."""
    codec = pa.Codec("zstd", compression_level=leaf.level)
    levels = b"" if column.is_there is None else encodings.presence(column.is_there)
    dictionary, n_plain = b"", 0
    if leaf.encoding is Encoding.RLE_DICTIONARY:
        distinct, codes = _by_frequency(column.values)
        head = struct((1, Kind.I32, len(distinct)), (2, Kind.I32, Encoding.PLAIN), (3, Kind.NO, False))
        laid = b"".join(map(_text, _names(column, distinct))) if leaf.type is Type.TEXT else encodings.plain(distinct)
        dictionary, n_plain = _page(codec, _DICTIONARY_PAGE, laid, (7, Kind.STRUCT, head))
        body = encodings.coded(codes, len(distinct))
    elif leaf.encoding is Encoding.DELTA_BINARY_PACKED:
        body = encodings.deltas(column.values)
    else:
        body = encodings.streams(column.values)
    how = [(number, Kind.I32, code) for number, code in ((2, leaf.encoding), (3, Encoding.RLE), (4, Encoding.RLE))]
    page, n_more = _page(codec, _DATA_PAGE, levels + body, (5, Kind.STRUCT, struct((1, Kind.I32, n_rows), *how)))
    return Chunk(dictionary + page, n_plain + n_more, len(dictionary), _statistics(leaf, column, n_rows))


def _by_frequency(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct values, the most frequent first (of equals the smallest), and for each value the index of it."""
    distinct, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[codes]


def _page(codec: pa.Codec, kind: int, data: bytes, head: Field) -> tuple[bytes, int]:
    """A page with its header, and its length before compression."""
    packed = codec.compress(data, asbytes=True)
    header = struct((1, Kind.I32, kind), (2, Kind.I32, len(data)), (3, Kind.I32, len(packed)), head)
    return header + packed, len(header) + len(data)


def _statistics(leaf: Leaf, column: Values, n_rows: int) -> bytes:
    """Smallest and largest value, and how many rows have none."""
    n_null, found = n_rows - len(column.values), column.values
    if not len(found):
        return struct((3, Kind.I64, n_null))
    ends: list[bytes]
    if leaf.type is Type.TEXT:
        names = sorted(name.encode() for name in _names(column, np.unique(found)))
        ends = [names[-1], names[0]]
    else:
        ends = [encodings.plain(np.array([value], found.dtype)) for value in (found.max(), found.min())]
    return struct((3, Kind.I64, n_null), (5, Kind.BINARY, ends[0]), (6, Kind.BINARY, ends[1]))


def _names(column: Values, codes: NDArray[Any]) -> list[str]:
    return [column.names[code] for code in codes.tolist()]


def _text(name: str) -> bytes:
    data = name.encode()
    return len(data).to_bytes(4, "little") + data
