"""Connections of the console: a few are kept open, each request takes one for as long as it needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from engine.database import GIVEN, Connection, shown
from engine.errors import UnreachableError
from engine.store.gate import one_instant

MOST_OPEN, WAIT_S = 12, 5.0


class Database:
    """The database of the console; opens its first connection when it is first asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        given = {**GIVEN, "application_name": "tagwatch console", "connect_timeout": 5}
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url, kwargs=given, min_size=0, max_size=MOST_OPEN, timeout=WAIT_S, max_waiting=500, open=False,
            check=ConnectionPool.check_connection, reconnect_timeout=2.0,
        )  # fmt: skip

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection on one snapshot; UnreachableError where the server is not there."""
        with self._taken() as connection, one_instant(connection, read_only=True):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end; UnreachableError where the server is not there."""
        with self._taken() as connection, connection.transaction():
            yield connection

    def close(self) -> None:
        """Give back what is open."""
        self._pool.close()

    @contextmanager
    def _taken(self) -> Iterator[Connection]:
        self._pool.open()
        try:
            taken = self._pool.connection()
            connection = taken.__enter__()
        except (PoolTimeout, TooManyRequests):
            raise UnreachableError(f"database {shown(self.url)} is not reachable, or too many ask at once") from None
        try:
            yield connection
        except BaseException as fault:
            taken.__exit__(type(fault), fault, fault.__traceback__)
            raise
        else:
            taken.__exit__(None, None, None)
