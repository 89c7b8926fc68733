"""Device events: what a tag says of itself (strap, battery, power, motion, jamming).

`disconnected` alone is not the device's own word: the broker says that it lost the connection (an OwnTracks last will). Its
time is the will's, when that connection had been made; when it was lost is `received_s`.
"""

from __future__ import annotations

from typing import NamedTuple

EVENT_KINDS = (
    "strap_tamper", "case_tamper", "battery", "charging", "power_off", "power_on", "motion", "no_motion", "jamming",
    "gps_lost", "gps_found", "heartbeat", "fault", "disconnected",
)  # fmt: skip


class DeviceEvent(NamedTuple):
    """One event of a device: time [us UTC], kind (one of EVENT_KINDS), value as sent (battery percentage, fault code)."""

    device: str
    time_us: int
    kind: str
    value: str = ""
    received_s: int = 0
