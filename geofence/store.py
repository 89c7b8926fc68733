"""Configuration in the database: zones, curfews, activations, wearers and teams, one row a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.database import Connection
from engine.times import to_datetime
from geofence.zone import version_of

KINDS = ("zone", "curfew", "activation", "wearer", "team")


def import_rows(connection: Connection, kind: str, rows: Mapping[str, Any], now_us: int) -> dict[str, int]:
    """Make these contents (by id) the ones that hold from now on; others of the kind stay. Returns counts."""
    held = current(connection, kind)
    counts = {"new": 0, "changed": 0, "same": 0}
    for name, content in rows.items():
        version = version_of(content)
        if name in held and held[name][0] == version:
            counts["same"] += 1
            continue
        counts["changed" if name in held else "new"] += 1
        now = to_datetime(now_us)
        connection.execute(
            "UPDATE configuration SET replaced = %s WHERE kind = %s AND id = %s AND replaced IS NULL", (now, kind, name)
        )
        connection.execute(
            "INSERT INTO configuration (kind, id, version, content, since) VALUES (%s, %s, %s, %s, %s)",
            (kind, name, version, json.dumps(content), now),
        )
    return counts


def current(connection: Connection, kind: str) -> dict[str, tuple[str, Any]]:
    """The versions and contents that hold now, by id."""
    rows = connection.execute(
        "SELECT id, version, content FROM configuration WHERE kind = %s AND replaced IS NULL ORDER BY id", (kind,)
    )
    return {name: (version, content) for name, version, content in rows}
