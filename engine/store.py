"""The fix store: bulk writes by binary COPY, reads in columns. Devices are told by name outside, by number inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor, sql
from psycopg.errors import UniqueViolation

from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import NAMES, Fixes
from engine.times import SECOND_US, to_datetime

_PG_EPOCH_US = 946_684_800 * SECOND_US
_INTS = [name for name in NAMES if name not in ("device", "time_us", "received_s")]
_COLUMNS = ["device_id", "time", "content", *_INTS, "received"]
_TYPES = ["i4", "i8", "i8", *["i4"] * len(_INTS), "i8"]
_ROW = np.dtype([("n", ">i2")] + [f for k, t in enumerate(_TYPES) for f in ((f"l{k}", ">i4"), (f"v{k}", f">{t}"))])
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_STAGING = "CREATE TEMP TABLE IF NOT EXISTS fix_staging (LIKE fix) ON COMMIT DELETE ROWS"


def copy_image(fixes: Fixes, device_ids: NDArray[np.int32]) -> bytes:
    """The fixes as one binary COPY stream (PostgreSQL documentation, COPY, binary format)."""
    rows = np.empty(len(fixes), _ROW)
    rows["n"] = len(_TYPES)
    times = (fixes.time_us - _PG_EPOCH_US, fixes.received_s * SECOND_US - _PG_EPOCH_US)
    values = [device_ids, times[0], fixes.content(), *(fixes.column(name) for name in _INTS), times[1]]
    for k, (value, kind) in enumerate(zip(values, _TYPES, strict=True)):
        rows[f"l{k}"] = int(kind[1])
        rows[f"v{k}"] = value
    return _HEADER + rows.tobytes() + _TRAILER


class FixStore:
    """Fixes and device events in the database; every write belongs to the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ids: dict[str, int] = {}

    def write(self, fixes: Fixes) -> None:
        """Store the fixes, each once: an exact duplicate only lowers `received`."""
        if not len(fixes):
            return
        ids = np.array([*self._device_ids(fixes.devices)], np.int32)
        with self.connection.cursor() as cursor:
            cursor.execute("SAVEPOINT fixes")
            try:
                _copy(cursor, "fix", copy_image(fixes, ids[fixes.device]))
                cursor.execute("RELEASE fixes")
            except UniqueViolation:  # rare, and checking for it row by row takes twice as long
                cursor.execute("ROLLBACK TO fixes; RELEASE fixes")
                fixes = _once(fixes)
                _merge(cursor, copy_image(fixes, ids[fixes.device]))

    def write_events(self, events: Sequence[DeviceEvent]) -> None:
        """Store device events, each once, with the earliest `received`."""
        if not events:
            return
        ids = dict(zip((e.device for e in events), self._device_ids(tuple(e.device for e in events)), strict=True))
        rows = [
            (ids[e.device], to_datetime(e.time_us), e.kind, e.value, to_datetime(e.received_s * SECOND_US)) for e in events
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO device_event (device_id, time, kind, value, received) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (device_id, time, kind, value) DO UPDATE SET received = EXCLUDED.received"
                " WHERE EXCLUDED.received < device_event.received",
                rows,
            )

    def read(
        self, *, devices: Iterable[str] | None = None, from_us: int | None = None, to_us: int | None = None,
        box_e7: tuple[int, int, int, int] | None = None,
    ) -> Fixes:  # fmt: skip
        """Fixes in [from_us, to_us] of these devices (all where None), within a box (west, south, east, north)."""
        conditions: list[sql.Composable] = [sql.SQL("true")]
        values: list[object] = []
        if devices is not None:
            conditions.append(sql.SQL("d.name = ANY(%s)"))
            values.append(list(devices))
        for operator, bound in ((">=", from_us), ("<=", to_us)):
            if bound is not None:
                conditions.append(sql.SQL("f.time " + operator + " %s"))
                values.append(to_datetime(bound))
        if box_e7 is not None:
            conditions.append(sql.SQL("f.lon_e7 BETWEEN %s AND %s AND f.lat_e7 BETWEEN %s AND %s"))
            values += [box_e7[0], box_e7[2], box_e7[1], box_e7[3]]
        query = sql.SQL("SELECT {} FROM fix f {} WHERE {}").format(
            sql.SQL(", ").join(sql.Identifier("f", c) for c in _COLUMNS),
            sql.SQL("" if devices is None else "JOIN device d USING (device_id)"), sql.SQL(" AND ").join(conditions),
        )  # fmt: skip
        if devices is not None or from_us is None or to_us is None:
            return self._read(query, values)
        with self._by_time():
            return self._read(query, values)

    def holds(self, fixes: Fixes) -> NDArray[np.bool_]:
        """Which of these fixes are stored, with the same content; shape (n,)."""
        ids = np.array([*self._device_ids(fixes.devices)], np.int32)[fixes.device]
        rows = self.connection.execute(
            "SELECT n.k FROM unnest(%s::integer[], %s::timestamptz[], %s::bigint[])"
            " WITH ORDINALITY n (device_id, time, content, k) JOIN fix USING (device_id, time, content)",
            [ids.tolist(), [to_datetime(t) for t in fixes.time_us.tolist()], fixes.content().tolist()],
        )
        found = np.zeros(len(fixes), np.bool_)
        found[[k - 1 for (k,) in rows]] = True
        return found

    def holds_events(self, events: Sequence[DeviceEvent]) -> set[DeviceEvent]:
        """Which of these events are stored, and had arrived no later."""
        rows = self.connection.execute(
            "SELECT n.k FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::timestamptz[])"
            " WITH ORDINALITY n (name, time, kind, value, received, k) JOIN device d USING (name) JOIN device_event e"
            " ON e.device_id = d.device_id AND e.time = n.time AND e.kind = n.kind AND e.value = n.value"
            " AND e.received <= n.received",
            [
                [e.device for e in events], [to_datetime(e.time_us) for e in events], [e.kind for e in events],
                [e.value for e in events], [to_datetime(e.received_s * SECOND_US) for e in events],
            ],
        )  # fmt: skip
        return {events[k - 1] for (k,) in rows}

    def nearest(self, time_us: int, *, before: bool, devices: Iterable[str] | None = None) -> Fixes:
        """For each of these devices (all where None) its last 64 fixes before an instant, or its first 64 after it: enough for
        what bounds the match."""
        query = sql.SQL(
            "SELECT {columns} FROM device d CROSS JOIN LATERAL (SELECT * FROM fix WHERE fix.device_id = d.device_id"
            " AND time {operator} %s ORDER BY time {order} LIMIT 64) f WHERE (%s::text[] IS NULL OR d.name = ANY(%s))"
        ).format(
            columns=sql.SQL(", ").join(sql.Identifier("f", c) for c in _COLUMNS),
            operator=sql.SQL("<" if before else ">"), order=sql.SQL("DESC" if before else "ASC"),
        )  # fmt: skip
        names = None if devices is None else list(devices)
        return self._read(query, [to_datetime(time_us), names, names])

    def devices(self) -> list[str]:
        """The names of all devices of which anything is stored, in their order."""
        return sorted(row[0] for row in self.connection.execute("SELECT name FROM device"))

    def read_events(self, *, to_us: int | None = None, devices: Sequence[str] | None = None) -> list[DeviceEvent]:
        """Device events up to an instant, of these devices (all where None), oldest first."""
        rows = self.connection.execute(
            "SELECT d.name, (extract(epoch FROM e.time) * 1000000)::bigint, e.kind, e.value,"
            " floor(extract(epoch FROM e.received))::bigint FROM device_event e JOIN device d USING (device_id)"
            " WHERE (%s::timestamptz IS NULL OR e.time <= %s) AND (%s::text[] IS NULL OR d.name = ANY(%s))"
            " ORDER BY e.time, d.name, e.kind, e.value",
            [None if to_us is None else to_datetime(to_us)] * 2 + [None if devices is None else list(devices)] * 2,
        )
        return [DeviceEvent(*row) for row in rows]

    def write_sequences(self, sequences: Mapping[str, tuple[int, int, set[int]]]) -> None:
        """Keep how far each device's sequence is durable: (since, until, numbers beyond it)."""
        if not sequences:
            return
        self.connection.execute(
            "INSERT INTO device_sequence (device_id, since, until, beyond)"
            " SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[])"
            " ON CONFLICT (device_id) DO UPDATE SET until = EXCLUDED.until, beyond = EXCLUDED.beyond",
            [
                [*self._device_ids(tuple(sequences))],
                [since for since, _, _ in sequences.values()],
                [until for _, until, _ in sequences.values()],
                [",".join(map(str, sorted(beyond))) for _, _, beyond in sequences.values()],
            ],
        )

    def read_sequences(self) -> dict[str, tuple[int, int, set[int]]]:
        """How far each device's sequence is durable."""
        rows = self.connection.execute(
            "SELECT name, since, until, beyond FROM device_sequence JOIN device USING (device_id)"
        )
        return {name: (since, until, {int(n) for n in beyond.split(",") if n}) for name, since, until, beyond in rows}

    def count(self) -> int:
        """How many fixes are stored."""
        row = self.connection.execute("SELECT count(*) FROM fix").fetchone()
        return int(row[0]) if row else 0

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

    def _read(self, query: sql.Composed, values: list[object]) -> Fixes:
        """Run a query of _COLUMNS through binary COPY and cut its image into columns."""
        with self.connection.cursor() as cursor:
            names: dict[int, str] = dict(cursor.execute("SELECT device_id, name FROM device").fetchall())
            copying = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(query)
            image = bytearray()
            with cursor.copy(copying, values) as copy:
                for block in copy:
                    image += block
        whole = (len(image) - len(_HEADER) - len(_TRAILER)) // _ROW.itemsize
        rows = np.frombuffer(image, _ROW, count=max(0, whole), offset=len(_HEADER))
        numbers = sorted(names)
        return _fixes(rows, numbers, [names[n] for n in numbers])

    def _device_ids(self, names: Sequence[str]) -> Iterable[int]:
        unknown = sorted({name for name in names if name not in self._ids})
        if unknown:
            self.connection.execute("INSERT INTO device (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [unknown])
            rows = self.connection.execute("SELECT name, device_id FROM device WHERE name = ANY(%s)", [unknown])
            self._ids.update(dict(rows.fetchall()))
        return (self._ids[name] for name in names)

    def forget_devices(self) -> None:
        """Forget device numbers: after a rollback those given in it are not there."""
        self._ids.clear()


def _copy(cursor: Cursor[tuple[Any, ...]], table: str, image: bytes) -> None:
    copying = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), _names(_COLUMNS))
    with cursor.copy(copying) as copy:
        copy.write(image)


