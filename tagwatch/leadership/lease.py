"""The lease in the database: one row that tells who leads. No clock of the server's is trusted for it.

Every transaction of the leader locks the row's term (FOR KEY SHARE) and sees that it is still his; whoever takes over locks it
FOR UPDATE, which waits for such transactions, and moves it on. So a leader that was deposed without knowing, because it hung or
was cut off, can commit nothing any more: the term is a fencing token that the database itself checks. (M. Kleppmann, "How to do
distributed locking", 2016, tells why a lease without one is not enough.)
"""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from engine.database import Connection

_READ = (
    "SELECT l.term, l.name, l.beats, l.backend = 0, NOT EXISTS (SELECT FROM pg_stat_activity a"
    " WHERE a.pid = l.backend AND a.backend_start = l.began) FROM leader l"
)
_FENCE = "SELECT FROM leader WHERE term = %s FOR KEY SHARE"
_LOCK = "SELECT FROM leader WHERE term = %s FOR UPDATE"
_MINE = (
    "name = %s, backend = pg_backend_pid(), beats = beats + 1,"
    " began = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"
)
_RENEW = f"UPDATE leader SET {_MINE} WHERE term = %s AND name = %s"
_CLAIM = f"UPDATE leader SET term = term + 1, {_MINE} RETURNING term"
_GIVE_UP = "UPDATE leader SET backend = 0 WHERE term = %s"
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"
)
_STAND_BY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"
STANDING_BY = "tagwatch standby"
"""What the connection of an instance is called that stands by and reaches the broker."""


class Seen(NamedTuple):
    """The row as it was seen. `is_given_up`: by who led, or never taken; `is_left`: the connection that kept it is gone."""

    term: int
    name: str
    beats: int
    is_given_up: bool
    is_left: bool


def named(name: str) -> str:
    """What the connections of an instance's session and couriers are called at the server."""
    return f"tagwatch@{name}"[:63] if name else "tagwatch"


def read(connection: Connection) -> Seen:
    """Who leads now."""
    row = connection.execute(_READ).fetchone()
    assert row is not None
    return Seen(*row)


def claim(connection: Connection, seen: Seen, name: str) -> int | None:
    """Take over from what was seen: end the connections of who led, and move the term on. None where somebody else was
    quicker, or where a transaction of who led does not end yet. After an instance of our own name that has let go nothing is
    ended: what is called so is ours."""
    is_ours = seen.name == name and (seen.is_given_up or seen.is_left)
    if seen.name and not is_ours:
        connection.execute(_DISCONNECT, [named(seen.name)])
    try:
        with connection.transaction():
            if connection.execute(_LOCK, [seen.term]).fetchone() is None:
                return None
            row = connection.execute(_CLAIM, [name]).fetchone()
    except psycopg.errors.LockNotAvailable:
        return None
    assert row is not None
    return int(row[0])


def renew(connection: Connection, term: int, name: str) -> bool:
    """Show that we are there; False where somebody else leads by now."""
    return connection.execute(_RENEW, [name, term, name]).rowcount == 1


def give_up(connection: Connection, term: int) -> None:
    """Let somebody else take over at once."""
    connection.execute(_GIVE_UP, [term])


def is_held(connection: Connection, term: int) -> bool:
    """Whether the term is still ours; then it stays so until this transaction ends."""
    return connection.execute(_FENCE, [term]).fetchone() is not None


def n_standing_by(connection: Connection) -> int:
    """How many other instances stand by and reach the broker."""
    row = connection.execute(_STAND_BY, [STANDING_BY]).fetchone()
    return int(row[0]) if row else 0
