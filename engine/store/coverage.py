"""How much of each day was covered by fixes, as the daily summaries tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.database import Connection

MINUTES_A_DAY = 1440
_BY_DEVICE = """
SELECT day_s, name, 1, n_fixes::bigint, n_minutes::bigint, n_hours::bigint, gap_s::bigint
FROM fix_day JOIN device USING (device_id) WHERE day_s >= %(from)s AND day_s < %(to)s
AND name = ANY(%(devices)s) ORDER BY day_s, name
"""
_BY_DAY = """
SELECT day_s, '', count(*), sum(n_fixes)::bigint, sum(n_minutes)::bigint, sum(n_hours)::bigint, max(gap_s)::bigint FROM fix_day
WHERE day_s >= %(from)s AND day_s < %(to)s GROUP BY day_s ORDER BY day_s
"""


class Covered(NamedTuple):
    """A day (UTC) of a device, or of all (device empty): how many devices were heard of, fixes, minutes and hours with a fix,
    and the longest gap between two fixes of one hour [s]."""

    day_s: int
    device: str
    n_devices: int
    n_fixes: int
    n_minutes: int
    n_hours: int
    gap_s: int

    @property
    def share(self) -> float:
        """Minutes with a fix, of all minutes of the devices that were heard of."""
        return self.n_minutes / (self.n_devices * MINUTES_A_DAY)


def coverage(connection: Connection, from_s: int, to_s: int, devices: Sequence[str] = ()) -> list[Covered]:
    """The days that begin in [from_s, to_s), as far as hours are summarised; one row a day, or one a day and device."""
    query = _BY_DEVICE if devices else _BY_DAY
    rows = connection.execute(query.encode(), {"from": from_s, "to": to_s, "devices": list(devices)})
    return [Covered(*row) for row in rows]
