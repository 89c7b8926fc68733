"""Whose turn it is to write fixes, what the writer knows of what is stored, and which hours it changed behind the summaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from psycopg.pq import TransactionStatus

from engine.database import Connection
from engine.errors import StoreError
from engine.times import SECOND_US

NEVER_US = -(2**62)
HOUR_S = 3600
UNLIMITED = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
"""What is deleted or changed in compressed chunks is decompressed, however much it is."""
_MANY_MARKS = 20_000
"""From so many hours of devices on the summaries are made anew from the first of them, and none is marked."""
_COMPRESS = (
    "SET LOCAL timescaledb.enable_direct_compress_copy = on",
    "SET LOCAL timescaledb.direct_compress_copy_tuple_sort_limit = 500000",
)
_LOCK = "SELECT holder, announced_s, until_s FROM fix_writer FOR UPDATE"
_NEWEST = (
    "SELECT n.device_id, f.time_s * 1000000 + f.rest_us FROM unnest(%s::integer[]) n (device_id) CROSS JOIN LATERAL"
    " (SELECT time_s, rest_us FROM fix WHERE fix.device_id = n.device_id ORDER BY time_s DESC, rest_us DESC LIMIT 1) f"
)
_MARK = (
    "INSERT INTO fix_hour_stale (device_id, hour_s) SELECT * FROM unnest(%s::integer[], %s::bigint[])"
    " ON CONFLICT (device_id, hour_s) DO UPDATE SET mark = DEFAULT"
)
_MARK_SPAN = (
    "INSERT INTO fix_hour_stale (device_id, hour_s) SELECT DISTINCT device_id, time_s / 3600 * 3600 FROM fix"
    " WHERE device_id = %s AND time_s >= %s AND time_s <= %s AND time_s < %s"
    " ON CONFLICT (device_id, hour_s) DO UPDATE SET mark = DEFAULT"
)


def locked(connection: Connection) -> tuple[str, int, int]:
    """Who wrote fixes last, from when on writers need not mark hours, and until when summaries are trusted [s]; locked."""
    row = connection.execute(_LOCK).fetchone()
    if row is None:  # somebody emptied the table: nothing that rests on it is believed from now on
        connection.execute("INSERT INTO fix_writer DEFAULT VALUES ON CONFLICT DO NOTHING")
        row = connection.execute(_LOCK).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


class Turn:
    """One writer of fixes; between two of its turns nobody else wrote, or it knows nothing."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self._name = connection, name
        self._newest_us: dict[int, int] = {}
        self._announced_s = 0

    def take(self) -> None:
        """Wait until no other transaction writes fixes; none does before this one ends."""
        holder, self._announced_s, _ = locked(self._connection)
        if self._connection.info.transaction_status == TransactionStatus.IDLE:
            raise StoreError("fixes are written in a transaction: outside of one no turn lasts")
        if holder != self._name:
            self._newest_us.clear()
            self._connection.execute("UPDATE fix_writer SET holder = %s", [self._name])

    def newest_us(self, device_id: NDArray[np.int32]) -> NDArray[np.int64]:
        """The time of the newest stored fix of each of these devices, or a later one; (n,) [us], NEVER_US where none is."""
        present, inverse = np.unique(device_id, return_inverse=True)
        unknown = [number for number in present.tolist() if number not in self._newest_us]
        if unknown:
            told: dict[int, int] = dict(self._connection.execute(_NEWEST, [unknown]).fetchall())
            self._newest_us |= dict.fromkeys(unknown, NEVER_US) | told  # only when it is known: a query may fail
        return np.array([self._newest_us[number] for number in present.tolist()], np.int64)[inverse]

    def note(self, device_id: NDArray[np.int32], time_us: NDArray[np.int64]) -> None:
        """These fixes, by device and time, were written: hours that are summarised already are stale by that."""
        last = np.flatnonzero(np.r_[np.diff(device_id) != 0, True])
        for number, newest_us in zip(device_id[last].tolist(), time_us[last].tolist(), strict=True):
            self._newest_us[number] = max(newest_us, self._newest_us.get(number, NEVER_US))
        hour_s = time_us // (HOUR_S * SECOND_US) * HOUR_S
        behind = hour_s < self._announced_s
        if behind.any():
            self._mark(device_id[behind], hour_s[behind])

    def mark_erased(self, number: int, from_us: int, to_us: int) -> None:
        """The fixes of a device in a span are about to be deleted."""
        span = (from_us // SECOND_US, to_us // SECOND_US, self._announced_s)
        self._connection.execute(_MARK_SPAN, [number, *(max(-(2**62), min(2**62, s)) for s in span)])

    def _mark(self, device_id: NDArray[np.int32], hour_s: NDArray[np.int64]) -> None:
        new = np.r_[True, (np.diff(device_id) != 0) | (np.diff(hour_s) != 0)]
        if np.count_nonzero(new) < _MANY_MARKS:
            self._connection.execute(_MARK, [device_id[new].tolist(), hour_s[new].tolist()])
            return
        self._announced_s = int(hour_s.min())
        self._connection.execute(
            "UPDATE fix_writer SET announced_s = %(from)s, until_s = least(until_s, %(from)s)", {"from": self._announced_s}
        )

    @cached_property
    def compresses(self) -> bool:
        """Whether the table is a hypertable with a columnstore."""
        row = self._connection.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')").fetchone()
        return bool(row and row[0])

    @contextmanager
    def compressing(self, *, on: bool) -> Iterator[None]:
        """Within this, what is copied into the table is compressed as it comes where that is wanted and can be had."""
        if not (on and self.compresses):
            yield
            return
        for setting in _COMPRESS:
            self._connection.execute(setting.encode())
        yield
        self._connection.execute("SET LOCAL timescaledb.enable_direct_compress_copy = off")
