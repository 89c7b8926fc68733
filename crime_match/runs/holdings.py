"""Everything held of match runs about a wearer or a crime, of every run that was ever recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg.rows import dict_row

from engine.database import Connection


def lines_of_wearer(connection: Connection, wearer: str) -> Iterator[dict[str, Any]]:
    """The recorded lines about a wearer, by run and place in it; read in portions, in the caller's transaction."""
    yield from _rows(connection, "WHERE wearer = %s ORDER BY run, number", [wearer])


def lines_of_crime(connection: Connection, run: str, force: str, reference: str) -> Iterator[dict[str, Any]]:
    """The recorded lines about a crime in a run, whatever their verdict, in the run's order; read in portions."""
    where = "WHERE run = %s AND force = %s AND reference = %s ORDER BY number"
    yield from _rows(connection, where, [run, force, reference])


def has_lines(connection: Connection, wearer: str) -> bool:
    """Whether any recorded line is about a wearer."""
    return connection.execute("SELECT FROM run_result WHERE wearer = %s LIMIT 1", [wearer]).fetchone() is not None


def _rows(connection: Connection, where: str, values: list[str]) -> Iterator[dict[str, Any]]:
    with connection.cursor("held_lines", row_factory=dict_row) as cursor:
        cursor.itersize = 1_000
        cursor.execute(f"SELECT * FROM run_result {where}".encode(), values)
        yield from cursor
