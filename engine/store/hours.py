"""Hourly summaries of each device: read to rule out most of them, kept right under late fixes and deletions.

A refresh first announces the hours it will make: from then on whoever writes fixes into them marks them stale. Only when they
are made are they trusted. So an hour that is trusted and not stale is what its fixes say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from engine.database import Connection
from engine.fixes import ABSENT
from engine.store.image import NULL, copy_out
from engine.store.summary import SUMMARY_COLUMNS, summary_query
from engine.store.turn import HOUR_S, locked

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of devices, ordered by device and hour; columns of shape (n,), `device` indexes `devices`.

    hour_s: when it begins; first_s, last_s: whole seconds of its first and last fix, whose places are first_lat_e7 ...
    last_lon_e7; south, west, north, east [1e-7 degree]; widest_cm: largest accuracy, ABSENT where none has one; n_unsaid: fixes
    without one; sources: bits 1 << source; gap_s: longest between two fixes, rounded up; fastest: highest speed between two
    that follow each other [1e-7 degree a second], inf for two places at one instant; ahead_s: most by which a fix time is
    after its arrival; n_minutes: minutes with a fix.
    """

    devices: tuple[str, ...]
    device: NDArray[np.int64]
    hour_s: NDArray[np.int64]
    n_fixes: NDArray[np.int64]
    n_minutes: NDArray[np.int64]
    first_s: NDArray[np.int64]
    last_s: NDArray[np.int64]
    south: NDArray[np.int64]
    west: NDArray[np.int64]
    north: NDArray[np.int64]
    east: NDArray[np.int64]
    first_lat_e7: NDArray[np.int64]
    first_lon_e7: NDArray[np.int64]
    last_lat_e7: NDArray[np.int64]
    last_lon_e7: NDArray[np.int64]
    widest_cm: NDArray[np.int64]
    n_unsaid: NDArray[np.int64]
    sources: NDArray[np.int64]
    gap_s: NDArray[np.int64]
    fastest: NDArray[np.float64]
    ahead_s: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hour_s)


def summarised(connection: Connection) -> tuple[int, int]:
    """Until when hours are trusted [s UTC], and how many summaries are to be made again."""
    row = connection.execute("SELECT until_s, (SELECT count(*) FROM fix_hour_stale) FROM fix_writer").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


