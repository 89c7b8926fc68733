"""Kernels for PostgreSQL's binary COPY: rows of whole numbers to bytes and back (its documentation, COPY, binary format)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel

NULL = np.iinfo(np.int64).min
"""Stands for NULL in the columns that these kernels take and give."""


@kernel
def ascends(major: Any, minor: Any) -> bool:
    """Whether n rows are in the order of two columns (n,), no two of them the same."""
    for i in range(1, len(major)):
        if major[i] < major[i - 1] or (major[i] == major[i - 1] and minor[i] <= minor[i - 1]):
            return False
    return True


@kernel
def encode(values: Any, widths: Any, out: Any) -> int:
    """Rows of values (n_columns, n) int64, column k in widths[k] bytes, to out (uint8); returns how many bytes were written."""
    at = 0
    n_columns, n = values.shape
    for i in range(n):
        out[at], out[at + 1] = 0, n_columns
        at += 2
        for k in range(n_columns):
            value = values[k, i]
            if value == NULL:
                for b in range(4):
                    out[at + b] = 255
                at += 4
                continue
            width = widths[k]
            out[at], out[at + 1], out[at + 2], out[at + 3] = 0, 0, 0, width
            at += 4
            for b in range(width):
                out[at + b] = (value >> (8 * (width - 1 - b))) & 255
            at += width
    return at


@kernel
def decode(image: Any, values: Any) -> int:
    """Rows from image (uint8) to values (n_columns, room) int64, each of 2, 4 or 8 bytes; returns how many there were,
    -1 where a row has another number of columns or the image ends within one."""
    at, n, n_columns = 0, 0, len(values)
    while at + 2 <= len(image):
        if image[at] == 255:  # the trailer
            return n
        if n == values.shape[1] or (np.int64(image[at]) << 8 | np.int64(image[at + 1])) != n_columns:
            return -1
        at += 2
        for k in range(n_columns):
            if at + 4 > len(image):
                return -1
            if image[at] == 255:
                values[k, n] = NULL
                at += 4
                continue
            width = int(image[at + 3])
            at += 4
            if at + width > len(image):
                return -1
            value: Any = np.int64(np.int8(image[at]))
            for b in range(1, width):
                value = value << 8 | np.int64(image[at + b])
            values[k, n] = value
            at += width
        n += 1
    return -1
