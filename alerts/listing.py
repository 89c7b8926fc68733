"""Alerts in pages, the newest first, by keys: a walk meets every alert that was there when it began exactly once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from alerts.handling_store import instant
from alerts.queue_store import OPEN
from engine.database import Connection
from engine.times import to_datetime

Key = tuple[int, str]
"""When an alert was raised [us], and its identifier: what orders the list."""


class Sought(NamedTuple):
    """Which alerts are wanted; None for any. `since_us`: raised from then on."""

    wearers: Collection[str] | None = None
    is_open: bool | None = None
    rule: str | None = None
    grade: str | None = None
    since_us: int | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition, and its values."""
        parts = [_CHOSEN[name] for name, value in self._asdict().items() if name in _CHOSEN and value is not None]
        if self.is_open is not None:
            parts.append(OPEN if self.is_open else f"NOT ({OPEN})")
        given = {"wearers": None if self.wearers is None else list(self.wearers), "rule": self.rule, "grade": self.grade,
                 "since": None if self.since_us is None else to_datetime(self.since_us)}  # fmt: skip
        return " AND ".join(parts) or "true", given


_CHOSEN = {
    "wearers": "wearer = ANY(%(wearers)s)", "rule": "rule = %(rule)s", "grade": "grade = %(grade)s",
    "since_us": "raised_at >= %(since)s",
}  # fmt: skip


def keys_of(connection: Connection, sought: Sought, after: Key | None, most: int) -> list[Key]:
    """The keys of the alerts that are wanted, the newest first, at most so many after a key."""
    condition, given = sought.where()
    if after is not None:
        condition += " AND (raised_at, id) < (%(at)s, %(id)s)"
        given |= {"at": to_datetime(after[0]), "id": after[1]}
    query = (
        f"SELECT {instant('raised_at')}, id FROM alert WHERE {condition} ORDER BY raised_at DESC, id DESC LIMIT %(most)s"
    )
    return [(row[0], row[1]) for row in connection.execute(query.encode(), {**given, "most": most})]
