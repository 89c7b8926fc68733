"""The monitor: fixes in, the alerts that hold as of an instant out. Replay and the live service run this and nothing else.

It has no clock, no network and no database: the caller says what came and what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Alert
from alerts.crossing_rules import crossing_alerts
from alerts.curfew_rules import curfew_alerts
from alerts.evidence import Scene
from alerts.zone_rules import zone_alerts
from engine.activations import Activation, Activations
from engine.error_model import device_model, number_of
from engine.fixes import Fixes, concat
from engine.trail import Arranged, Trail, arrange
from geofence.check import FilterSettings
from geofence.curfew import Curfew
from geofence.episodes import speaks_at_us
from geofence.schedule import Interval, merged
from geofence.watch import Watch
from geofence.zone import Zone


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the wearers have to keep to, and who wears what; the plan holds for devices without an activation."""

    zones: Sequence[Zone] = ()
    curfews: Sequence[Curfew] = ()
    activations: Activations = field(default_factory=Activations)
    filter: FilterSettings = field(default_factory=FilterSettings)
    plan: Activation = field(default_factory=lambda: Activation("", "", -(2**62)))


@dataclass(slots=True)
class Taken:
    """What became of a batch: whose trails it touched, whose alerts may now be others (but for the length of those that go
    on), and the counts of what was not evaluated."""

    wearers: list[str]
    moved: list[str]
    n_duplicates: int = 0
    n_unassigned: int = 0
    n_ahead: int = 0


