"""A Parquet file written so that the same rows are the same bytes, and few of them.

After the format's own documents (apache/parquet-format: README, Encodings, LogicalTypes, parquet.thrift). Any library reads
it; pyarrow cannot write it so small, see `encodings.deltas`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import BinaryIO

from engine.archive.chunks import Chunk, Encoding, Leaf, Values, chunk_of
from engine.archive.thrift import Kind, items, struct

_MAGIC, _VERSION, _ZSTD, _REQUIRED, _OPTIONAL = b"PAR1", 2, 6, 0, 1


def write(
    file: BinaryIO, leaves: Sequence[Leaf], row_groups: Iterable[Sequence[Values]], metadata: Mapping[str, str],
    created_by: str,
) -> None:  # fmt: skip
    """Write row groups, each the values of all leaves in their order, and what the file says of itself.

    The first leaf has a value in each row.
    """
    file.write(_MAGIC)
    offset, groups, n_rows = len(_MAGIC), list[bytes](), 0
    with ThreadPoolExecutor(2) as pool:  # nearly all of the time is zstd's, which lets others run meanwhile
        for group in row_groups:
            n, start = len(group[0].values), offset
            described, n_plain = [], 0
            for leaf, chunk in zip(leaves, pool.map(chunk_of, leaves, group, [n] * len(leaves)), strict=True):
                file.write(chunk.data)
                described.append(_described(leaf, chunk, n, offset))
                offset += len(chunk.data)
                n_plain += chunk.n_plain
            groups.append(_group(described, n, n_plain, start, offset - start))
            n_rows += n
    by_type = struct((1, Kind.STRUCT, struct()))
    footer = struct(
        (1, Kind.I32, _VERSION),
        (2, Kind.LIST, items(Kind.STRUCT, [*_schema(leaves)])),
        (3, Kind.I64, n_rows),
        (4, Kind.LIST, items(Kind.STRUCT, groups)),
        (5, Kind.LIST, items(Kind.STRUCT, [_pair(*pair) for pair in metadata.items()])),
        (6, Kind.BINARY, created_by),
        (7, Kind.LIST, items(Kind.STRUCT, [by_type] * len(leaves))),
    )
    file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)


def _schema(leaves: Sequence[Leaf]) -> Iterator[bytes]:
    """The schema's elements, each group before its members."""
    parts = [(name, [*members]) for name, members in groupby(leaves, lambda leaf: leaf.path[0])]
    yield struct((4, Kind.BINARY, "fixes"), (5, Kind.I32, len(parts)))
    for name, members in parts:
        if len(members[0].path) > 1:
            yield struct((3, Kind.I32, _REQUIRED), (4, Kind.BINARY, name), (5, Kind.I32, len(members)))
        yield from map(_element, members)


def _element(leaf: Leaf) -> bytes:
    physical, converted, logical = leaf.type.value
    return struct(
        (1, Kind.I32, physical), (3, Kind.I32, _OPTIONAL if leaf.optional else _REQUIRED),
        (4, Kind.BINARY, leaf.path[-1]), (6, Kind.I32, converted), (10, Kind.STRUCT, logical),
    )  # fmt: skip


def _described(leaf: Leaf, chunk: Chunk, n_rows: int, offset: int) -> bytes:
    """What the footer says of a chunk that begins at an offset."""
    used = sorted({leaf.encoding, Encoding.RLE} | ({Encoding.PLAIN} if chunk.n_dictionary else set()))
    meta = struct(
        (1, Kind.I32, leaf.type.value[0]),
        (2, Kind.LIST, items(Kind.I32, used)),
        (3, Kind.LIST, items(Kind.BINARY, leaf.path)),
        (4, Kind.I32, _ZSTD),
        (5, Kind.I64, n_rows),
        (6, Kind.I64, chunk.n_plain),
        (7, Kind.I64, len(chunk.data)),
        (9, Kind.I64, offset + chunk.n_dictionary),
        (11, Kind.I64, offset if chunk.n_dictionary else None),
        (12, Kind.STRUCT, chunk.statistics),
    )
    return struct((2, Kind.I64, 0), (3, Kind.STRUCT, meta))


def _group(chunks: Sequence[bytes], n_rows: int, n_plain: int, start: int, n_bytes: int) -> bytes:
    return struct(
        (1, Kind.LIST, items(Kind.STRUCT, chunks)), (2, Kind.I64, n_plain), (3, Kind.I64, n_rows), (5, Kind.I64, start),
        (6, Kind.I64, n_bytes),
    )  # fmt: skip


def _pair(key: str, value: str) -> bytes:
    return struct((1, Kind.BINARY, key), (2, Kind.BINARY, value))
