"""The device events that tell whether a tag vouches for its wearer in a window, without reading the years before it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.database import Connection
from engine.events import DeviceEvent
from engine.times import to_datetime

_QUERY = """
WITH power AS (
    SELECT DISTINCT ON (device_id) device_id, time, kind FROM device_event
    WHERE kind IN ('power_off', 'power_on') AND time <= %(start)s ORDER BY device_id, time DESC, kind DESC
), telling AS (
    SELECT device_id, time, kind FROM device_event WHERE kind = 'strap_tamper' AND time <= %(until)s
    UNION ALL
    SELECT device_id, time, kind FROM device_event
    WHERE kind = 'fault' AND time >= %(since)s AND time <= %(end)s
    UNION ALL
    SELECT device_id, time, kind FROM device_event
    WHERE kind = 'power_off' AND time >= %(start)s AND time <= %(end)s
    UNION ALL
    SELECT device_id, time, kind FROM power WHERE kind = 'power_off' AND time < %(start)s
)
SELECT name, (extract(epoch FROM time) * 1000000)::bigint, kind FROM telling JOIN device USING (device_id)
"""


def read_telling(
    connection: Connection, *, since_us: int, start_us: int, end_us: int, until_us: int
) -> list[tuple[str, int, str]]:  # fmt: skip
    """Device, time [us] and kind of what may keep a tag from vouching in the window [start_us, end_us], of all devices: every
    strap tamper up to until_us; a fault from since_us on, which is before the window; a power_off in the window, or before it
    where no power_on followed until the window began."""
    bounds = {"since": since_us, "start": start_us, "end": end_us, "until": until_us}
    rows = connection.execute(_QUERY.encode(), {name: to_datetime(time_us) for name, time_us in bounds.items()})
    return [(name, time_us, kind) for name, time_us, kind in rows]


def read_telling_of(connection: Connection, devices: Sequence[str]) -> list[DeviceEvent]:
    """All events of these kinds of some devices, oldest first."""
    rows = connection.execute(
        "SELECT d.name, (extract(epoch FROM e.time) * 1000000)::bigint, e.kind, e.value,"
        " floor(extract(epoch FROM e.received))::bigint FROM device d JOIN device_event e USING (device_id)"
        " WHERE d.name = ANY(%s) AND e.kind IN ('strap_tamper', 'power_off', 'power_on', 'fault')"
        " ORDER BY e.time, d.name, e.kind, e.value",
        [list(devices)],
    )
    return [DeviceEvent(*row) for row in rows]
