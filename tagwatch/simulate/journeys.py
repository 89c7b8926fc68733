"""Journeys: out of the door, along the streets to one place or more, and home again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from engine.times import SECOND_US
from tagwatch.simulate.plane import Floats
from tagwatch.simulate.spans import Span, common, without
from tagwatch.simulate.streets import Place, Route, Routes

HOME, INDOOR, OUTDOOR, WALK, DRIVE = range(5)
"""Settings of a leg: at home, in another building, a stop in the open, on foot, in a car or bus."""


class Gait(NamedTuple):
    """How a person gets about: pace on foot, and from what length on the car (or the bus) is taken."""

    walk_mps: float = 1.4
    rides_from_m: float = 900.0


class Stop(NamedTuple):
    """A place on a journey, how long the stay is, and in what setting."""

    place: Place
    dwell_s: float
    setting: int = INDOOR


@dataclass(frozen=True)
class Journey:
    """Corners as in a path, from the home's door and back to it; `stays` = arrival and departure at each stop [us]."""

    t_us: NDArray[np.int64]
    x: Floats
    y: Floats
    setting: NDArray[np.int8]
    stays: tuple[Span, ...]

    @property
    def leaves_us(self) -> int:
        """When it leaves home."""
        return int(self.t_us[0])

    @property
    def returns_us(self) -> int:
        """When it is home again."""
        return int(self.t_us[-1])

    def later(self, by_us: int) -> Journey:
        """The same journey, so much later."""
        stays = tuple((start + by_us, end + by_us) for start, end in self.stays)
        return replace(self, t_us=self.t_us + by_us, stays=stays)

    def leaving(self, at_us: int) -> Journey:
        """The same journey, leaving home at this instant."""
        return self.later(at_us - self.leaves_us)

    def arriving(self, at_us: int, stop: int = 0) -> Journey:
        """The same journey, at this stop from this instant on."""
        return self.later(at_us - self.stays[stop][0])

    def returning(self, at_us: int) -> Journey:
        """The same journey, home at this instant."""
        return self.later(at_us - self.returns_us)


def plan_journey(home: Place, stops: Sequence[Stop], routes: Routes, gait: Gait, rng: Generator) -> Journey | None:
    """The journey from home over these stops and back, leaving at instant 0; None where no way leads there."""
    corners, waits, settings, stays = [np.array([[home.x, home.y]])], [np.zeros(0)], [np.zeros(0, np.int8)], []
    here, now_s = home, 0.0
    for stop in (*stops, Stop(home, 0.0)):
        route = routes.between(here, stop.place)
        if route is None:
            return None
        durations, setting = _travel(route, gait, rng)
        corners.append(route.corners[1:])
        waits.append(durations)
        settings.append(np.full(len(durations), setting, np.int8))
        now_s += float(durations.sum())
        if stop.dwell_s > 0.0:
            corners.append(np.array([[stop.place.x, stop.place.y]]))
            waits.append(np.array([stop.dwell_s]))
            settings.append(np.array([stop.setting], np.int8))
            stays.append((now_s, now_s + stop.dwell_s))
            now_s += stop.dwell_s
        here = stop.place
    whole = tuple((round(start * SECOND_US), round(end * SECOND_US)) for start, end in stays)
    return _joined(np.vstack(corners), np.concatenate(waits), np.concatenate(settings), whole)


def _travel(route: Route, gait: Gait, rng: Generator) -> tuple[Floats, int]:
    """Seconds for each part of a route and the setting; a driver is held up now and then before a junction."""
    length = np.hypot(*np.diff(route.corners, axis=0).T)
    if route.length_m < gait.rides_from_m:
        return length / (gait.walk_mps * rng.uniform(0.95, 1.05)), WALK
    waits = rng.uniform(5.0, 30.0, len(length)) * (rng.random(len(length)) < 0.15) * (length > 50.0)
    return length / (route.drive_mps * rng.uniform(0.95, 1.05)) + waits, DRIVE


def _joined(corners: Floats, durations_s: Floats, setting: NDArray[np.int8], stays: tuple[Span, ...]) -> Journey:
    """Corners without those that take no time; instants are rounded to the microsecond once, so none drifts."""
    t_us = np.rint(np.append(0.0, np.cumsum(durations_s)) * SECOND_US).astype(np.int64)
    kept = np.append(True, np.diff(t_us) > 0)
    return Journey(t_us[kept], corners[kept, 0], corners[kept, 1], setting[kept[1:]], stays)


class Diary:
    """One wearer's journeys: none overlaps another, and what was entered first stays."""

    def __init__(self, from_us: int, to_us: int) -> None:
        self.journeys: list[Journey] = []
        self._free: list[Span] = [(from_us, to_us)]

    def enter(self, journey: Journey | None, outside: Sequence[Span] = (), margin_s: float = 240.0) -> bool:
        """Take the journey where it meets no other (with a margin at home between) and none of the spans `outside`."""
        if journey is None:
            return False
        whole = journey.leaves_us, journey.returns_us
        margin_us = round(margin_s * SECOND_US)
        fits = any(start <= whole[0] - margin_us and whole[1] + margin_us <= end for start, end in self._free)
        if not fits or common([whole], outside):
            return False
        self.journeys.append(journey)
        self._free = without(self._free, [whole])
        return True
