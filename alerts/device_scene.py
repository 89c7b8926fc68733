"""What the device rules look at: the fixes and events of one device on one wearer, as of an instant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.alert import GRADES
from alerts.device_memory import NOTHING, DeviceMemory, Place
from engine import flags
from engine.activations import Activation
from engine.events import DeviceEvent
from engine.times import HOUR_US, MINUTE_US
from engine.trail import Trail


class DeviceSettings(NamedTuple):
    """Thresholds of the device rules: percent, points of percent, microseconds; grades by rule."""

    low_pct: int = 20
    critical_pct: int = 10
    clear_points: int = 5
    no_charge_us: int = HOUR_US
    merge_gap_us: int = 30 * MINUTE_US
    grades: Mapping[str, str] = GRADES

    @property
    def well_pct(self) -> int:
        """The level from which on nothing is wrong with a battery."""
        return self.low_pct + self.clear_points


class Rows(NamedTuple):
    """Columns of one device's fixes, each of shape (n,), in event-time order; names and units as in `engine.fixes`."""

    time_us: NDArray[Any]
    received_s: NDArray[Any]
    flags: NDArray[Any]
    lat_e7: NDArray[Any]
    lon_e7: NDArray[Any]
    accuracy_cm: NDArray[Any]
    source: NDArray[Any]
    satellites: NDArray[Any]
    battery_pct: NDArray[Any]

    @classmethod
    def of(cls, trail: Trail, device: int, from_us: int, to_us: int) -> Rows:
        """The rows of a device (its number in the trail) in [from_us, to_us): views where nobody else's lie between."""
        low, high = np.searchsorted(trail.column("time_us"), (from_us, to_us))
        mine = trail.column("device")[low:high] == device
        where: Any = slice(int(low), int(high)) if mine.all() else np.flatnonzero(mine) + low
        return cls(*(trail.column(name)[where] for name in cls._fields))

    def part(self, start: int, stop: int) -> Rows:
        """The rows [start, stop)."""
        return Rows(*(column[start:stop] for column in self))

    def place(self, row: int) -> Place:
        """One row as an alert lists it."""
        return Place(
            int(self.time_us[row]), int(self.lat_e7[row]), int(self.lon_e7[row]),
            int(self.accuracy_cm[row]), int(self.source[row]),
        )  # fmt: skip


class DeviceScene(NamedTuple):
    """One activation as of an instant: rows and events in event-time order, and the memory of all before them.

    events are sorted by (time_us, kind, value). `since_us`: alerts that ended before it are not wanted. Rows dated after
    `as_of_us` may be among them: they count for contact and for the clock, which go by arrival.
    """

    wearer: str
    activation: Activation
    rows: Rows
    events: tuple[DeviceEvent, ...]
    as_of_us: int
    since_us: int = -(2**62)
    memory: DeviceMemory | None = None
    settings: DeviceSettings = DeviceSettings()


def arrange_events(events: Iterable[DeviceEvent]) -> dict[str, tuple[DeviceEvent, ...]]:
    """Events by device in the order (time_us, kind, value), each once with its earliest arrival."""
    first: dict[tuple[str, int, str, str], DeviceEvent] = {}
    for event in events:
        known = first.setdefault(event[:4], event)
        if event.received_s < known.received_s:
            first[event[:4]] = event
    found: dict[str, list[DeviceEvent]] = {}
    for key in sorted(first):
        found.setdefault(key[0], []).append(first[key])
    return {device: tuple(some) for device, some in found.items()}


def events_of(ordered: Sequence[DeviceEvent], from_us: int, to_us: int) -> tuple[DeviceEvent, ...]:
    """Those of one device's ordered events that are dated in [from_us, to_us)."""
    low, high = (bisect_left(ordered, at, key=lambda event: event.time_us) for at in (from_us, to_us))
    return tuple(ordered[low:high])


class Past:
    """A scene cut at its instant, once for all rules.

    `n`: rows that are past; `times` of those with weight, shape (m,); `weighty`: their row numbers, None where all are;
    `bits`: all flags of all rows together; `events` that are past.
    """

    __slots__ = ("before", "bits", "events", "n", "rows", "scene", "times", "weighty")

    def __init__(self, scene: DeviceScene) -> None:
        rows = self.rows = scene.rows
        self.scene, self.before, self.events = scene, scene.memory or NOTHING, scene.events
        n, as_of = len(rows.time_us), scene.as_of_us
        self.bits = int(np.bitwise_or.reduce(rows.flags)) if n else 0
        if n and rows.time_us[-1] > as_of:
            n = int(np.searchsorted(rows.time_us, as_of, side="right"))
        if self.events and self.events[-1].time_us > as_of:
            self.events = tuple(e for e in self.events if e.time_us <= as_of)
        self.n, self.weighty, self.times = n, None, rows.time_us[:n]
        if self.bits & flags.WEIGHTLESS:
            self.weighty = np.flatnonzero((rows.flags[:n] & flags.WEIGHTLESS) == 0)
            self.times = self.times[self.weighty]

    def weighty_place(self, k: int) -> Place:
        """The k-th fix with weight, from the end where negative."""
        return self.rows.place(int(self.weighty[k]) if self.weighty is not None else k % self.n)

    def place_at(self, time_us: int) -> Place | None:
        """The last fix with weight at or before an instant; None where there was none."""
        k = int(np.searchsorted(self.times, time_us, side="right"))
        return self.weighty_place(k - 1) if k else self.before.position.last
