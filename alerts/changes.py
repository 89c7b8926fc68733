"""The change feed: every new version and every action of an alert, by a number that the database gives in commit order.

Who has read up to a number has missed nothing before it; so a reader that comes back says where it was and goes on from there.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.database import Connection

CHANNEL = "alert_changed"
"""What is notified with every commit that changes an alert; without content."""
RETURNING = ("escalate", "return", "change", "unshelve", "reopen")
"""Actions after which an alert waits for somebody again."""
KEPT = 200_000
"""How many changes are kept for readers that come back."""

_AFTER = (
    "SELECT c.number, c.alert_id, a.wearer, a.grade, c.kind, c.version, c.action FROM alert_change c"
    " LEFT JOIN alert a ON a.id = c.alert_id WHERE c.number > %s ORDER BY c.number LIMIT %s"
)
_BOUNDS = (
    "SELECT coalesce((SELECT number - 1 FROM alert_change ORDER BY number LIMIT 1), 0),"
    " coalesce((SELECT number FROM alert_change ORDER BY number DESC LIMIT 1), 0)"
)


class Change(NamedTuple):
    """One change; kind is `raised`, `version`, or that of the action; wearer and grade are None where the alert is gone."""

    number: int
    alert_id: str
    wearer: str | None
    grade: str | None
    kind: str
    version: int
    action: int

    @property
    def calls(self) -> bool:
        """Whether somebody is called by it: an alert is new, or waits again."""
        return self.kind == "raised" or self.kind in RETURNING


class Bounds(NamedTuple):
    """Changes with `since` < number <= `newest` are kept."""

    since: int
    newest: int

    def holds(self, number: int) -> bool:
        """Whether all that came after this number can still be read; not so for a number of another database."""
        return self.since <= number <= self.newest


def read_changes(connection: Connection, after: int, most: int) -> list[Change]:
    """The changes after a number, at most so many, in order."""
    return [Change(*row) for row in connection.execute(_AFTER, [after, most])]


def bounds(connection: Connection) -> Bounds:
    """Which changes are kept."""
    row = connection.execute(_BOUNDS).fetchone()
    return Bounds(*row) if row else Bounds(0, 0)


def listen(connection: Connection) -> None:
    """Have this connection told of changes; it must be in autocommit."""
    connection.execute(f"LISTEN {CHANNEL}".encode())


def forget(connection: Connection, kept: int = KEPT) -> None:
    """Forget all but the newest changes; the alerts themselves and their history stay."""
    connection.execute("DELETE FROM alert_change WHERE number <= (SELECT max(number) FROM alert_change) - %s", [kept])
