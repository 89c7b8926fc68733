"""Parquet's encodings of one column, chosen and laid out so that zstd finds what repeats: whole bytes, never odd bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.archive.thrift import varint, zigzag

_BLOCK, _MINIBLOCKS = 1024, 4


def plain(values: NDArray[Any]) -> bytes:
    """PLAIN: the values one after the other, little endian."""
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def streams(values: NDArray[Any]) -> bytes:
    """BYTE_STREAM_SPLIT: all first bytes, then all second bytes, and so on."""
    return np.frombuffer(plain(values), np.uint8).reshape(len(values), values.itemsize).T.tobytes()


def deltas(values: NDArray[Any]) -> bytes:
    """DELTA_BINARY_PACKED: differences to the value before, less the smallest of them, in whole bytes of one width.

    Other writers pack each 32 values in as few bits as will do; then no two equal differences look alike to zstd, and the
    times of a trail take twice as much.
    """
    head = varint(_BLOCK) + varint(_MINIBLOCKS) + varint(len(values))
    if len(values) < 2:
        return head + zigzag(int(values[0]) if len(values) else 0)
    steps = np.diff(values)  # modulo 2^32 or 2^64, as the format wants it
    least = steps.min()
    above = (steps - least).view(f"u{values.itemsize}")
    width = -(-int(above.max()).bit_length() // 8)
    of_block, per_miniblock = zigzag(int(least)), _BLOCK // _MINIBLOCKS
    parts = [head, zigzag(int(values[0]))]
    for start in range(0, len(above), _BLOCK):
        block = above[start : start + _BLOCK]
        n_used = -(-len(block) // per_miniblock)
        whole = np.zeros(n_used * per_miniblock, "<u8")
        whole[: len(block)] = block
        widths = bytes([8 * width] * n_used + [0] * (_MINIBLOCKS - n_used))
        parts += [of_block, widths, whole.view(np.uint8).reshape(-1, 8)[:, :width].tobytes()]
    return b"".join(parts)


def hybrid(values: NDArray[np.int64], width: int) -> bytes:
    """RLE: runs of equal values where that is shorter, else all values packed in `width` bits each."""
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1 if len(values) else 0))
    size = -(-width // 8)
    if len(starts) * (size + 2) < len(values) * width / 8:
        lengths = np.diff(starts, append=len(values)).tolist()
        runs = zip(lengths, values[starts].tolist(), strict=True)
        return b"".join(varint(n << 1) + value.to_bytes(size, "little") for n, value in runs)
    n_groups = -(-len(values) // 8)
    padded = np.zeros(8 * n_groups, np.int64)
    padded[: len(values)] = values
    if width == 8:
        packed = padded.astype(np.uint8).tobytes()
    else:
        packed = np.packbits((padded[:, None] >> np.arange(width)) & 1 != 0, bitorder="little").tobytes()
    return varint(n_groups << 1 | 1) + packed


def coded(codes: NDArray[np.int64], n_distinct: int) -> bytes:
    """RLE_DICTIONARY: indices of a dictionary; up to 256 values take a byte each, so that zstd sees them."""
    width = max(8, (n_distinct - 1).bit_length())
    return bytes([width]) + hybrid(codes, width)


def presence(is_there: NDArray[np.bool_]) -> bytes:
    """The definition levels of a page of the first format: which rows have a value, with their length in front."""
    levels = hybrid(is_there.astype(np.int64), 1)
    return len(levels).to_bytes(4, "little") + levels
