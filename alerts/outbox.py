"""The outbox: sends what the ledger's transactions left to be sent, at least once, versions of an alert in their order."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import msgspec
import psycopg
import structlog

from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError, Notifier
from alerts.routing import kind_of
from engine.database import Connection
from engine.times import SECOND_US, Clock, parse_time, to_datetime, to_iso

BACK_OFF_S = (1, 5, 30, 120, 600, 1800, 7200, 18000, 36000)
"""Seconds to wait after the first failure, the second, ...; the failure after the last of them is final."""
REST_S = (1, 2, 4, 8, 15)
"""How long a receiver that cannot be reached is left alone, by how often in a row that was so."""

MOST_ROWS = 500
_LOOK_S = 0.5  # how long rows that were read are worked off before it is looked whether something urgent has come
_LONGEST_WAIT_S = 24 * 3600.0
_LONGEST_ERROR = 500
_LOCKS = 0x7461_6777  # advisory locks of this class: one a kind of channel, so that one process delivers to it at a time

# A delivery waits while an earlier one of its alert is pending on its channel.
_FIRST_IN_LINE = (
    "o.status = 'pending' AND split_part(o.channel, ':', 1) = ANY(%(kinds)s) AND NOT EXISTS (SELECT FROM outbox e"
    " WHERE e.alert_id = o.alert_id AND e.channel = o.channel AND e.status = 'pending'"
    " AND (e.version, e.id) < (o.version, o.id))"
)
_NEXT = (
    "WITH due AS MATERIALIZED (SELECT o.* FROM outbox o"
    f" WHERE {_FIRST_IN_LINE} AND o.next_at <= %(now)s AND NOT o.id = ANY(%(out)s) ORDER BY o.rank DESC, o.id LIMIT %(most)s)"
    " SELECT d.id, d.attempts, v.id, v.version, coalesce(nullif(d.words, ''), v.reason), v.late_s, v.seq, v.content,"
    " d.channel, d.role, d.timezone, d.kind, d.notice,"
    " (extract(epoch FROM coalesce(d.noticed, v.as_of)) * 1000000)::bigint"
    " FROM due d JOIN alert_version v ON v.id = d.alert_id AND v.version = d.version ORDER BY d.rank DESC, d.id"
)
_DUE = (
    "SELECT split_part(o.channel, ':', 1), (extract(epoch FROM min(o.next_at)) * 1000000)::bigint"
    f" FROM outbox o WHERE {_FIRST_IN_LINE} GROUP BY 1"
)
_MARK = (
    "UPDATE outbox o SET status = m.status, attempts = o.attempts + 1, error = m.error, delivered = m.delivered,"
    " next_at = coalesce(m.next_at, o.next_at)"
    " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])"
    " m (id, status, error, delivered, next_at) WHERE o.id = m.id"
)
_UNSERVED = (
    "SELECT channel, count(*) FROM outbox WHERE status = 'pending' AND NOT split_part(channel, ':', 1) = ANY(%s)"
    " GROUP BY 1 ORDER BY 1"
)

# By a clock that was set back, what was tried or decided before is due in a time to come: it is due now.
_SET_BACK = (
    "UPDATE outbox o SET next_at = %(now)s FROM alert_version v WHERE v.id = o.alert_id AND v.version = o.version"
    " AND o.status = 'pending' AND split_part(o.channel, ':', 1) = ANY(%(kinds)s) AND o.next_at > %(now)s"
    " AND (o.attempts > 0 OR coalesce(o.noticed, v.as_of) > %(now)s)"
)
_SET_BACK_US = 2 * SECOND_US  # less than this is slewing

OnDelivered = Callable[[str, float], None]
"""Told of each delivery: the kind of channel, and the seconds since its version or notice was made."""

log = structlog.get_logger("alerts.outbox")


class _Row(NamedTuple):
    id: int
    attempts: int
    delivery: Delivery

    @property
    def kind(self) -> str:
        return kind_of(self.delivery.channel)


class _Inline:
    """Sends in the caller's thread: one lane."""

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments))
        return future

    def shutdown(self) -> None:
        pass


