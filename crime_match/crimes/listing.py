"""Crimes in pages, by force and reference: a walk meets every crime that was there when it began exactly once."""

from __future__ import annotations

from crime_match.crimes.store import STORED, Choice, Key, Version, version_of_row
from engine.database import Connection


def crimes_after(connection: Connection, choice: Choice, after: Key | None, most: int) -> list[Version]:
    """The latest version of the crimes that are asked for, at most so many after a force and reference."""
    condition, values = choice.where()
    if after is not None:
        condition += " AND (c.force, c.reference) > (%(after_force)s, %(after_reference)s)"
        values |= {"after_force": after[0], "after_reference": after[1]}
    query = f"SELECT {', '.join(STORED)} FROM crime c WHERE {condition} ORDER BY c.force, c.reference LIMIT %(most)s"
    return [version_of_row(row) for row in connection.execute(query.encode(), {**values, "most": most})]
