"""Everybody who is watched, and who their teams are, as the database holds them; read again only when they changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from engine.database import Connection
from engine.wearers import Wearer
from geofence.store import current, last_number


class People:
    """The wearers by identifier, and by team the names of its members."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number: tuple[int, int] | None = None
        self._held: tuple[dict[str, Wearer], dict[str, tuple[str, ...]]] = ({}, {})

    def read(self, connection: Connection) -> tuple[Mapping[str, Wearer], Mapping[str, tuple[str, ...]]]:
        """Wearers and teams as they are now."""
        with self._lock:
            number = last_number(connection)
            if number != self._number:
                wearers = {
                    name: Wearer(**{key: content.get(key, "") for key in Wearer._fields})
                    for name, (_, content) in current(connection, "wearer").items()
                }
                teams = {
                    name: tuple(member["name"] for member in content.get("members", ()))
                    for name, (_, content) in current(connection, "team").items()
                }
                self._held, self._number = (wearers, teams), number
            return self._held