def _started(pool: ThreadPoolExecutor, n_threads: int) -> ThreadPoolExecutor:
    """The pool with all its threads begun: one that is begun without memory would be waited for for ever."""
    together = threading.Barrier(n_threads)
    for _ in range(n_threads):
        pool.submit(together.wait, 5.0)  # where one cannot begin, the others do not wait for it
    return pool


class Outbox:
    """Deliveries of the kinds of channel it has notifiers for. Needs a connection of its own.

    `lanes` deliveries are under way at one time; each is marked in a transaction before its lane takes the next. So a crash
    repeats one delivery a lane at most, each under its identifier.
    """

    def __init__(
        self, connection: Connection, notifiers: Mapping[str, Notifier], clock: Clock, lanes: int = 1,
        on_delivered: OnDelivered | None = None,
    ) -> None:  # fmt: skip
        self._on_delivered = on_delivered
        self._connection, self._notifiers, self._clock, self._lanes = connection, dict(notifiers), clock, lanes
        self._pool = (
            _Inline() if lanes == 1 else _started(ThreadPoolExecutor(lanes, "-".join(["outbox", *notifiers])), lanes)
        )
        self._rests: dict[str, tuple[int, int]] = {}
        self._latest_us = clock()

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()

    def deliver_due(self) -> int:
        """Try what is due, the highest grade first and then the oldest, at most MOST_ROWS; returns how many were delivered.

        A kind of channel whose receiver cannot be reached rests, so that its time-outs do not hold up the others; one that
        another process is delivering to is left to it.
        """
        with self._locked() as kinds:
            self._heed_clock(kinds)
            return self._pump(kinds) if kinds else 0

    def next_due_us(self) -> int | None:
        """When the next attempt is due [us], None where nothing is pending; may lie in the past."""
        with self._transaction():
            rows = self._connection.execute(_DUE, {"kinds": list(self._notifiers)}).fetchall()
        return min((max(due_us, self._rests.get(kind, (0, 0))[1]) for kind, due_us in rows), default=None)

    def unserved(self) -> dict[str, int]:
        """How many deliveries are pending on channels that have no notifier here."""
        with self._connection.transaction():
            return dict(self._connection.execute(_UNSERVED, [list(self._notifiers)]).fetchall())

    def _heed_clock(self, kinds: Sequence[str]) -> None:
        now_us = self._clock()
        if now_us < self._latest_us - _SET_BACK_US:
            self._rests.clear()
            with self._transaction():
                n = self._connection.execute(_SET_BACK, {"now": to_datetime(now_us), "kinds": list(kinds)}).rowcount
            log.warning("the clock was set back: what waited by it is due", deliveries=n)
        self._latest_us = now_us

    def _pump(self, kinds: Sequence[str]) -> int:
        n_tried = n_delivered = 0
        rows: deque[_Row] = deque()
        out: dict[Future[Exception | None], _Row] = {}
        look_s = 0.0
        while True:
            if n_tried < MOST_ROWS and (not rows or time.monotonic() > look_s):
                began_s = time.monotonic()
                rows = self._take(kinds, [row.id for row in out.values()], MOST_ROWS - n_tried)
                look_s = time.monotonic() + max(_LOOK_S, 10 * (time.monotonic() - began_s))  # looking must stay cheap
            while rows and len(out) < self._lanes:
                row = rows.popleft()
                if not self._at_rest(row.kind):
                    out[self._pool.submit(self._send, row)] = row
                    n_tried += 1
            if not out:
                return n_delivered
            done, _ = wait(out, _LOOK_S, FIRST_COMPLETED)
            n_delivered += self._mark([(out.pop(future), future.result()) for future in done])

    def _take(self, kinds: Sequence[str], out: Sequence[int], most: int) -> deque[_Row]:
        awake = [kind for kind in kinds if not self._at_rest(kind)]
        values = {"kinds": awake, "now": to_datetime(self._clock()), "out": list(out), "most": most}
        with self._transaction():
            rows = self._connection.execute(_NEXT, values).fetchall()
        return deque(_Row(row[0], row[1], _delivery(*row[2:])) for row in rows)

    def _send(self, row: _Row) -> Exception | None:
        try:
            self._notifiers[row.kind].send(row.delivery)
        except Exception as fault:  # a notifier is the edge of the process: whatever goes wrong there is this row's failure
            return fault
        return None

    def _mark(self, results: Sequence[tuple[_Row, Exception | None]]) -> int:
        """Keep what came of these; returns how many were delivered."""
        if not results:
            return 0
        now_us = self._clock()
        marks = [self._judged(row, fault, now_us) for row, fault in results]
        with self._transaction():
            self._connection.execute(_MARK, [list(column) for column in zip(*marks, strict=True)])
        return sum(fault is None for _, fault in results)

    def _judged(self, row: _Row, fault: Exception | None, now_us: int) -> tuple[Any, ...]:
        if fault is None:
            self._rests.pop(row.kind, None)
            if self._on_delivered is not None:
                self._on_delivered(row.kind, (now_us - parse_time(row.delivery.time)) / SECOND_US)
            return (row.id, "delivered", "", to_datetime(now_us), None)
        if isinstance(fault, AwayError) and not self._at_rest(row.kind):
            n_before = self._rests.get(row.kind, (0, 0))[0]
            self._rests[row.kind] = (n_before + 1, now_us + REST_S[min(n_before, len(REST_S) - 1)] * SECOND_US)
            log.warning("receiver is away", kind=row.kind, fault=fault)
        gone = isinstance(fault, GoneError) or row.attempts >= len(BACK_OFF_S)
        if gone:
            log.error("delivery given up", delivery=row.delivery.key, kind=row.kind, attempts=row.attempts + 1)
        asked_s = fault.wait_s if isinstance(fault, DeliveryError) else 0.0
        wait_s = 0.0 if gone else max(BACK_OFF_S[row.attempts], min(asked_s, _LONGEST_WAIT_S))
        next_at = to_datetime(now_us + int(wait_s * SECOND_US))
        return (row.id, "dead" if gone else "pending", _told(fault), None, next_at)

    def _transaction(self) -> AbstractContextManager[object]:
        """A transaction about one statement; with autocommit the statement is one by itself, and saves two round trips."""
        return nullcontext() if self._connection.autocommit else self._connection.transaction()

    def _at_rest(self, kind: str) -> bool:
        return kind in self._rests and self._clock() < self._rests[kind][1]

    @contextmanager
    def _locked(self) -> Iterator[list[str]]:
        """The kinds that this process alone delivers to for now."""
        keys = {zlib.crc32(kind.encode()) - 2**31: kind for kind in self._notifiers}
        with self._transaction():
            rows = self._connection.execute(
                "SELECT key FROM unnest(%s::integer[]) key WHERE pg_try_advisory_lock(%s, key)", [list(keys), _LOCKS]
            ).fetchall()
        held = [row[0] for row in rows]
        try:
            yield [keys[key] for key in held]
        finally:
            with suppress(psycopg.Error), self._transaction():  # a lost connection has lost its locks
                self._connection.execute(
                    "SELECT pg_advisory_unlock(%s, key) FROM unnest(%s::integer[]) key", [_LOCKS, held]
                )


def _delivery(
    identifier: str, version: int, reason: str, late_s: float, seq: int, content: str, channel: str, role: str,
    timezone: str, kind: str, notice: int, time_us: int,
) -> Delivery:  # fmt: skip
    alert = msgspec.Raw(content.encode())
    return Delivery(identifier, version, reason, late_s, seq, alert, channel, role, timezone, kind, notice, to_iso(time_us))


def _told(fault: Exception) -> str:
    """The error as it is kept; PostgreSQL takes no NUL in text."""
    text = str(fault) if isinstance(fault, DeliveryError) else f"{type(fault).__name__}: {fault}"
    return text.replace("\0", "")[:_LONGEST_ERROR]
