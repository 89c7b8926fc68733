"""What a person sees of the outbox and may do: deliveries by state, dead letters, and sending them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alerts.dispatch import wake
from engine.database import Connection
from engine.errors import InputError
from engine.times import to_datetime

STATES = ("pending", "delivered", "dead")

_COLUMNS = (
    "SELECT id, alert_id, version, channel, attempts, error,"
    " (extract(epoch FROM coalesce(delivered, next_at)) * 1000000)::bigint, status, kind, notice FROM outbox"
)


class Letter(NamedTuple):
    """One delivery; `at_us` is when it was delivered, given up, or will be tried next, by its state."""

    id: int
    alert_id: str
    version: int
    channel: str
    attempts: int
    error: str
    at_us: int
    status: str
    kind: str
    notice: int


def letters(connection: Connection, status: str, most: int = 1_000) -> list[Letter]:
    """Deliveries in a state: pending ones by when they are due, the others newest first."""
    order = "next_at, id" if status == "pending" else "id DESC"
    with connection.transaction():
        rows = connection.execute(f"{_COLUMNS} WHERE status = %s ORDER BY {order} LIMIT %s", [status, most])
        return [Letter(*row) for row in rows]


def dead_letters(connection: Connection) -> list[Letter]:
    """What was given up, on all channels, oldest first."""
    with connection.transaction():
        return [Letter(*row) for row in connection.execute(f"{_COLUMNS} WHERE status = 'dead' ORDER BY id")]


def resend(connection: Connection, numbers: Sequence[int] | None, now_us: int) -> list[Letter]:
    """Make these dead letters (None: all) pending again, due at once; InputError where one is no dead letter."""
    with connection.transaction():
        chosen = "" if numbers is None else " AND id = ANY(%(numbers)s)"
        rows = connection.execute(
            f"{_COLUMNS} WHERE status = 'dead'{chosen} ORDER BY id FOR UPDATE", {"numbers": list(numbers or ())}
        )
        found = [Letter(*row) for row in rows]
        for number in numbers or ():
            if number not in {letter.id for letter in found}:
                raise InputError(field="ID", value=number, expected="the id of a dead letter (tagwatch outbox dead)")
        connection.execute(
            "UPDATE outbox SET status = 'pending', attempts = 0, next_at = %s WHERE id = ANY(%s)",
            [to_datetime(now_us), [letter.id for letter in found]],
        )
        wake(connection)
    return found