class Monitor:
    """Trails, states and rules of a set of wearers."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.watch = Watch(conditions.zones, conditions.curfews, conditions.filter)
        self.trails: dict[str, Trail] = {}
        self._rows = conditions.activations.rows
        self._device_number: dict[str, int] = {}
        self._devices: tuple[str, ...] = ()
        self._ahead: list[Fixes] = []
        self._settled: dict[str, dict[Any, Any]] = {}
        self._silent: set[str] = set()  # for whom silence had spoken when their alerts were last asked for
        self._monitored = self._activated()
        self._expect(sorted({c.wearer for c in conditions.curfews} & self._monitored.keys()))

    @property
    def devices(self) -> tuple[str, ...]:
        """The names that the trails' device columns index."""
        return self._devices

    def take(self, fixes: Fixes, as_of_us: int) -> Taken:
        """Merge a batch into the trails and bring the states up to date; fixes of the future wait until they are past."""
        batch, n_ahead = self._due_fixes(fixes, as_of_us)
        if not len(batch):
            return Taken([], [], n_ahead=n_ahead)
        batch = self._with_own_devices(batch)
        activation = self._activation(batch)
        known = activation >= 0
        n_unassigned = int(np.count_nonzero(~known))
        if n_unassigned:
            batch, activation = batch.take(known), activation[known]
        if not len(batch):
            return Taken([], [], n_unassigned=n_unassigned, n_ahead=n_ahead)
        names, wearer, percentile, silence_us, model = self._plan(activation)
        arranged, wearer, n_duplicates = arrange(batch, wearer, percentile, silence_us, model)
        trails, firsts, anew = [], [], set(self._silent)
        for name, piece in _pieces(arranged, wearer, names):
            trail = self.trails.setdefault(name, Trail(name))
            n_before = len(trail)
            first, n_again = trail.merge(piece)
            if first < n_before:
                self._settled.pop(name, None)
                anew.add(name)
            n_duplicates += n_again
            trails.append(trail)
            firsts.append(first)
        moved = self.watch.feed(trails, firsts) if trails else []
        return Taken(
            [t.wearer for t in trails], [t.wearer for t, m in zip(trails, moved, strict=True) if m or t.wearer in anew],
            n_duplicates, n_unassigned, n_ahead,
        )  # fmt: skip

    def alerts(self, wearer: str, as_of_us: int) -> tuple[list[Alert], int]:
        """The alerts of a wearer as of an instant, and the next instant at which they may change without new data."""
        trail = self.trails[wearer]
        found: list[Alert] = []
        due: list[int] = []
        settled = self._settled.setdefault(wearer, {})
        for slot in self.watch.slots(wearer):
            scene = Scene(slot, trail, self.watch, self._devices, as_of_us, settled)
            if slot.subject.kind == "curfew":
                found += curfew_alerts(scene, self._monitored_intervals(trail), due)
            else:
                found += zone_alerts(scene, due) + crossing_alerts(scene, due)
        spoken = any(as_of_us > speaks_at_us(slot, self.watch) for slot in self.watch.slots(wearer))
        (self._silent.add if spoken else self._silent.discard)(wearer)
        found.sort(key=lambda a: a.sort_key)
        return found, min((d for d in due if d > as_of_us), default=2**62)

    def _due_fixes(self, fixes: Fixes, as_of_us: int) -> tuple[Fixes, int]:
        waiting = concat([*self._ahead, fixes]) if self._ahead else fixes
        ahead = waiting.time_us > as_of_us
        n_ahead = int(np.count_nonzero(ahead))
        self._ahead = [waiting.take(ahead)] if n_ahead else []
        return (waiting.take(~ahead) if n_ahead else waiting), n_ahead

    def _with_own_devices(self, fixes: Fixes) -> Fixes:
        if fixes.devices == self._devices:
            return fixes
        number, before = self._device_number, len(self._device_number)
        mapping = np.array([number.setdefault(name, len(number)) for name in fixes.devices], np.int32)
        if len(number) != before:
            self._devices = tuple(number)
        columns = {name: fixes.column(name) for name in Fixes.__slots__ if name not in ("devices", "device")}
        return Fixes(self._devices, device=mapping[fixes.device], **columns)

    def _activation(self, fixes: Fixes) -> NDArray[np.int32]:
        return self.conditions.activations.of_fixes(fixes) if self._rows else fixes.device

    def _plan(
        self, activation: NDArray[np.int32]
    ) -> tuple[list[str], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8]]:
        """Names of the wearers, and for each fix its wearer's number, its percentile, its silence [us], its device model."""
        rows = self._rows or (self.conditions.plan,)
        percentile = np.array([row.percentile for row in rows])
        silence_us = np.array([row.silence_us for row in rows], np.int64)
        model = np.array([number_of(device_model(row.model, row.percentile)) for row in rows], np.uint8)
        if not self._rows:
            n = len(activation)
            return list(self._devices), activation, percentile.repeat(n), silence_us.repeat(n), model.repeat(n)
        names = sorted({row.wearer for row in rows})
        number = {name: k for k, name in enumerate(names)}
        of_row = np.array([number[row.wearer] for row in rows], np.int32)
        return names, of_row[activation], percentile[activation], silence_us[activation], model[activation]

    def _activated(self) -> dict[str, list[Interval]]:
        intervals: dict[str, list[Interval]] = {}
        for row in self._rows:
            intervals.setdefault(row.wearer, []).append((row.from_us, row.to_us))
        return {wearer: merged(each) for wearer, each in intervals.items()}

    def _monitored_intervals(self, trail: Trail) -> list[Interval]:
        if self._rows:
            return self._monitored.get(trail.wearer, [])
        return [(int(trail.column("time_us")[0]), 2**62)] if len(trail) else []

    def _expect(self, wearers: Iterable[str]) -> None:
        """Wearers with a curfew and an activation are looked at even if nothing ever comes from them."""
        trails = [self.trails.setdefault(wearer, Trail(wearer)) for wearer in wearers]
        if trails:
            self.watch.feed(trails, [0] * len(trails))


def _pieces(arranged: Arranged, wearer: NDArray[np.int32], names: list[str]) -> Iterable[tuple[str, Arranged]]:
    """The rows of each wearer, in the order of their numbers."""
    starts = np.flatnonzero(np.diff(wearer, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(wearer)], strict=True):
        yield names[int(wearer[start])], arranged.take(slice(int(start), int(stop)))
