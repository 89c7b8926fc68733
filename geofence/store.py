"""Configuration in the database: zones, curfews, activations, wearers, teams and proximities, one row a version.

What was read is never changed. A version says from when on it holds; of two for one moment the one read later holds, so a
correction of the past is a version like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.database import Connection
from engine.times import to_datetime
from geofence.zone import FAR_US, version_of

KINDS = ("zone", "curfew", "activation", "wearer", "team", "proximity")
FACTS = ("activation", "wearer", "team")
"""Kinds whose last version holds for all time: a correction of a fact was true before it was known."""


class Held(NamedTuple):
    """A version and the moments [from_us, to_us) for which it holds; None is the content of something that was ended."""

    from_us: int
    to_us: int
    version: str
    content: Any


def import_rows(
    connection: Connection, kind: str, rows: Mapping[str, Any], now_us: int, from_us: int | None = None
) -> dict[str, int]:
    """Make these contents (by id) the ones that hold from an instant on; others of the kind stay. Returns counts.

    Without an instant a new one holds from the beginning, a changed one from now on; facts always from the beginning.
    """
    held = versions(connection, kind)
    counts = {"new": 0, "changed": 0, "same": 0}
    for name, content in rows.items():
        chain = held.get(name, [])
        version = version_of(content)
        last = chain[-1] if chain and chain[-1].content is not None else None
        start = -FAR_US if not chain or kind in FACTS else now_us
        start = start if from_us is None else from_us
        if last and last.version == version and (from_us is None or last.from_us <= from_us):
            counts["same"] += 1
            continue
        counts["changed" if last else "new"] += 1
        _write(connection, kind, name, (version, json.dumps(content)), now_us, start)
    return counts


def remove_rows(
    connection: Connection, kind: str, ids: Iterable[str], now_us: int, from_us: int | None = None
) -> dict[str, int]:
    """End these ids from an instant on (default: now; facts: as if they had never been). Returns counts."""
    held = versions(connection, kind)
    counts = {"removed": 0, "unknown": 0}
    for name in ids:
        chain = held.get(name, [])
        if not chain or chain[-1].content is None:
            counts["unknown"] += 1
            continue
        counts["removed"] += 1
        start = -FAR_US if kind in FACTS else now_us if from_us is None else from_us
        _write(connection, kind, name, ("", None), now_us, start)
    return counts


def versions(connection: Connection, kind: str) -> dict[str, list[Held]]:
    """By id the versions that hold, each for its own moments, oldest first, as known now."""
    rows = connection.execute(
        "SELECT id, version, content, coalesce((extract(epoch FROM holds_from) * 1000000)::bigint, %s)"
        " FROM configuration WHERE kind = %s ORDER BY id, number",
        (-FAR_US, kind),
    )
    chains: dict[str, list[Held]] = {}
    for name, version, content, from_us in rows:
        before = [h._replace(to_us=min(h.to_us, from_us)) for h in chains.get(name, []) if h.from_us < from_us]
        chains[name] = [*before, Held(from_us, FAR_US, version, content)]
    return chains


def current(connection: Connection, kind: str) -> dict[str, tuple[str, Any]]:
    """The last version and content of each id that was not ended."""
    chains = versions(connection, kind)
    return {name: (c[-1].version, c[-1].content) for name, c in chains.items() if c[-1].content is not None}


def last_number(connection: Connection) -> tuple[int, int]:
    """What is another one whenever something was imported: the last number given, and how many rows there are."""
    row = connection.execute("SELECT coalesce(max(number), 0), count(*) FROM configuration").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _write(
    connection: Connection, kind: str, name: str, what: tuple[str, str | None], now_us: int, from_us: int
) -> None:  # fmt: skip
    now = to_datetime(now_us)
    connection.execute(
        "UPDATE configuration SET replaced = %s WHERE kind = %s AND id = %s AND replaced IS NULL", (now, kind, name)
    )
    connection.execute(
        "INSERT INTO configuration (kind, id, version, content, since, holds_from) VALUES (%s, %s, %s, %s, %s, %s)",
        (kind, name, *what, now, None if from_us == -FAR_US else to_datetime(from_us)),
    )
