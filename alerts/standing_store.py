"""What the ledger holds about wearers: open alerts by grade, and a wearer's alerts with their outcomes. Nothing here writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from alerts.alert import Alert, from_json
from alerts.queue_store import OPEN
from engine.database import Connection
from engine.times import to_datetime

_COUNTS = f"SELECT wearer, grade, count(*) FROM alert WHERE {OPEN} AND wearer = ANY(%s) GROUP BY 1, 2"
_ALERTS = (
    "SELECT id, handling, outcome, handled_by, content FROM alert WHERE wearer = %s AND condition <> 'retracted'"
    " AND began >= %s AND began < %s ORDER BY began DESC, id LIMIT %s"
)


class Told(NamedTuple):
    """One alert of the ledger with how it is handled; `outcome` is empty where nobody has said one."""

    id: str
    handling: str
    outcome: str
    handled_by: str
    alert: Alert


def open_by_wearer(connection: Connection, wearers: Sequence[str]) -> dict[str, Counter[str]]:
    """How many open alerts of each grade each of these wearers has; who has none is left out."""
    found: dict[str, Counter[str]] = {}
    for wearer, grade, n in connection.execute(_COUNTS.encode(), [list(wearers)]):
        found.setdefault(wearer, Counter())[grade] = n
    return found


def alerts_of(connection: Connection, wearer: str, from_us: int, to_us: int, most: int) -> list[Told]:
    """A wearer's alerts that began in [from_us, to_us), newest first, at most so many; retracted ones are left out."""
    rows = connection.execute(_ALERTS, [wearer, to_datetime(from_us), to_datetime(to_us), most])
    return [Told(name, state, outcome, by, from_json(content)) for name, state, outcome, by, content in rows]
