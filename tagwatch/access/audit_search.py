"""Searching the audit log: by actor, subject, action and time, the newest first. What is found is shown as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from engine.database import Connection
from engine.times import from_datetime, to_datetime
from tagwatch.access.audit import Row

_COLUMNS = "SELECT number, at, actor, roles, via, action, subject, reason, case_ref, detail, hash FROM audit_entry"
_NOTHING_BEFORE = 2**62


class Search(NamedTuple):
    """What is looked for; empty or None means anything. `subject` is also looked for among what the detail names; `actors`
    bounds whose rows may be seen at all."""

    actor: str = ""
    subject: str = ""
    action: str = ""
    actions: Sequence[str] = ()
    from_us: int | None = None
    to_us: int | None = None
    actors: Sequence[str] | None = None


def found_rows(connection: Connection, search: Search, *, before: int | None = None, most: int = 100) -> list[Row]:
    """Rows that a search finds, the newest first; `before` is a number from which on they are left out."""
    where, given = _where(search)
    given |= {"before": before or _NOTHING_BEFORE, "most": most}
    query = f"{_COLUMNS} WHERE number < %(before)s{where} ORDER BY number DESC LIMIT %(most)s"
    return [_row(row) for row in connection.execute(query.encode(), given)]


def each_row(connection: Connection, search: Search) -> Iterator[Row]:
    """Every row that a search finds, oldest first, in the caller's transaction."""
    where, given = _where(search)
    with connection.cursor("audit_search") as cursor:
        cursor.itersize = 5_000
        cursor.execute(f"{_COLUMNS} WHERE true{where} ORDER BY number".encode(), given)
        yield from map(_row, cursor)


def actions_of(connection: Connection) -> list[str]:
    """Every action that the log knows, in order."""
    return [row[0] for row in connection.execute("SELECT DISTINCT action FROM audit_entry ORDER BY action")]


def _where(search: Search) -> tuple[str, dict[str, Any]]:
    parts = {
        "actor": "actor = %(actor)s", "action": "action = %(action)s", "actions": "action = ANY(%(actions)s)",
        "subject": "(subject = %(subject)s OR position(%(quoted)s in detail) > 0)",
        "from_us": "at >= %(from_us)s", "to_us": "at < %(to_us)s", "actors": "actor = ANY(%(actors)s)",
    }  # fmt: skip
    asked = search._asdict().items()
    given = {name: value for name, value in asked if value is not None and (value or name == "actors")}
    told: dict[str, Any] = dict(given)
    for name in given.keys() & {"from_us", "to_us"}:
        told[name] = to_datetime(given[name])
    for name in given.keys() & {"actions", "actors"}:
        told[name] = list(given[name])
    told["quoted"] = msgspec.json.encode(search.subject).decode()
    return "".join(f" AND {parts[name]}" for name in given), told


def _row(row: tuple[Any, ...]) -> Row:
    return Row(row[0], from_datetime(row[1]), *row[2:])
