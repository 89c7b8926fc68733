"""The outbox: sends what the ledger's transactions left to be sent, at least once, versions of an alert in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from alerts.notifiers import AwayError, Delivery, DeliveryError, GoneError, Notifier
from engine.database import Connection
from engine.times import SECOND_US, Clock, to_datetime

BACK_OFF_S = (1, 5, 30, 120, 600, 1800, 7200, 18000, 36000)
"""Seconds to wait after the first failure, the second, ...; the failure after the last of them is final."""

MOST_ROWS = 100
_LONGEST_WAIT_S = 24 * 3600.0
_LONGEST_ERROR = 500

# A version waits while an earlier one of its alert is pending on its channel, also while another process is sending that
# one: until that commits, its row reads pending here.
_FIRST_IN_LINE = (
    "o.status = 'pending' AND o.channel = ANY(%(channels)s) AND NOT EXISTS (SELECT FROM outbox e"
    " WHERE e.alert_id = o.alert_id AND e.channel = o.channel AND e.version < o.version AND e.status = 'pending')"
)
_NEXT = (
    "SELECT o.id, o.channel, o.attempts, v.id, v.version, v.reason, v.late_s, v.seq, v.content"
    " FROM outbox o JOIN alert_version v ON v.id = o.alert_id AND v.version = o.version"
    f" WHERE {_FIRST_IN_LINE} AND o.next_at <= %(now)s AND NOT o.id = ANY(%(tried)s)"
    " ORDER BY o.id LIMIT 1 FOR UPDATE OF o SKIP LOCKED"
)
_DUE = f"SELECT (extract(epoch FROM min(o.next_at)) * 1000000)::bigint FROM outbox o WHERE {_FIRST_IN_LINE}"
_DEAD = (
    "SELECT id, alert_id, version, channel, attempts, error, (extract(epoch FROM next_at) * 1000000)::bigint"
    " FROM outbox WHERE status = 'dead' ORDER BY id"
)
_UNSERVED = "SELECT channel, count(*) FROM outbox WHERE status = 'pending' AND NOT channel = ANY(%s) GROUP BY 1 ORDER BY 1"


class DeadLetter(NamedTuple):
    """A delivery that was given up, with its last error; `given_up_us` is when."""

    id: int
    alert_id: str
    version: int
    channel: str
    attempts: int
    error: str
    given_up_us: int


class _Row(NamedTuple):
    id: int
    channel: str
    attempts: int
    delivery: Delivery


class Outbox:
    """Deliveries of the channels it has notifiers for. Needs a connection of its own: it commits after each row."""

    def __init__(self, connection: Connection, notifiers: Mapping[str, Notifier], clock: Clock) -> None:
        self._connection, self._notifiers, self._clock = connection, dict(notifiers), clock

    def deliver_due(self) -> int:
        """Try what is due, oldest first, at most MOST_ROWS; returns how many were delivered.

        One row a transaction: a crash repeats one delivery at most. A channel whose receiver cannot be reached rests for
        the remainder of the pass, so that its time-outs do not hold up the others.
        """
        n_delivered, channels = 0, list(self._notifiers)
        tried: list[int] = []
        for _ in range(MOST_ROWS):
            with self._connection.transaction():
                row = self._take(channels, tried)
                if row is None:
                    break
                tried.append(row.id)
                fault = self._send(row)
                if fault is None:
                    self._mark_delivered(row)
                    n_delivered += 1
                else:
                    self._mark_failed(row, fault)
            if isinstance(fault, AwayError):
                channels.remove(row.channel)
        return n_delivered

    def next_due_us(self) -> int | None:
        """When the next attempt is due [us], None where nothing is pending; may lie in the past."""
        with self._connection.transaction():
            row = self._connection.execute(_DUE, {"channels": list(self._notifiers)}).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def dead_letters(self) -> list[DeadLetter]:
        """What was given up, on all channels, oldest first."""
        with self._connection.transaction():
            return [DeadLetter(*row) for row in self._connection.execute(_DEAD)]

    def unserved(self) -> dict[str, int]:
        """How many deliveries are pending on channels that have no notifier here."""
        with self._connection.transaction():
            return dict(self._connection.execute(_UNSERVED, [list(self._notifiers)]).fetchall())

    def _take(self, channels: list[str], tried: list[int]) -> _Row | None:
        values: dict[str, Any] = {"channels": channels, "now": to_datetime(self._clock()), "tried": tried}
        row = self._connection.execute(_NEXT, values).fetchone()
        if row is None:
            return None
        number, channel, attempts, alert_id, version, reason, late_s, seq, content = row
        delivery = Delivery(alert_id, version, reason, late_s, seq, msgspec.Raw(content.encode()))
        return _Row(number, channel, attempts, delivery)

    def _send(self, row: _Row) -> Exception | None:
        try:
            self._notifiers[row.channel].send(row.delivery)
        except Exception as fault:  # a notifier is the edge of the process: whatever goes wrong there is this row's failure
            return fault
        return None

    def _mark_delivered(self, row: _Row) -> None:
        self._connection.execute(
            "UPDATE outbox SET status = 'delivered', attempts = attempts + 1, error = '', delivered = %s WHERE id = %s",
            [to_datetime(self._clock()), row.id],
        )

    def _mark_failed(self, row: _Row, fault: Exception) -> None:
        gone = isinstance(fault, GoneError) or row.attempts >= len(BACK_OFF_S)
        asked_s = fault.wait_s if isinstance(fault, DeliveryError) else 0.0
        wait_s = 0.0 if gone else max(BACK_OFF_S[row.attempts], min(asked_s, _LONGEST_WAIT_S))
        self._connection.execute(
            "UPDATE outbox SET status = %s, attempts = attempts + 1, next_at = %s, error = %s WHERE id = %s",
            ["dead" if gone else "pending", to_datetime(self._clock() + int(wait_s * SECOND_US)), _told(fault), row.id],
        )


def _told(fault: Exception) -> str:
    """The error as it is kept; PostgreSQL takes no NUL in text."""
    text = str(fault) if isinstance(fault, DeliveryError) else f"{type(fault).__name__}: {fault}"
    return text.replace("\0", "")[:_LONGEST_ERROR]