class HourSummaries:
    """The summaries in the database: a continuous aggregate where the server has them, else a table."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def until_s(self) -> int:
        """Hours that end at or before this are trusted [s UTC]; 0 where none is."""
        row = self.connection.execute("SELECT until_s FROM fix_writer").fetchone()
        return int(row[0]) if row else 0

    def read(self, from_s: int, to_s: int, devices: Sequence[str] | None = None) -> Hours:
        """The trusted hours that begin in [from_s, to_s), of these devices (all where None)."""
        query = sql.SQL(
            "SELECT {} FROM fix_hour h WHERE hour_s >= %s AND hour_s < %s AND hour_s <= (SELECT until_s - 3600 FROM fix_writer)"
            " AND (%s::text[] IS NULL OR device_id IN (SELECT device_id FROM device WHERE name = ANY(%s)))"
            " ORDER BY device_id, hour_s"
        ).format(sql.SQL(", ").join(map(_selected, SUMMARY_COLUMNS)))
        names = None if devices is None else list(devices)
        with self.connection.cursor() as cursor:
            rows = copy_out(cursor, query, [from_s, to_s, names, names], len(SUMMARY_COLUMNS))
            numbers, device = np.unique(rows[0], return_inverse=True)
            asked = "SELECT device_id, name FROM device WHERE device_id = ANY(%s)"
            told: dict[int, str] = dict(cursor.execute(asked, [numbers.tolist()]).fetchall())
        rows[rows == NULL] = ABSENT
        columns: dict[str, Any] = dict(zip(SUMMARY_COLUMNS[1:], rows[1:], strict=True))
        columns = {name.removesuffix("_e7") if name in _SHORT else name: column for name, column in columns.items()}
        columns["fastest"] = np.ascontiguousarray(columns["fastest"]).view(np.float64)
        return Hours(tuple(told[number] for number in numbers.tolist()), device.astype(np.int64), **columns)

    def stale(self, from_s: int, to_s: int) -> set[tuple[str, int]]:
        """Device and begin of the hours in [from_s, to_s) that late fixes or deletions touched since they were made."""
        rows = self.connection.execute(
            "SELECT name, hour_s FROM fix_hour_stale JOIN device USING (device_id) WHERE hour_s >= %s AND hour_s < %s",
            [from_s, to_s],
        )
        return {(name, hour_s) for name, hour_s in rows}

    def refresh(self, until_s: int) -> int:
        """Make the summaries of all hours that end at or before until_s, and those that are stale, in transactions of its own;
        returns how many were stale. The connection must not be in a transaction. One refresh is made after the other.
        """
        with _alone(self.connection):
            return self._refresh(until_s // HOUR_S * HOUR_S)

    def _refresh(self, until_s: int) -> int:
        with self.connection.transaction():
            *_, trusted_s = locked(self.connection)
            self.connection.execute("UPDATE fix_writer SET announced_s = greatest(announced_s, %s)", [until_s])
            stale = self.connection.execute("SELECT device_id, hour_s, mark FROM fix_hour_stale").fetchall()
        maker = _Maker(self.connection)
        maker.hours(
            {hour_s for _, hour_s, _ in stale if hour_s < trusted_s}, [(d, h) for d, h, _ in stale if h < trusted_s]
        )
        maker.span(trusted_s, until_s)
        with self.connection.transaction():
            locked(self.connection)  # first, as writers do: in the other order each might wait for the other
            self.connection.execute(
                "DELETE FROM fix_hour_stale s USING unnest(%s::integer[], %s::bigint[], %s::bigint[])"
                " m (device_id, hour_s, mark) WHERE (s.device_id, s.hour_s, s.mark) = (m.device_id, m.hour_s, m.mark)",
                [list(column) for column in zip(*stale, strict=True)] or [[], [], []],
            )
            self.connection.execute(
                "UPDATE fix_writer SET until_s = greatest(until_s, %(until)s) WHERE announced_s >= %(until)s",
                {"until": until_s},
            )
        return len(stale)


_SHORT = ("south_e7", "west_e7", "north_e7", "east_e7", "fastest_e7")


def _selected(column: str) -> sql.Composable:
    if column == "fastest_e7":  # the bits of the double: the image holds whole numbers
        return sql.SQL("('x' || encode(float8send(fastest_e7), 'hex'))::bit(64)::bigint")
    return sql.Identifier("h", column)


class _Maker:
    """Makes summaries anew, with what the server has for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        with connection.transaction():
            row = connection.execute("SELECT relkind FROM pg_class WHERE oid = 'fix_hour'::regclass").fetchone()
        self._is_aggregate = row is not None and row[0] == "v"

    def span(self, from_s: int, to_s: int) -> None:
        """All hours of [from_s, to_s), a day at a time."""
        at_s = self._first_s(from_s)
        while at_s is not None and at_s < to_s:
            stop_s = min(to_s, at_s // DAY_S * DAY_S + DAY_S)
            self._day(at_s // HOUR_S * HOUR_S, stop_s)
            at_s = self._first_s(stop_s)

    def hours(self, hours_s: set[int], of_devices: Sequence[tuple[int, int]]) -> None:
        """These hours of devices (device_id, hour_s); hours_s are the same without the devices."""
        if self._is_aggregate:
            for from_s, to_s in _runs(sorted(hours_s)):
                self._day(from_s, to_s)
        elif of_devices:
            given = [list(column) for column in zip(*of_devices, strict=True)]
            with self._connection.transaction():
                self._connection.execute(_DELETE_SOME, given)
                self._connection.execute(_INSERT_SOME, given)

    def _day(self, from_s: int, to_s: int) -> None:
        if self._is_aggregate:
            with _each_its_own(self._connection):
                self._connection.execute(_REFRESH, [from_s, to_s])
            return
        with self._connection.transaction():
            self._connection.execute("DELETE FROM fix_hour WHERE hour_s >= %s AND hour_s < %s", [from_s, to_s])
            self._connection.execute(_INSERT_SPAN, [from_s, to_s])

    def _first_s(self, from_s: int) -> int | None:
        """When the first fix from an instant on was taken, or the first hour begins that is there from before: its fixes may be
        gone."""
        with self._connection.transaction():
            row = self._connection.execute(_FIRST, [from_s, from_s]).fetchone()
        return row[0] if row else None


_HOUR = "time_s / 3600 * 3600"
_REFRESH = "CALL refresh_continuous_aggregate('fix_hour', %s::bigint, %s::bigint)"
_FIRST = (
    "SELECT least((SELECT min(f.time_s) FROM device d CROSS JOIN LATERAL (SELECT time_s FROM fix"
    " WHERE fix.device_id = d.device_id AND time_s >= %s ORDER BY time_s LIMIT 1) f),"
    " (SELECT min(hour_s) FROM fix_hour WHERE hour_s >= %s))"
)
_INSERT_SPAN = ("INSERT INTO fix_hour " + summary_query(_HOUR, "fix.time_s >= %s AND fix.time_s < %s")).encode()
_DELETE_SOME = (
    b"DELETE FROM fix_hour h USING unnest(%s::integer[], %s::bigint[]) s (device_id, hour_s)"
    b" WHERE h.device_id = s.device_id AND h.hour_s = s.hour_s"
)
_INSERT_SOME = (
    "INSERT INTO fix_hour " + summary_query(_HOUR, "fix.time_s >= s.hour_s AND fix.time_s < s.hour_s + 3600",
    "unnest(%s::integer[], %s::bigint[]) s (device_id, hour_s) JOIN fix USING (device_id)")
).encode()  # fmt: skip


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Within this no other connection refreshes the summaries."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_lock(hashtext('fix_hour'))")
    try:
        yield
    finally:
        if not connection.closed:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_unlock(hashtext('fix_hour'))")


@contextmanager
def _each_its_own(connection: Connection) -> Iterator[None]:
    """Within this each statement is a transaction of its own."""
    before, connection.autocommit = connection.autocommit, True
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit = before


def _runs(hours_s: Sequence[int]) -> list[tuple[int, int]]:
    """Hours in order as spans [from, to) of those that follow each other, at most a day long."""
    spans: list[tuple[int, int]] = []
    for hour_s in hours_s:
        if spans and spans[-1][1] == hour_s and hour_s - spans[-1][0] < DAY_S:
            spans[-1] = (spans[-1][0], hour_s + HOUR_S)
        else:
            spans.append((hour_s, hour_s + HOUR_S))
    return spans
