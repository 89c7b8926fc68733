"""What people did with alerts: the present against the fold of the actions, and each action against the audit log."""

from __future__ import annotations

from collections import Counter

from alerts.handling import SYSTEM, apply, unhandled
from alerts.handling_store import actions, one
from engine.database import Connection
from engine.times import from_datetime
from tagwatch.comparison.difference import Compared

_ACTS = "SELECT alert_id, kind, actor FROM handling_action WHERE actor <> %s"
_AUDITED = "SELECT detail::jsonb ->> 'alert', substr(action, 8), actor FROM audit_entry WHERE action LIKE 'alert: %%'"
_HANDLED = (
    "SELECT a.id, a.raised_at FROM alert a WHERE a.handling_version > 0 OR EXISTS"
    " (SELECT FROM handling_action h WHERE h.alert_id = a.id) ORDER BY a.id"
)


def compare_acts(connection: Connection) -> Compared:
    """Handling that does not follow from the actions; actions of people that the audit log does not know, and the contrary."""
    found = Compared()
    with connection.transaction():
        for identifier, raised in connection.execute(_HANDLED.encode()).fetchall():
            found.counts["handled alerts"] += 1
            _look_at(connection, identifier, from_datetime(raised), found)
        done = Counter(connection.execute(_ACTS.encode(), [SYSTEM]).fetchall())
        audited = Counter(connection.execute(_AUDITED.encode()).fetchall())
        alive = {row[0] for row in connection.execute("SELECT id FROM alert")}
    found.counts["actions of people"] = done.total()
    for (alert, kind, actor), n in sorted((done - audited).items()):
        found.differs(
            "action in no audit row", f"alert {alert}", f"{n} times {kind!r} by {actor}: the audit log does not know it"
        )
    for (alert, kind, actor), n in sorted((audited - done).items()):
        if alert in alive:
            found.differs(
                "action not stored", f"alert {alert}", f"{n} times {kind!r} by {actor}: the audit log tells of it"
            )
    return found


def _look_at(connection: Connection, identifier: str, raised_us: int, found: Compared) -> None:
    own = [done for done in actions(connection, identifier) if done.alert_id == identifier]
    standing = one(connection, identifier)
    if [done.number for done in own] != [*range(1, len(own) + 1)]:
        found.differs("actions with a gap", f"alert {identifier}", "its actions are not numbered one by one")
        return
    handling = unhandled(raised_us)
    for done in own:
        handling = apply(handling, done.action)
        if handling.state != done.state:
            told = f"action {done.number} is said to have led to {done.state!r}, it leads to {handling.state!r}"
            found.differs("handling not as done", f"alert {identifier}", told)
    if standing is not None and handling != standing.handling:
        found.differs("handling not as done", f"alert {identifier}", "its state is not what its actions lead to")
