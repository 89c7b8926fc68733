"""Who was near: trails from files or from the database, given to the match with the posterior of the zone filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.match import Match
from crime_match.near import near
from crime_match.question import Question
from crime_match.trails import WearerTrail
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.store import FixStore
from engine.times import HOUR_US, LATEST_US
from engine.trail import Trail
from geofence.presence import presence
from geofence.zone import Circle
from tagwatch.monitor import Conditions, Monitor

MARGIN_US = 6 * HOUR_US
"""How far beyond the window fixes are read from the database; beyond that the nearest on each side."""


def near_from(
    fixes: Fixes, question: Question, activations: Activations | None = None, events: Sequence[DeviceEvent] = (),
    plan: Activation | None = None,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers that these fixes and activations know of."""
    plan = plan or Activation("", "", -(2**62))
    conditions = Conditions(activations=activations or Activations(), plan=plan)
    monitor = Monitor(conditions)
    monitor.take(fixes, LATEST_US)
    return near(question, _trails(monitor, question, events), _presence)


def near_in_database(
    connection: Connection, question: Question, activations: Activations | None = None, plan: Activation | None = None
) -> list[Match]:
    """The matches of all wearers from the fixes in the database: those about the window, and the nearest on both sides."""
    store = FixStore(connection)
    from_us, to_us = question.start_us - MARGIN_US, question.end_us + MARGIN_US
    fixes = concat([
        store.nearest(from_us, before=True), store.read(from_us=from_us, to_us=to_us), store.nearest(to_us, before=False),
    ])  # fmt: skip
    return near_from(fixes, question, activations, store.read_events(), plan)


def _trails(monitor: Monitor, question: Question, events: Sequence[DeviceEvent]) -> Iterable[WearerTrail]:
    activations = monitor.conditions.activations
    by_wearer: dict[str, list[Activation]] = {}
    for row in activations.rows:
        by_wearer.setdefault(row.wearer, []).append(row)
    wanted = (question.start_us, question.end_us)
    wearers = sorted(set(monitor.trails) | {w for w, rows in by_wearer.items() if any(_meets(r, wanted) for r in rows)})
    for wearer in wearers:
        trail = monitor.trails.get(wearer)
        rows = by_wearer.get(wearer) or [monitor.conditions.plan._replace(device=wearer, wearer=wearer)]
        devices = tuple(dict.fromkeys(row.device for row in rows))
        fixes = trail.fixes(monitor.devices) if trail else Fixes.empty()
        column = trail.column if trail else Trail(wearer).column
        mine = [e for e in events if any(r.device == e.device and r.from_us <= e.time_us < r.to_us for r in rows)]
        yield WearerTrail(
            wearer, devices, fixes, column("flags"), column("sigma_m"), column("radius_m"), column("exclusion_m"),
            column("model"), column("silence_us"), rows, mine,
        )  # fmt: skip


def _presence(trail: WearerTrail, lat_e7: int, lon_e7: int, radius_m: float) -> NDArray[np.float64]:
    """Posterior of presence about a place, for the fixes that come near it; nan elsewhere."""
    found = np.full(len(trail.fixes), np.nan)
    close = np.abs(trail.fixes.lat_e7.astype(np.int64) - lat_e7) < _CLOSE_E7
    close &= np.abs(trail.fixes.lon_e7.astype(np.int64) - lon_e7) < 2 * _CLOSE_E7
    if not close.any():
        return found
    columns: dict[str, NDArray[Any]] = {
        "time_us": trail.fixes.time_us, "lat_e7": trail.fixes.lat_e7, "lon_e7": trail.fixes.lon_e7,
        "sigma_m": trail.sigma_m, "model": trail.model, "flags": trail.flags, "silence_us": trail.silence_us,
    }  # fmt: skip
    circle = Circle(lat_e7, lon_e7, radius_m)
    for first, last in _runs(close):
        found[first:last] = presence(columns, circle, first, last)
    return found


_CLOSE_E7 = 50_000  # about 550 m


def _runs(mask: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _meets(row: Activation, interval: tuple[int, int]) -> bool:
    return row.from_us < interval[1] and row.to_us > interval[0]