def _merge(cursor: Cursor[tuple[Any, ...]], image: bytes) -> None:
    """Store rows of which some may be there: those lower `received`."""
    cursor.execute(_STAGING)
    _copy(cursor, "fix_staging", image)
    cursor.execute(
        sql.SQL(
            "INSERT INTO fix ({0}) SELECT {0} FROM fix_staging"
            " ON CONFLICT (device_id, time, content) DO UPDATE SET received = EXCLUDED.received"
            " WHERE EXCLUDED.received < fix.received"
        ).format(_names(_COLUMNS))
    )
    cursor.execute("DELETE FROM fix_staging")


def _fixes(rows: NDArray[np.void], numbers: list[int], names: list[str]) -> Fixes:
    columns = {c: rows[f"v{k}"] for k, c in enumerate(_COLUMNS)}
    return Fixes.of(
        names, device=np.searchsorted(numbers, columns["device_id"]), time_us=columns["time"] + _PG_EPOCH_US,
        received_s=(columns["received"] + _PG_EPOCH_US) // SECOND_US, **{name: columns[name] for name in _INTS},
    )  # fmt: skip


def _once(fixes: Fixes) -> Fixes:
    """The fixes without exact duplicates, each with the earliest `received`."""
    content = fixes.content()
    order = np.lexsort((fixes.received_s, content, fixes.device, fixes.time_us))
    keys = (fixes.time_us[order], fixes.device[order], content[order])
    new = np.ones(len(order), np.bool_)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return fixes if new.all() else fixes.take(order[new])


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(c) for c in columns)
