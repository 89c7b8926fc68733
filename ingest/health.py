"""What a person sees of what comes in: the newest fix of every device, and what was quarantined of late. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.database import Connection
from engine.times import SECOND_US, to_datetime

_NEWEST = (
    "SELECT d.name, f.time_s * 1000000 + f.rest_us, f.received_s * 1000000"
    " FROM device d LEFT JOIN LATERAL (SELECT time_s, rest_us, received_s FROM fix WHERE fix.device_id = d.device_id"
    " ORDER BY time_s DESC, rest_us DESC LIMIT 1) f ON true ORDER BY f.time_s NULLS FIRST, f.rest_us, d.name"
)
_QUARANTINED = (
    "SELECT reason, device, count(*), (extract(epoch FROM max(received)) * 1000000)::bigint FROM quarantine"
    " WHERE received >= %s GROUP BY reason, device"
)
_NEWEST_SINCE = (
    "SELECT d.name, f.time_s FROM device d JOIN LATERAL (SELECT time_s FROM fix WHERE fix.device_id = d.device_id"
    " AND time_s >= %s ORDER BY time_s DESC LIMIT 1) f ON true WHERE d.name = ANY(%s)"
)


class Heard(NamedTuple):
    """A device, and when its newest fix was taken and came [us]; None where it never sent one."""

    device: str
    time_us: int | None
    received_us: int | None


class Quarantined(NamedTuple):
    """How many payloads of one device were not taken for one reason, and when the last one came [us]."""

    reason: str
    device: str
    n_payloads: int
    last_us: int


def newest_of_devices(connection: Connection) -> list[Heard]:
    """Every device, the one that is silent for longest first."""
    return [Heard(*row) for row in connection.execute(_NEWEST)]


def quarantined_since(connection: Connection, since_us: int) -> list[Quarantined]:
    """What was quarantined from an instant on, by reason and device."""
    return [Quarantined(*row) for row in connection.execute(_QUARANTINED, [to_datetime(since_us)])]


def newest_since(connection: Connection, devices: Sequence[str], since_us: int) -> dict[str, int]:
    """By device, the time of its newest fix [us], of those that have one from an instant on."""
    rows = connection.execute(_NEWEST_SINCE, [since_us // SECOND_US, list(devices)])
    return {name: time_s * SECOND_US for name, time_s in rows}
