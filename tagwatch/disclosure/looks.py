"""Who looked at whom, searched, exported or changed something, and why: rows of the audit log about a person or a case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from psycopg.rows import dict_row

from engine.database import Connection

COLUMNS = {
    "number": "number of the row in the audit log", "at": "when (UTC)", "actor": "who: a login, or os: and the machine's user",
    "roles": "in which roles", "via": "by which way: console, api or command", "action": "what was done",
    "subject": "whom or what it was about", "reason": "why, as they gave it", "case_ref": "for which case, as they gave it",
    "detail": "further details (JSON)",
}  # fmt: skip
_ABOUT = (
    "SELECT number, at, actor, roles, via, action, subject, reason, case_ref, detail FROM audit_entry WHERE number <= %(until)s"
    " AND (subject = %(name)s OR (%(is_case)s AND case_ref = %(name)s) OR position(%(quoted)s in detail) > 0) ORDER BY number"
)


def last_before(connection: Connection, action: str, subject: str, actor: str) -> int:
    """The number of the row before the one that says that this disclosure was asked for."""
    row = connection.execute(
        "SELECT coalesce(max(number), 1) - 1 FROM audit_entry WHERE action = %s AND subject = %s AND actor = %s",
        [action, subject, actor],
    ).fetchone()
    return int(row[0]) if row else 0


def looks_at(connection: Connection, wearer: str, until: int) -> Iterator[dict[str, Any]]:
    """The rows about a wearer, or whose detail names the wearer, oldest first, `detail` as JSON has it."""
    yield from _rows(connection, {"name": wearer, "is_case": False, "until": until})


def looks_for(connection: Connection, force: str, reference: str, until: int) -> Iterator[dict[str, Any]]:
    """The rows about a crime or for a case of that reference, but those whose detail names another force."""
    for row in _rows(connection, {"name": reference, "is_case": True, "until": until}):
        asked = row["detail"].get("asked") or row["detail"]
        named = asked.get("force") if isinstance(asked, dict) else None
        if not isinstance(named, str) or named in ("", force):
            yield row


def _rows(connection: Connection, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    quoted = msgspec.json.encode(given["name"]).decode()
    with connection.cursor("looks", row_factory=dict_row) as cursor:
        cursor.itersize = 1_000
        cursor.execute(_ABOUT.encode(), {**given, "quoted": quoted})
        for row in cursor:
            yield {**row, "detail": msgspec.json.decode(row["detail"])}
