"""Erasing what the configuration says of a wearer; every write belongs to the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.database import Connection

_NAMES = (
    "({0}kind = 'wearer' AND {0}id = %(w)s OR {0}kind IN ('activation', 'curfew') AND {0}content->>'wearer' = %(w)s"
    " OR {0}kind = 'zone' AND {0}content->'properties'->'wearers' @> to_jsonb(ARRAY[%(w)s::text])"
    " OR {0}kind = 'proximity' AND %(w)s IN ({0}content->>'wearer', {0}content->>'protected'))"
)
_ALONE = (
    "(c.kind <> 'proximity' AND (c.kind <> 'zone' OR c.content->'properties'->'wearers' = to_jsonb(ARRAY[%(w)s::text])))"
)
_ABOUT = (
    f"SELECT c.kind, c.id, bool_and(c.content IS NULL OR {_NAMES.format('c.')} AND {_ALONE}) FROM configuration c"
    " WHERE (c.kind, c.id) IN"
    f" (SELECT n.kind, n.id FROM configuration n WHERE {_NAMES.format('n.')}) GROUP BY 1, 2 ORDER BY 1, 2"
)

Key = tuple[str, str]
"""Kind and id."""


class About(NamedTuple):
    """What names a wearer: `own` is about nobody else in any version, `shared` names others too."""

    own: list[Key]
    shared: list[Key]


def about(connection: Connection, wearer: str) -> About:
    """The configuration that names a wearer in any of its versions."""
    rows = connection.execute(_ABOUT.encode(), {"w": wearer}).fetchall()
    return About([(kind, name) for kind, name, own in rows if own], [(kind, name) for kind, name, own in rows if not own])


def erase_configuration(connection: Connection, keys: Sequence[Key]) -> int:
    """Erase every version of these; returns how many rows that were."""
    rows = connection.execute(
        "DELETE FROM configuration WHERE (kind, id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
        [[kind for kind, _ in keys], [name for _, name in keys]],
    )
    return rows.rowcount
