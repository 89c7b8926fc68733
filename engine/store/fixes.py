"""Fixes in the database: bulk writes, each fix once, and reads in columns. Devices are told by name outside, by number inside.

No unique key guards a fix: it would keep TimescaleDB from compressing what comes, and cost eight bytes a fix. Writers come one
after the other instead (table fix_writer), and compare what is not newer than the newest stored fix of its device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from engine.database import Connection
from engine.fixes import CONTENT, Fixes
from engine.store.columns import COLUMNS, WIDTHS, fixes_of, rows_of
from engine.store.device_events import DeviceEvents
from engine.store.image import NULL, copy_in, copy_out
from engine.store.image_kernels import ascends
from engine.store.turn import UNLIMITED, Turn
from engine.times import HOUR_US, SECOND_US

NEAREST = 64
"""So many fixes on one side of an instant are enough for what bounds a match."""
_DENSE = 256
"""From so many fixes of a device and day on a batch is compressed as it comes; fewer would make small segments."""
_PART = 1 << 15
_NOT_STORED_S = 2**62
_COLUMNS = sql.SQL(", ").join(sql.Identifier("f", c) for c in COLUMNS)
_RANGES = sql.SQL(
    "SELECT {} FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) r (device_id, first_s, last_s) CROSS JOIN LATERAL"
    " (SELECT * FROM fix WHERE fix.device_id = r.device_id AND time_s BETWEEN r.first_s AND r.last_s"
    " AND time_s BETWEEN %s AND %s OFFSET 0) f"
).format(_COLUMNS)
_SAME = " AND ".join(f"{c} IS NOT DISTINCT FROM %s" for c in CONTENT)
_LOWER = f"UPDATE fix SET received_s = %s WHERE device_id = %s AND time_s = %s AND rest_us = %s AND {_SAME}"


class FixStore(DeviceEvents):
    """Fixes, device events and sequences in the database; every write belongs to the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._turn = Turn(connection, uuid4().hex)

    def write(self, fixes: Fixes) -> int:
        """Store the fixes, each once: an exact duplicate only lowers `received`. Returns how many were news."""
        if not len(fixes):
            return 0
        self._turn.take()
        batch = self._arranged(fixes)
        late = np.flatnonzero(batch.fixes.time_us <= self._turn.newest_us(batch.device_id))
        if len(late):
            received_s = self._received_s(batch.take(late))
            known = received_s < _NOT_STORED_S
            self._lower(batch.take(late[known & (batch.fixes.received_s[late] < received_s)]))
            batch = batch.take(np.delete(np.arange(len(batch.fixes)), late[known]))
        self._append(batch)
        return len(batch.fixes)

    def erase(self, devices: Iterable[str], from_us: int, to_us: int) -> tuple[int, int]:
        """Delete the fixes and device events of these devices with from_us <= time < to_us [us]; returns how many of each."""
        self._turn.take()
        numbers = [*self.known_ids(devices).values()]
        where = sql.SQL("device_id = %s AND {} AND {}").format(_bound(">=", from_us), _bound("<", to_us))
        if self._turn.compresses:
            self.connection.execute(UNLIMITED)
        n_fixes = 0
        for number in numbers:  # one device at a time: of a compressed chunk only its segments are touched
            self._turn.mark_erased(number, from_us, to_us)
            n_fixes += self.connection.execute(sql.SQL("DELETE FROM fix WHERE ") + where, [number]).rowcount
        return n_fixes, self.erase_events(numbers, from_us, to_us)

    def read(
        self, *, devices: Iterable[str] | None = None, from_us: int | None = None, to_us: int | None = None,
        box_e7: tuple[int, int, int, int] | None = None,
    ) -> Fixes:  # fmt: skip
        """Fixes in [from_us, to_us] of these devices (all where None), within a box (west, south, east, north)."""
        conditions: list[sql.Composable] = [sql.SQL("true")]
        values: list[object] = []
        if devices is not None:
            conditions.append(sql.SQL("f.device_id = ANY(%s)"))
            values.append([*self.known_ids(devices).values()])
        if from_us is not None:
            conditions.append(_bound(">=", from_us))
        if to_us is not None:
            conditions.append(_bound("<", to_us + 1))
        if box_e7 is not None:
            conditions.append(sql.SQL("f.lon_e7 BETWEEN %s AND %s AND f.lat_e7 BETWEEN %s AND %s"))
            values += [box_e7[0], box_e7[2], box_e7[1], box_e7[3]]
        query = sql.SQL("SELECT {} FROM fix f WHERE {}").format(_COLUMNS, sql.SQL(" AND ").join(conditions))
        if devices is not None or from_us is None or to_us is None or self._turn.compresses:
            return self._read(query, values)
        with self._by_time():
            return self._read(query, values)

    def nearest(self, time_us: int, *, before: bool, devices: Iterable[str] | None = None) -> Fixes:
        """For each of these devices (all where None) its last 64 fixes before an instant, or its first 64 after it: enough for
        what bounds the match."""
        query = sql.SQL(
            "SELECT {columns} FROM device d CROSS JOIN LATERAL (SELECT * FROM fix f WHERE f.device_id = d.device_id"
            " AND {beyond} ORDER BY time_s {order}, rest_us {order} LIMIT {most}) f"
            " WHERE %s::integer[] IS NULL OR d.device_id = ANY(%s)"
        ).format(
            columns=_COLUMNS, beyond=_bound("<", time_us) if before else _bound(">=", time_us + 1),
            order=sql.SQL("DESC" if before else "ASC"), most=sql.Literal(NEAREST),
        )  # fmt: skip
        numbers = None if devices is None else [*self.known_ids(devices).values()]
        return self._read(query, [numbers, numbers])

    def holds(self, fixes: Fixes) -> NDArray[np.bool_]:
        """Which of these fixes are stored, with the same content; shape (n,)."""
        known = self.known_ids(fixes.devices)
        device_id = np.array([known.get(name, -1) for name in fixes.devices], np.int32)[fixes.device]
        order = np.lexsort((fixes.time_us, device_id))
        found = np.zeros(len(fixes), np.bool_)
        found[order] = self._received_s(_Batch(fixes.take(order), device_id[order])) < _NOT_STORED_S
        return found

    def newest_us(self, time_us: int) -> int | None:
        """When the newest fix at or before this time was taken [us UTC], None where there is none. One look a device."""
        row = self.connection.execute(
            "SELECT max(n.time_s) FROM device d CROSS JOIN LATERAL"
            " (SELECT time_s FROM fix f WHERE f.device_id = d.device_id AND time_s <= %s ORDER BY time_s DESC LIMIT 1) n",
            [time_us // SECOND_US],
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0]) * SECOND_US

    def count(self) -> int:
        """How many fixes are stored."""
        row = self.connection.execute("SELECT count(*) FROM fix").fetchone()
        return int(row[0]) if row else 0

    def _arranged(self, fixes: Fixes) -> _Batch:
        """The fixes by device number and time, exact duplicates among them out: the one with the earliest `received` stays."""
        ids = np.full(len(fixes.devices), -1, np.int32)
        present = np.unique(fixes.device)
        ids[present] = [*self.ids_of([fixes.devices[k] for k in present])]
        device_id = ids[fixes.device]
        if ascends(device_id, fixes.time_us):
            return _Batch(fixes, device_id)
        content = fixes.content()
        order = np.lexsort((fixes.received_s, content, fixes.time_us, device_id))
        first = np.ones(len(order), np.bool_)
        first[1:] = np.any([np.diff(key[order]) != 0 for key in (device_id, fixes.time_us, content)], axis=0)
        return _Batch(fixes, device_id).take(order[first])

    def _received_s(self, batch: _Batch) -> NDArray[np.int64]:
        """When each of these fixes arrived as far as it is stored, else _NOT_STORED_S; (n,). They are in order."""
        found = np.full(len(batch.fixes), _NOT_STORED_S)
        if not len(found):
            return found
        time_us = batch.fixes.time_us
        begins = np.flatnonzero(np.r_[True, (np.diff(batch.device_id) != 0) | (np.diff(time_us) > HOUR_US)])
        first_s, last_s = time_us[begins] // SECOND_US, time_us[np.r_[begins[1:], len(time_us)] - 1] // SECOND_US
        ranges = [batch.device_id[begins].tolist(), first_s.tolist(), last_s.tolist()]
        with self.connection.cursor() as cursor:
            rows = copy_out(cursor, _RANGES, [*ranges, int(first_s.min()), int(last_s.max())], len(COLUMNS))
        stored = fixes_of(rows, sorted(set(ranges[0])), [""] * len(set(ranges[0])))
        keys = [
            np.concatenate(pair)
            for pair in (
                (rows[0], batch.device_id), (stored.time_us, time_us), (stored.content(), batch.fixes.content()),
                (np.zeros(len(stored)), np.ones(len(found))),
            )
        ]  # fmt: skip
        order = np.lexsort(keys[::-1])
        is_new = np.r_[True, np.any([np.diff(key[order]) != 0 for key in keys[:3]], axis=0)]
        first = order[np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))]  # of those that are the same
        again = np.flatnonzero((order >= len(stored)) & (first < len(stored)))
        found[order[again] - len(stored)] = stored.received_s[first[again]]
        return found

    def _append(self, batch: _Batch) -> None:
        fixes = batch.fixes
        if not len(fixes):
            return
        with self.connection.cursor() as cursor, self._turn.compressing(on=self._is_dense(batch)):
            copy_in(cursor, "fix", COLUMNS, WIDTHS, _parts(batch))
        self._turn.note(batch.device_id, fixes.time_us)

    def _is_dense(self, batch: _Batch) -> bool:
        if len(batch.fixes) < _DENSE:
            return False
        days = batch.device_id.astype(np.int64) << 20 | batch.fixes.time_us // (24 * HOUR_US)
        return len(batch.fixes) >= _DENSE * (1 + int(np.count_nonzero(np.diff(days))))

    def _lower(self, batch: _Batch) -> None:
        """These are stored, and had arrived earlier than is known so far."""
        if not len(batch.fixes):
            return
        if self._turn.compresses:
            self.connection.execute(UNLIMITED)
        at = {name: k for k, name in enumerate(COLUMNS)}
        chosen = [at[name] for name in ("received_s", "device_id", "time_s", "rest_us", *CONTENT)]
        rows = rows_of(batch.fixes, batch.device_id)[chosen].T.tolist()
        with self.connection.cursor() as cursor:
            cursor.executemany(_LOWER.encode(), [[None if v == NULL else v for v in row] for row in rows])
        self._turn.note(batch.device_id, batch.fixes.time_us)

    @contextmanager
    def _by_time(self) -> Iterator[None]:
        """Within this, all devices' fixes of a span are found by the index of time, whose ranges lie together; PostgreSQL takes
        that for dear, and would rather look at each row of the table."""
        others = ("enable_seqscan", "enable_indexscan")
        with self.connection.transaction():
            for name in others:
                self.connection.execute(sql.SQL("SET LOCAL {} = off").format(sql.Identifier(name)))
            yield
            for name in others:
                self.connection.execute(sql.SQL("SET LOCAL {} = DEFAULT").format(sql.Identifier(name)))

    def _read(self, query: sql.Composed, values: Sequence[object]) -> Fixes:
        with self.connection.cursor() as cursor:
            rows = copy_out(cursor, query, values, len(COLUMNS))
            numbers = np.unique(rows[0]).tolist()
            told = cursor.execute("SELECT device_id, name FROM device WHERE device_id = ANY(%s)", [numbers]).fetchall()
        device: dict[int, str] = dict(told)
        return fixes_of(rows, numbers, [device[number] for number in numbers])


class _Batch(NamedTuple):
    """Fixes, and their devices' numbers (n,)."""

    fixes: Fixes
    device_id: NDArray[np.int32]

    def take(self, where: NDArray[np.int64]) -> _Batch:
        return _Batch(self.fixes.take(where), self.device_id[where])


def _parts(batch: _Batch) -> Iterator[NDArray[np.int64]]:
    for at in range(0, len(batch.fixes), _PART):
        part = slice(at, at + _PART)
        yield rows_of(batch.fixes.take(part), batch.device_id[part])


def _bound(operator: str, time_us: int) -> sql.Composable:
    """`time >= time_us` or `time < time_us` over the two columns of time; chunks are told by the first."""
    second_s, rest_us = divmod(time_us, SECOND_US)
    if not rest_us:
        return sql.SQL("time_s " + operator + " {}").format(sql.Literal(second_s))
    wide = ">=" if operator == ">=" else "<="
    return sql.SQL("(time_s " + wide + " {0} AND (time_s <> {0} OR rest_us " + operator + " {1}))").format(
        sql.Literal(second_s), sql.Literal(rest_us)
    )
