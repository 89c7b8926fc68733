"""A wearer's trail out of the database: the fixes of a window in time order with their circles, flags and gaps.

Only fixes of tags while this wearer wore them. Flags are two-sided, as for matching: fixes about the window have their say.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray

from engine.activations import Activations
from engine.database import Connection
from engine.fixes import Fixes
from engine.flags import WEIGHTLESS
from engine.store.fixes import FixStore
from engine.times import HOUR_US, SECOND_US
from tagwatch.console.managers.trail_window import Window
from tagwatch.console.managers.worn import worn_by
from tagwatch.console.office import Office, office_of
from tagwatch.matching import trails_of
from tagwatch.monitor import Conditions

MARGIN_US = HOUR_US
LONG, MOST_HELD, HELD_US = 5_000, 4, 60 * SECOND_US
"""Trails with more fixes than this are kept for a minute, so that map and table need not read them each."""


@dataclass(frozen=True)
class WornTrail:
    """Fixes (n,) in time order; flags (n,) uint8 of `engine.flags`, radius_m (n,) [m], silence_us (n,) [us]."""

    fixes: Fixes
    flags: NDArray[np.uint8]
    radius_m: NDArray[np.float64]
    silence_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.fixes)

    @cached_property
    def weighs(self) -> NDArray[np.bool_]:
        """Which fixes carry weight in a decision; shape (n,)."""
        weight: NDArray[np.bool_] = (self.flags & WEIGHTLESS) == 0
        return weight

    @cached_property
    def gaps(self) -> NDArray[np.int64]:
        """Pairs of rows (k, 2) between which nothing was known for longer than the plan allows, by fixes with weight."""
        rows = np.flatnonzero(self.weighs)
        at = self.fixes.time_us[rows]
        silent = np.flatnonzero(np.diff(at) > self.silence_us[rows[:-1]]) if len(rows) else np.empty(0, np.int64)
        return np.stack([rows[silent], rows[silent + 1]], axis=1) if len(silent) else np.empty((0, 2), np.int64)


_NONE = WornTrail(Fixes.empty(), np.empty(0, np.uint8), np.empty(0), np.empty(0, np.int64))


def read_trail(connection: Connection, conditions: Conditions, wearer: str, window: Window) -> WornTrail:
    """The trail of a wearer in a window; empty where no tag was worn in it."""
    low_us, high_us = window.from_us - MARGIN_US, window.to_us + MARGIN_US
    worn = [row for row in worn_by(conditions, wearer) if row.from_us <= high_us and row.to_us > low_us]
    fixes = FixStore(connection).read(devices={row.device for row in worn}, from_us=low_us, to_us=high_us) if worn else None
    if fixes is None or not len(fixes):
        return _NONE
    activations = Activations(worn) if conditions.activations.rows else Activations()
    trail = trails_of(fixes, activations, (), conditions.plan).of(wearer)
    inside = (trail.fixes.time_us >= window.from_us) & (trail.fixes.time_us <= window.to_us)
    return WornTrail(trail.fixes.take(inside), trail.flags[inside], trail.radius_m[inside], trail.silence_us[inside])


@dataclass
class HeldTrails:
    """Long trails that were read within the last minute."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _held: OrderedDict[tuple[str, Window], tuple[int, Conditions, WornTrail]] = field(default_factory=OrderedDict)

    def read(
        self, office: Office, connection: Connection, conditions: Conditions, wearer: str, window: Window
    ) -> WornTrail:  # fmt: skip
        """The trail, read anew where it is not held."""
        now_us, key = office.wall(), (wearer, window)
        with self._lock:
            held = self._held.get(key)
        if held is not None and held[1] is conditions and now_us - held[0] < HELD_US:
            return held[2]
        trail = read_trail(connection, conditions, wearer, window)
        if len(trail) > LONG:
            with self._lock:
                self._held[key] = (now_us, conditions, trail)
                while len(self._held) > MOST_HELD:
                    self._held.popitem(last=False)
        return trail


def _held_by(request: Request) -> HeldTrails:
    return office_of(request).one(HeldTrails, HeldTrails)


Trails = Annotated[HeldTrails, Depends(_held_by)]
"""The type of a parameter that is to be given the application's trails."""
