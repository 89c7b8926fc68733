"""What was stored by somebody else than the running service, who has to hear of it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.database import Connection


def note_import(connection: Connection, devices: Sequence[str]) -> None:
    """Fixes or events of these devices are stored by this transaction, and not by the service."""
    connection.execute("INSERT INTO fix_import (devices) VALUES (%s)", [sorted(set(devices))])


def imports_since(connection: Connection, number: int) -> tuple[int, set[str]]:
    """The number of the last import, and the devices of those after the one with `number`."""
    rows = connection.execute(
        "SELECT number, devices FROM fix_import WHERE number > %s ORDER BY number", [number]
    ).fetchall()
    return (rows[-1][0] if rows else number), {device for _, devices in rows for device in devices}
