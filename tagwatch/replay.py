"""Replay: the rules over a batch of fixes, without server or clock, on as many threads as there are processors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Alert
from alerts.ledger import Ledger, Version
from engine.activations import Activations
from engine.fixes import Fixes
from geofence.zone import EVERYBODY
from tagwatch.monitor import Conditions, Monitor

_WORTH_A_THREAD = 100_000
"""Fixes below which a second thread costs more than it gains."""


@dataclass(slots=True)
class Replayed:
    """A final ledger and the counts of what went in."""

    alerts: list[Alert]
    n_fixes: int = 0
    n_duplicates: int = 0
    n_unassigned: int = 0
    n_after: int = 0
    wearers: set[str] = field(default_factory=set)


def replay(fixes: Fixes, conditions: Conditions, as_of_us: int, threads: int | None = None) -> Replayed:
    """The ledger as of an instant: fixes of later times are left out and counted."""
    past = fixes.time_us <= as_of_us
    n_after = int(len(fixes) - np.count_nonzero(past))
    if n_after:
        fixes = fixes.take(past)
    n_threads = threads or min(os.cpu_count() or 1, 1 + len(fixes) // _WORTH_A_THREAD)
    parts = list(_parts(fixes, conditions, n_threads))
    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        done = list(pool.map(lambda part: _replay_part(part, as_of_us), parts))
    whole = Replayed([], n_after=n_after)
    for part in done:
        whole.alerts += part.alerts
        whole.n_fixes += part.n_fixes
        whole.n_duplicates += part.n_duplicates
        whole.n_unassigned += part.n_unassigned
        whole.wearers |= part.wearers
    whole.alerts.sort(key=lambda a: a.sort_key)
    return whole


def history(fixes: Fixes, conditions: Conditions, as_of_us: int) -> Iterator[Version]:
    """Every version of every alert, as the live service would have made them: fixes come by `received`, then by row."""
    past = np.flatnonzero(fixes.time_us <= as_of_us)
    order = past[np.argsort(fixes.received_s[past], kind="stable")]
    fixes = fixes.take(order)
    monitor, ledger = Monitor(conditions), Ledger()
    due: dict[str, int] = dict.fromkeys(monitor.trails, -(2**62))
    starts = np.flatnonzero(np.diff(fixes.received_s, prepend=-1))
    arrivals = [*(int(fixes.received_s[s]) * 1_000_000 for s in starts), as_of_us]
    for k, now_us in enumerate(arrivals):
        while due and (soonest := min(due.values())) < now_us and soonest > -(2**61):
            yield from _settle(monitor, ledger, due, [w for w, d in due.items() if d <= soonest], soonest)
        touched: list[str] = []
        if k < len(starts):
            stop = starts[k + 1] if k + 1 < len(starts) else len(fixes)
            touched = monitor.take(fixes.take(slice(int(starts[k]), int(stop))), now_us).wearers
        yield from _settle(monitor, ledger, due, touched if k < len(starts) else sorted(monitor.trails), now_us)


def _settle(monitor: Monitor, ledger: Ledger, due: dict[str, int], wearers: list[str], now_us: int) -> list[Version]:
    made: list[Version] = []
    for wearer in sorted(set(wearers)):
        alerts, due[wearer] = monitor.alerts(wearer, now_us)
        made += ledger.apply(wearer, alerts, now_us)
    return made


def _parts(fixes: Fixes, conditions: Conditions, n_parts: int) -> Iterator[tuple[Fixes, Conditions]]:
    """Fixes and conditions cut by wearer into parts of about the same size; without activations the device is the wearer."""
    if n_parts <= 1:
        yield fixes, conditions
        return
    rows = conditions.activations.rows
    if not rows:
        for part in _cuts(fixes.device, len(fixes.devices), n_parts):
            mine = {name for name, held in zip(fixes.devices, part, strict=True) if held}
            yield fixes.take(part[fixes.device]), _conditions_for(conditions, mine)
        return
    wearers = sorted({row.wearer for row in rows})
    number = {wearer: k for k, wearer in enumerate(wearers)}
    activation = conditions.activations.of_fixes(fixes)
    of_row = np.array([number[row.wearer] for row in rows], np.int32)
    # A fix outside every activation goes with the first wearer's part, where it is counted.
    wearer = np.where(activation >= 0, of_row[activation], 0)
    for part in _cuts(wearer, len(wearers), n_parts):
        mine = {name for name in wearers if part[number[name]]}
        worn = Activations(row for row in rows if row.wearer in mine)
        yield fixes.take(part[wearer]), replace(_conditions_for(conditions, mine), activations=worn)


def _conditions_for(conditions: Conditions, wearers: set[str]) -> Conditions:
    """The conditions that concern these wearers: no part compiles what is not for it."""
    zones = [z for z in conditions.zones if z.wearers == EVERYBODY or not wearers.isdisjoint(z.wearers)]
    return replace(conditions, zones=zones, curfews=[c for c in conditions.curfews if c.wearer in wearers])


def _cuts(owner: NDArray[np.int32], n_owners: int, n_parts: int) -> Iterator[NDArray[np.bool_]]:
    """For each part which owners (n_owners,) are in it, so that the parts have about the same number of fixes."""
    sizes = np.bincount(owner, minlength=n_owners)
    part = (np.cumsum(sizes) - sizes) * n_parts // max(1, int(sizes.sum()))
    for k in range(n_parts):
        yield part == k


def _replay_part(part: tuple[Fixes, Conditions], as_of_us: int) -> Replayed:
    fixes, conditions = part
    monitor = Monitor(conditions)
    taken = monitor.take(fixes, as_of_us)
    found: list[Alert] = []
    for wearer in monitor.trails:
        found += monitor.alerts(wearer, as_of_us)[0]
    n_fixes = sum(len(trail) for trail in monitor.trails.values())
    return Replayed(found, n_fixes, taken.n_duplicates, taken.n_unassigned, 0, set(monitor.trails))
