"""Whole numbers in columns to and from PostgreSQL by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor, sql

from engine.errors import StoreError
from engine.store.gate import entered
from engine.store.image_kernels import NULL, decode, encode

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_BLOCK = 1 << 20


def copy_in(
    cursor: Cursor[Any], table: str, columns: Sequence[str], widths: Sequence[int], parts: Iterable[NDArray[np.int64]]
) -> None:
    """Append rows, in parts of (n_columns, n), to a table; column k has widths[k] bytes, 4 (integer) or 8 (bigint); NULL stands
    for NULL. While the server takes one part in, the next is made."""
    copying = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names(columns))
    with cursor.copy(copying) as copy:
        copy.write(HEADER)
        for image in _images(iter(parts), widths):
            for at in range(0, len(image), _BLOCK):
                copy.write(image[at : at + _BLOCK])
        copy.write(TRAILER)


def _images(parts: Iterator[NDArray[np.int64]], widths: Sequence[int]) -> Iterator[memoryview]:
    """Of more than one part the next is made in a thread meanwhile. One part, as live batches are, takes no thread: where
    memory is refused, Python waits for ever for a thread that could not begin."""
    first, second = next(parts, None), next(parts, None)
    if first is None:
        return
    if second is None:
        yield image_of(first, widths)
        return
    todo, image = chain([second], parts), _image(iter([first]), widths)
    with ThreadPoolExecutor(1) as aside:
        while image is not None:
            following = aside.submit(_image, todo, widths)
            yield image
            image = following.result()


def _image(parts: Iterator[NDArray[np.int64]], widths: Sequence[int]) -> memoryview | None:
    rows = next(parts, None)
    return None if rows is None else image_of(rows, widths)


def image_of(rows: NDArray[np.int64], widths: Sequence[int]) -> memoryview:
    """Rows (n_columns, n) as COPY writes them, without header and trailer."""
    room = np.empty(rows.shape[1] * (2 + 4 * len(widths) + sum(widths)), np.uint8)
    return room.data[: encode(rows, np.array(widths, np.uint8), room)]


def copy_out(cursor: Cursor[Any], query: sql.Composable, values: Sequence[object], n_columns: int) -> NDArray[np.int64]:
    """The rows of a query of smallint, integer and bigint columns, as (n_columns, n) int64 with NULL for NULL."""
    image = bytearray()
    copying = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(query)
    with entered(cursor.connection), cursor.copy(copying, values) as copy:
        for block in copy:
            image += block
    return rows_in(image[len(HEADER) :], n_columns)


def rows_in(image: bytes | bytearray, n_columns: int) -> NDArray[np.int64]:
    """The rows of an image that has its trailer but no header. StoreError where it is not one."""
    whole = np.frombuffer(image, np.uint8)
    rows = np.empty((n_columns, len(whole) // (2 + 4 * n_columns) + 1), np.int64)
    n = decode(whole, rows)
    if n < 0:
        raise StoreError(
            f"the database's answer cannot be read: {len(whole)} bytes that are not rows of {n_columns} columns"
        )
    return rows[:, :n]


def names(columns: Sequence[str]) -> sql.Composed:
    """Columns as a list in SQL."""
    return sql.SQL(", ").join(sql.Identifier(c) for c in columns)


__all__ = ["NULL", "copy_in", "copy_out", "names"]
