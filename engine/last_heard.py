"""When devices were last heard of, while they were worn."""

from __future__ import annotations

from collections.abc import Sequence

from engine.activations import FOREVER_US, Activation
from engine.database import Connection
from engine.times import LATEST_US, to_datetime

_HEARD = """
SELECT n.k, (extract(epoch FROM greatest(
    (SELECT f.received FROM fix f WHERE f.device_id = d.device_id AND f.time >= n.since AND f.time < n.until
     ORDER BY f.time DESC LIMIT 1),
    (SELECT e.received FROM device_event e WHERE e.device_id = d.device_id AND e.time >= n.since AND e.time < n.until
     ORDER BY e.time DESC LIMIT 1))) * 1000000)::bigint
FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY n (name, since, until, k)
JOIN device d USING (name)
"""
_FIRST_US = 0


def last_heard(connection: Connection, worn: Sequence[Activation]) -> dict[Activation, int]:
    """When the newest fix or event of each activation arrived [us UTC]; nothing for one that never sent any."""
    since = [to_datetime(max(row.from_us, _FIRST_US)) for row in worn]
    until = [to_datetime(LATEST_US if row.to_us == FOREVER_US else row.to_us) for row in worn]
    rows = connection.execute(_HEARD, [[row.device for row in worn], since, until])
    return {worn[k - 1]: at for k, at in rows if at is not None}
