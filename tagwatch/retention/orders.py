"""Orders: what is to be erased of one wearer, kept until it is done. Steps can be repeated, so a crash loses none.

An order that a hold stops stays open: what it leaves is erased by the next run after the hold was released.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from engine.database import Connection
from engine.errors import InputError, StoreError
from engine.times import from_datetime, to_datetime, to_iso
from tagwatch.retention.spans import EVER, Span
from tagwatch.retention.terms import KINDS

_LOCK = 7_261_551
_COLUMNS = "number, wearer, from_time, to_time, kinds, reason, order_ref, ordered_by, ordered_at, state, done, ended_at"
TELLS = ("positions", "raw", "quarantine")
"""Kinds of which the configuration tells whose they are."""


class Order(NamedTuple):
    """One order; wearer None: a run of the policy. `done`: counts by place so far."""

    number: int
    wearer: str | None
    from_us: int | None
    to_us: int
    kinds: tuple[str, ...]
    reason: str
    reference: str
    ordered_by: str
    ordered_us: int
    state: str
    done: Mapping[str, int]
    ended_us: int | None = None

    @property
    def span(self) -> Span:
        """[from_us, to_us) of what it is about."""
        return (EVER[0] if self.from_us is None else self.from_us, self.to_us)

    @property
    def name(self) -> str:
        """How what it leaves in place of data names it."""
        what = "retention run" if self.wearer is None else "order"
        return f"{what} {self.number}" + (f" ({self.reference})" if self.reference else "")


class Request(NamedTuple):
    """What somebody asks to have erased; no kinds: all there are, without the configuration where a span is given."""

    wearer: str
    from_us: int | None = None
    to_us: int | None = None
    kinds: tuple[str, ...] = ()
    reason: str = ""
    reference: str = ""

    def checked(self, now_us: int) -> Request:
        """With kinds and end; InputError where it makes no sense."""
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise InputError(field="--kind", value=unknown[0], expected=f"one of {', '.join(KINDS)}")
        if not self.reason.strip():
            raise InputError(field="--reason", value=self.reason, expected="why")
        if self.to_us is not None and self.to_us > now_us:
            raise InputError(field="--to", value=to_iso(self.to_us), expected="no later than now")
        to_us, is_part = now_us if self.to_us is None else self.to_us, (self.from_us, self.to_us) != (None, None)
        if self.from_us is not None and self.from_us >= to_us:
            raise InputError("the span is empty", field="--from", value=to_iso(self.from_us), expected="earlier than --to")
        kinds = tuple(kind for kind in KINDS if kind in (self.kinds or KINDS[: -1 if is_part else None]))
        if "configuration" in kinds and is_part:
            raise InputError("configuration goes as a whole", field="--kind", expected="no --from and no --to beside it")
        if "configuration" in kinds and not {*TELLS} <= {*kinds}:
            expected = f"--kind {', '.join(TELLS)} beside it, or another kind"
            raise InputError("configuration tells whose other data are", field="--kind", expected=expected)
        return self._replace(to_us=to_us, kinds=kinds)


def enter(connection: Connection, request: Request, ordered_by: str, now_us: int) -> Order:
    """Keep an order, in the caller's transaction."""
    return _enter(connection, (request.wearer, *request[1:]), ordered_by, now_us)


def enter_run(connection: Connection, kinds: tuple[str, ...], ordered_by: str, now_us: int) -> Order:
    """Keep a run of the policy, in the caller's transaction; one that a crash cut off before is not taken up again."""
    connection.execute("UPDATE erasure SET state = 'broken off' WHERE wearer IS NULL AND state = 'begun'")
    return _enter(connection, (None, None, now_us, kinds, "the policy of the settings", ""), ordered_by, now_us)


def _enter(connection: Connection, asked: tuple[Any, ...], ordered_by: str, now_us: int) -> Order:
    wearer, from_us, to_us, kinds, reason, reference = asked
    row = connection.execute(
        "INSERT INTO erasure (wearer, from_time, to_time, kinds, reason, order_ref, ordered_by, ordered_at, state)"
        f" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'begun') RETURNING {_COLUMNS}".encode(),
        [wearer, None if from_us is None else to_datetime(from_us), to_datetime(to_us), list(kinds), reason, reference,
         ordered_by, to_datetime(now_us)],
    ).fetchone()  # fmt: skip
    assert row is not None
    return _order(row)


def enter_again(connection: Connection, order: Order) -> None:
    """Keep an order that this database has lost, under its number, with everything still to do. Where it knows it, and where
    another order has its number meanwhile, it stays as it is."""
    connection.execute(
        "INSERT INTO erasure (number, wearer, from_time, to_time, kinds, reason, order_ref, ordered_by, ordered_at, state)"
        " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'begun') ON CONFLICT (number) DO NOTHING",
        [order.number, order.wearer, None if order.from_us is None else to_datetime(order.from_us), to_datetime(order.to_us),
         list(order.kinds), order.reason, order.reference, order.ordered_by, to_datetime(order.ordered_us)],
    )  # fmt: skip
    connection.execute(
        "SELECT setval(pg_get_serial_sequence('erasure', 'number'), greatest((SELECT max(number) FROM erasure), 1))"
    )


def one(connection: Connection, number: int) -> Order:
    """The order of this number, which there is."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM erasure WHERE number = %s".encode(), [number]).fetchone()
    assert row is not None
    return _order(row)


def unfinished(connection: Connection) -> list[Order]:
    """Orders of which something is left to do, by number; runs of the policy are made anew instead."""
    query = f"SELECT {_COLUMNS} FROM erasure WHERE state <> 'done' AND wearer IS NOT NULL ORDER BY number"
    return [_order(row) for row in connection.execute(query.encode())]


def latest(connection: Connection, most: int) -> list[Order]:
    """The latest orders and runs, the newest first."""
    query = f"SELECT {_COLUMNS} FROM erasure ORDER BY number DESC LIMIT %s"
    return [_order(row) for row in connection.execute(query.encode(), [most])]


def note(connection: Connection, number: int, counts: Mapping[str, int]) -> None:
    """Add to the counts of an order, in the transaction of the step."""
    row = connection.execute("SELECT done FROM erasure WHERE number = %s FOR UPDATE", [number]).fetchone()
    done = dict(row[0]) if row else {}
    for place, n in counts.items():
        if n:
            done[place] = done.get(place, 0) + n
    connection.execute("UPDATE erasure SET done = %s WHERE number = %s", [msgspec.json.encode(done).decode(), number])


def finish(connection: Connection, number: int, state: str, now_us: int) -> None:
    """Say how an order stands after its steps."""
    connection.execute(
        "UPDATE erasure SET state = %s, ended_at = %s WHERE number = %s", [state, to_datetime(now_us), number]
    )


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Within this, nobody else erases. StoreError where somebody does."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    connection.commit()
    if not row or not row[0]:
        raise StoreError("another erasure is under way: try again when it is done")
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
            connection.commit()


def _order(row: tuple[Any, ...]) -> Order:
    number, wearer, from_time, to_time, kinds, reason, reference, by, at, state, done, ended_at = row
    span = from_time and from_datetime(from_time), from_datetime(to_time)
    ended_us = ended_at and from_datetime(ended_at)
    return Order(number, wearer, *span, tuple(kinds), reason, reference, by, from_datetime(at), state, done, ended_us)
