"""A monitor that tells of zones and curfews only: scenes of places need not count what the device itself is found to do."""

from __future__ import annotations

import tagwatch.monitor
from alerts.alert import Alert
from engine.trail import Trail
from tagwatch.device_watch import DeviceWatch
from tagwatch.monitor import Conditions
from tagwatch.wearing import Wearing


class Monitor(tagwatch.monitor.Monitor):
    """The monitor without device findings."""

    def __init__(self, conditions: Conditions) -> None:
        super().__init__(conditions)
        self._devices = _Silent(Wearing(conditions.activations, conditions.plan))


class _Silent(DeviceWatch):
    def alerts(self, trail: Trail, as_of_us: int, since_us: int, due: list[int]) -> list[Alert]:
        return []
