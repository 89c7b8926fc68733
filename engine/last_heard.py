"""When devices were last heard of, while they were worn."""

from __future__ import annotations

from collections.abc import Sequence

from engine.activations import FOREVER_US, Activation
from engine.database import Connection
from engine.times import LATEST_US, SECOND_US

_HEARD = """
SELECT n.k, greatest(
    (SELECT f.received_s FROM fix f WHERE f.device_id = d.device_id AND f.time_s >= n.since_s AND f.time_s < n.until_s
     ORDER BY f.time_s DESC LIMIT 1),
    (SELECT floor(extract(epoch FROM e.received))::bigint FROM device_event e WHERE e.device_id = d.device_id
     AND e.time >= to_timestamp(n.since_s) AND e.time < to_timestamp(n.until_s) ORDER BY e.time DESC LIMIT 1)) * 1000000
FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) WITH ORDINALITY n (name, since_s, until_s, k)
JOIN device d USING (name)
"""
_FIRST_US = 0


def last_heard(connection: Connection, worn: Sequence[Activation]) -> dict[Activation, int]:
    """When the newest fix or event of each activation arrived [us UTC]; nothing for one that never sent any."""
    since = [max(row.from_us, _FIRST_US) // SECOND_US for row in worn]
    until = [(LATEST_US if row.to_us == FOREVER_US else row.to_us) // SECOND_US for row in worn]
    rows = connection.execute(_HEARD, [[row.device for row in worn], since, until])
    return {worn[k - 1]: at for k, at in rows if at is not None}
