"""Counts of the ledger and the outbox, for figures and for the doctor. Nothing here writes, and nothing names anybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from alerts.queue_store import OPEN
from engine.database import Connection
from engine.times import from_datetime, to_datetime

_ALERTS = "SELECT condition, rule, grade, count(*) FROM alert GROUP BY 1, 2, 3"
_OUTBOX = "SELECT split_part(channel, ':', 1), status, count(*) FROM outbox GROUP BY 1, 2"
_MADE = (  # when it was made, not when it is due again
    "SELECT split_part(o.channel, ':', 1), min(coalesce(o.noticed, v.as_of)), count(*) FROM outbox o"
    " JOIN alert_version v ON v.id = o.alert_id AND v.version = o.version WHERE o.status = 'pending' GROUP BY 1"
)
_STANDING = (
    "SELECT count(*), count(*) FILTER (WHERE condition = 'active' AND began < %s),"
    f" count(*) FILTER (WHERE handling IN ('new', 'escalated')) FROM alert WHERE {OPEN}"
)


class Standing(NamedTuple):
    """Alerts that are open: all, those active for too long, those that nobody has in hand."""

    n_open: int
    n_stale: int
    n_waiting: int


class Pending(NamedTuple):
    """Deliveries of a kind of channel that wait, and when the oldest of them was made [us]."""

    kind: str
    oldest_us: int
    n_deliveries: int


def count_alerts(connection: Connection) -> list[tuple[str, str, str, int]]:
    """(condition, rule, grade, how many) of all alerts ever raised."""
    return [(*row,) for row in connection.execute(_ALERTS)]


def count_standing(connection: Connection, stale_before_us: int) -> Standing:
    """The alerts that are open; stale are those that hold since before an instant."""
    row = connection.execute(_STANDING.encode(), [to_datetime(stale_before_us)]).fetchone()
    return Standing(*row) if row else Standing(0, 0, 0)


def count_deliveries(connection: Connection) -> list[tuple[str, str, int]]:
    """(kind of channel, state, how many) of all deliveries."""
    return [(*row,) for row in connection.execute(_OUTBOX)]


def pending_deliveries(connection: Connection) -> list[Pending]:
    """By kind of channel, what waits."""
    return [Pending(kind, from_datetime(at), n) for kind, at, n in connection.execute(_MADE)]


def count_dead(connection: Connection) -> int:
    """How many deliveries were given up."""
    row = connection.execute("SELECT count(*) FROM outbox WHERE status = 'dead'").fetchone()
    return int(row[0]) if row else 0


def not_served(pending: Iterable[Pending], kinds: Iterable[str]) -> list[Pending]:
    """What waits for a kind of channel that is none of these."""
    known = {*kinds}
    return [one for one in pending if one.kind not in known]
