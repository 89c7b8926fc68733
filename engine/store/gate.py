"""The gate between reading fixes and compressing them.

TimescaleDB plans a query by what a chunk is now, and reads by the query's snapshot. Where a chunk is compressed anew between
the two, what was moved is missing from the answer (2.29; COPY and repeatable reads, whose snapshot is older than the plan). So
who reads comes through the gate before his snapshot is taken, and who compresses closes it before he commits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import psycopg
from psycopg.pq import TransactionStatus

from engine.database import Connection

_ENTER = "LOCK TABLE fix_gate IN ACCESS SHARE MODE"
_CLOSE = "LOCK TABLE fix_gate IN ACCESS EXCLUSIVE MODE NOWAIT"
_TRIES, _PAUSE_S = 15, 0.02


def enter(connection: Connection) -> None:
    """Come through the gate, until the transaction ends. Takes no snapshot: it may be the first deed of one."""
    connection.execute(_ENTER)


@contextmanager
def entered(connection: Connection) -> Iterator[None]:
    """Within this the connection is through the gate, in a transaction where it would be in none."""
    is_free = connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction() if is_free else nullcontext():
        enter(connection)
        yield


@contextmanager
def one_instant(connection: Connection, *, read_only: bool = False) -> Iterator[None]:
    """A transaction in which all that is read is of one instant."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" + (", READ ONLY" if read_only else ""))
        enter(connection)
        yield


def close(connection: Connection) -> None:
    """Keep readers out until the transaction ends, once none is within; LockNotAvailable where some stay. It never waits in a
    queue, so nobody can be in a deadlock with it."""
    for left in reversed(range(_TRIES)):
        try:
            with connection.transaction():
                connection.execute(_CLOSE)
            return
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            time.sleep(_PAUSE_S)
