"""Every version of configuration that is held about a person, also those that never held or were corrected since."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from engine.database import Connection

_ABOUT = (
    "SELECT * FROM configuration WHERE (kind, id) IN (SELECT kind, id FROM configuration WHERE"
    " (kind = 'wearer' AND id = %(w)s)"
    " OR (kind IN ('activation', 'curfew', 'proximity') AND %(w)s IN (content->>'wearer', content->>'protected'))"
    " OR (kind = 'zone' AND (content->'properties'->'wearers' @> to_jsonb(%(w)s::text)"
    " OR coalesce(content->'properties'->'wearers', '\"*\"') @> '\"*\"'))) ORDER BY kind, id, number"
)
_NAMES = (
    "SELECT id, content->>'name' FROM configuration WHERE kind = 'wearer'"
    " UNION SELECT content->>'wearer', NULL FROM configuration WHERE kind IN ('activation', 'curfew', 'proximity')"
    " UNION SELECT content->>'protected', NULL FROM configuration WHERE kind = 'proximity' ORDER BY 1, 2"
)
_CALLED = (
    "SELECT DISTINCT kind, id, coalesce(content->'properties'->>'name', content->>'name') FROM configuration"
    " WHERE kind IN ('zone', 'proximity') AND content IS NOT NULL ORDER BY 1, 2, 3"
)


def rows_about(connection: Connection, wearer: str) -> list[dict[str, Any]]:
    """The rows of the table about a wearer, by kind, id and order of reading; zones for all are about everybody."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ABOUT, {"w": wearer}).fetchall()


def activation_rows(connection: Connection, wearers: list[str]) -> list[dict[str, Any]]:
    """The rows of activations of these wearers, by id and order of reading."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = (
            "SELECT * FROM configuration WHERE kind = 'activation' AND id IN (SELECT id FROM configuration"
            " WHERE kind = 'activation' AND content->>'wearer' = ANY(%s)) ORDER BY id, number"
        )
        return cursor.execute(query, [wearers]).fetchall()


def names(connection: Connection) -> dict[str, set[str]]:
    """Every wearer whom any version of the configuration knows, with the names they have had."""
    found: dict[str, set[str]] = {}
    for wearer, name in connection.execute(_NAMES):
        if wearer:
            found.setdefault(wearer, set()).update([name] if name else [])
    return found


def called(connection: Connection) -> list[tuple[str, str, str]]:
    """What zones and proximities are called in any version: kind, id, name; a name may give away whom they protect."""
    return [(kind, key, name) for kind, key, name in connection.execute(_CALLED) if name]
