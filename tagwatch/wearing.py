"""Who wears what: fixes and events of devices to wearers, with the reporting plan of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activation, Activations
from engine.error_model import device_model, number_of
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.trail import Arranged, Packed, Piece, Trail, arrange
from geofence.schedule import Interval, merged

_FEW = 1024
"""Rows a wearer below which a batch is packed."""


class Assigned(NamedTuple):
    """Fixes of each wearer in event-time order, and what was left out: duplicates, and fixes that nobody's device sent."""

    pieces: dict[str, Piece]
    n_duplicates: int = 0
    n_unassigned: int = 0


class Wearing:
    """The activations, or, where there are none, every device on a wearer of its own name by one plan."""

    def __init__(self, activations: Activations, plan: Activation) -> None:
        self.number: dict[str, int] = {}
        """Of each device its index in `devices`."""
        self.devices: tuple[str, ...] = ()
        self.revise(activations, plan)

    def revise(self, activations: Activations, plan: Activation) -> None:
        """Make these the activations; device numbers stay as they are."""
        self._activations, self._plan = activations, plan
        self.rows = activations.rows
        rows = self.rows or (plan,)
        self._percentile = np.array([row.percentile for row in rows])
        self._silence_us = np.array([row.silence_us for row in rows], np.int64)
        self._model = np.array([number_of(device_model(row.model, row.percentile)) for row in rows], np.uint8)
        self._names = sorted({row.wearer for row in self.rows})
        number = {name: k for k, name in enumerate(self._names)}
        self._wearer = np.array([number[row.wearer] for row in self.rows], np.int32)
        self._by_device: dict[str, list[Activation]] = {}
        self._by_wearer: dict[str, list[Activation]] = {}
        for row in self.rows:
            self._by_device.setdefault(row.device, []).append(row)
            self._by_wearer.setdefault(row.wearer, []).append(row)
        self.monitored = {w: merged((r.from_us, r.to_us) for r in worn) for w, worn in self._by_wearer.items()}

    def assign(self, fixes: Fixes) -> Assigned:
        """The fixes of each wearer, arranged and without duplicates."""
        arranged, wearer, n_duplicates, n_unassigned = self.arrange(fixes)
        if not len(arranged):
            return Assigned({}, 0, n_unassigned)
        starts = np.flatnonzero(np.diff(wearer, prepend=-1))
        cuts = zip(starts.tolist(), [*starts[1:].tolist(), len(wearer)], strict=True)
        # many small pieces are cut from a packed batch: 4 cuts each instead of one a column
        rows: Piece = Packed.of(arranged) if len(starts) > 1 and len(arranged) < _FEW * len(starts) else arranged
        pieces = {self.names[int(wearer[start])]: rows.take(slice(start, stop)) for start, stop in cuts}
        return Assigned(pieces, n_duplicates, n_unassigned)

    @property
    def names(self) -> Sequence[str]:
        """The wearers by the numbers that `arrange` gives."""
        return self._names or self.devices

    def arrange(self, fixes: Fixes) -> tuple[Arranged, NDArray[np.int32], int, int]:
        """All fixes in the order of wearers and time, the number of each one's wearer (n,), and how many were left out:
        duplicates, and fixes that nobody's device sent."""
        fixes = self.with_own_devices(fixes)
        activation = self._activations.of_fixes(fixes) if self.rows else fixes.device
        known = activation >= 0
        n_unassigned = int(np.count_nonzero(~known))
        if n_unassigned:
            fixes, activation = fixes.take(known), activation[known]
        which = activation if self.rows else np.zeros(len(fixes), np.int32)
        wearer = self._wearer[activation] if self.rows else activation
        arranged, wearer, n_duplicates = arrange(
            fixes, wearer, self._percentile[which], self._silence_us[which], self._model[which]
        )
        return arranged, wearer, n_duplicates, n_unassigned

    def with_own_devices(self, fixes: Fixes) -> Fixes:
        """The fixes with device numbers that index `devices`: the same for every batch."""
        if fixes.devices == self.devices:
            return fixes
        number, before = self.number, len(self.number)
        mapping = np.array([number.setdefault(name, len(number)) for name in fixes.devices], np.int32)
        if len(number) != before:
            self.devices = tuple(number)
        columns = {name: fixes.column(name) for name in Fixes.__slots__ if name not in ("devices", "device")}
        return Fixes(self.devices, device=mapping[fixes.device], **columns)

    def wearer_of(self, event: DeviceEvent) -> str | None:
        """Who wore the device at the event's time, None where nobody did."""
        if not self.rows:
            return event.device
        worn = self._by_device.get(event.device, ())
        return next((row.wearer for row in worn if row.from_us <= event.time_us < row.to_us), None)

    def worn_by(self, wearer: str) -> list[Activation]:
        """The activations of a wearer; without any, one of the device of his name by the plan."""
        if self.rows:
            return self._by_wearer.get(wearer, [])
        return [self._plan._replace(device=wearer, wearer=wearer)]

    def devices_of(self, wearers: Iterable[str]) -> list[str]:
        """The devices that these wearers wear or wore."""
        if not self.rows:
            return sorted(wearers)
        return sorted({row.device for wearer in wearers for row in self._by_wearer.get(wearer, ())})

    def monitored_intervals(self, trail: Trail) -> list[Interval]:
        """When a wearer wore an activated device; without activations, from the first fix on."""
        if self.rows:
            return self.monitored.get(trail.wearer, [])
        return [(int(trail.column("time_us")[0]), 2**62)] if len(trail) else []
