"""Replay: the rules over a batch of fixes, without server or clock, on as many processors as there are.

Wearers do not concern each other, so each process takes some of them; within it their fixes go through the monitor a
portion at a time, and their trails are let go once their alerts are known.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from alerts.alert import Alert
from alerts.ledger import Ledger, Version
from engine.activations import Activations
from engine.archive.groups import is_archived
from engine.errors import TagwatchError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import SECOND_US
from geofence.zone import EVERYBODY
from ingest.parquet_trail import ParquetTrail, is_parquet
from tagwatch.monitor import Conditions, Monitor
from tagwatch.portions import FaultyRowError, FileFixes, HeldFixes, Portions, survey

_WORTH_A_PROCESS = 500_000
"""Fixes below which a second process costs more than it gains."""


@dataclass(slots=True)
class Replayed:
    """A final ledger and the counts of what went in."""

    alerts: list[Alert]
    n_fixes: int = 0
    n_duplicates: int = 0
    n_unassigned: int = 0
    n_after: int = 0
    wearers: set[str] = field(default_factory=set)


def replay(
    fixes: Fixes, conditions: Conditions, as_of_us: int, processes: int | None = None, events: Sequence[DeviceEvent] = ()
) -> Replayed:  # fmt: skip
    """The ledger as of an instant: fixes of later times are left out and counted."""
    n_after = int(np.count_nonzero(fixes.time_us > as_of_us))
    if n_after:
        fixes = fixes.take(fixes.time_us <= as_of_us)
    done = replay_portions(HeldFixes(fixes, conditions.activations), conditions, as_of_us, processes, events)
    done.n_after = n_after
    return done


def replay_file(
    path: str, conditions: Conditions, as_of_us: int | None = None, events: Sequence[DeviceEvent] = (),
    processes: int | None = None,
) -> Replayed | None:  # fmt: skip
    """The ledger of a Parquet trail that never is in memory as a whole, as of an instant (default: the newest time of fixes
    and events). None where the file has to be read as a whole: see `survey`."""
    if not is_parquet(path) or is_archived(path):
        return None
    trail = ParquetTrail(path, path)
    found = survey(trail, as_of_us)
    if found is None:
        return None
    at_us = as_of_us if as_of_us is not None else max([found.newest_us, *(e.time_us for e in events)])
    portions = FileFixes(trail, found, conditions.activations, as_of_us)
    try:
        done = replay_portions(portions, conditions, at_us, processes, events)
    except FaultyRowError:
        return None
    done.n_after = found.n_after
    return done


def replay_portions(
    portions: Portions, conditions: Conditions, as_of_us: int, processes: int | None = None,
    events: Sequence[DeviceEvent] = (),
) -> Replayed:  # fmt: skip
    """The ledger as of an instant of fixes that are handed out by wearer, and of events."""
    # those who may meet are looked at together, so in one process
    n_parts = (
        1 if conditions.proximities else processes or min(os.cpu_count() or 1, 1 + portions.n_fixes // _WORTH_A_PROCESS)
    )
    ends = np.cumsum(portions.sizes)
    cuts = np.searchsorted(ends, np.arange(1, n_parts) * int(ends[-1] if len(ends) else 0) // n_parts).tolist()
    spans = zip([0, *cuts], [*cuts, len(portions.wearers)], strict=True)
    whole = Replayed([])
    for part in _side_by_side([(portions, span, conditions, as_of_us, events) for span in spans]):
        whole.alerts += part.alerts
        whole.n_fixes += part.n_fixes
        whole.n_duplicates += part.n_duplicates
        whole.wearers |= part.wearers
    whole.n_unassigned = portions.n_fixes - whole.n_fixes - whole.n_duplicates
    whole.alerts.sort(key=lambda a: a.sort_key)
    return whole


def history(
    fixes: Fixes, conditions: Conditions, as_of_us: int, events: Sequence[DeviceEvent] = ()
) -> Iterator[Version]:  # fmt: skip
    """Every version of every alert, as the live service would have made them: fixes and events come by `received`, then by
    row."""
    past = np.flatnonzero(fixes.time_us <= as_of_us)
    order = past[np.argsort(fixes.received_s[past], kind="stable")]
    fixes = fixes.take(order)
    monitor, ledger = Monitor(conditions), Ledger()
    due: dict[str, int] = dict.fromkeys(monitor.trails, -(2**62))
    told: dict[int, list[DeviceEvent]] = {}
    for event in events:
        if event.time_us <= as_of_us:
            told.setdefault(event.received_s, []).append(event)
    seconds = np.union1d(fixes.received_s, np.array(list(told), np.int64))
    cuts = np.searchsorted(fixes.received_s, [*seconds, 2**62])
    for k, second in enumerate(seconds.tolist()):
        now_us = second * SECOND_US
        yield from _settle_due(monitor, ledger, due, now_us)
        taken = monitor.take(fixes.take(slice(int(cuts[k]), int(cuts[k + 1]))), now_us, told.get(second, ()))
        yield from _settle(monitor, ledger, due, taken.wearers, now_us)
    yield from _settle_due(monitor, ledger, due, as_of_us)
    monitor.take(Fixes.empty(), as_of_us)  # at the end nothing comes, but what was dated ahead is due
    yield from _settle(monitor, ledger, due, sorted(monitor.trails), as_of_us)


def _settle_due(monitor: Monitor, ledger: Ledger, due: dict[str, int], now_us: int) -> Iterator[Version]:
    """What time alone changes before an instant, in its order."""
    while due and (soonest := min(due.values())) < now_us and soonest > -(2**61):
        yield from _settle(monitor, ledger, due, [w for w, d in due.items() if d <= soonest], soonest)


def _settle(monitor: Monitor, ledger: Ledger, due: dict[str, int], wearers: list[str], now_us: int) -> list[Version]:
    made: list[Version] = []
    for wearer in sorted(set(wearers)):
        alerts, due[wearer] = monitor.alerts(wearer, now_us)
        made += ledger.apply(wearer, alerts, now_us)
    return made


def _side_by_side(parts: list[tuple[Any, ...]]) -> list[Replayed]:
    """Each part in a process of its own, forked so that nothing is copied; where that cannot be, one after the other."""
    forks = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    if len(parts) == 1 or not forks:
        return [_replay_part(*part) for part in parts]
    context = multiprocessing.get_context("fork")
    others = []
    for part in parts[1:]:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_tell, args=(there, part), daemon=True)
        process.start()
        there.close()
        others.append((process, here))
    try:
        done = [_replay_part(*parts[0])]
        for process, here in others:
            told = here.recv()
            process.join()
            if isinstance(told, BaseException):
                raise told
            done.append(told)
    except EOFError:
        raise TagwatchError(
            "a process of the replay ended before it was done: was it killed, for want of memory?"
        ) from None
    finally:
        for process, _ in others:
            process.kill()
    return done


def _tell(pipe: Connection, part: tuple[Any, ...]) -> None:
    try:
        pipe.send(_replay_part(*part))
    except Exception as fault:  # the edge of a process: the one that waits raises it
        pipe.send(fault)


def _replay_part(
    portions: Portions, span: tuple[int, int], conditions: Conditions, as_of_us: int, events: Sequence[DeviceEvent]
) -> Replayed:  # fmt: skip
    """The wearers of a span, each until nothing more comes of him."""
    done = Replayed([])
    mine = {*portions.wearers[slice(*span)], *conditions.pairs}
    if not span[0]:  # of whom there are no fixes, but perhaps events
        everybody = {*portions.wearers}
        worn_by = {row.wearer for row in conditions.activations.rows} or {event.device for event in events}
        mine |= worn_by - everybody
    monitor = Monitor(_conditions_for(conditions, mine))
    devices = {row.device for row in monitor.conditions.activations.rows} if conditions.activations.rows else mine
    monitor.take(Fixes.empty(), as_of_us, [e for e in events if e.device in devices and e.time_us <= as_of_us])
    kept = conditions.pairs.keys()
    for fixes, complete in portions.of(*span):
        done.n_duplicates += monitor.take(fixes, as_of_us).n_duplicates
        _settle_wearers(monitor, [w for w in complete if w not in kept], as_of_us, done)
    for wearer in kept & monitor.trails.keys():
        done.alerts += monitor.alerts(wearer, as_of_us)[0]
    _settle_wearers(monitor, list(monitor.trails), as_of_us, done, told=kept)  # of whom nothing came
    return done


def _settle_wearers(
    monitor: Monitor, wearers: Iterable[str], as_of_us: int, done: Replayed, told: Collection[str] = ()
) -> None:  # fmt: skip
    for wearer in wearers:
        if wearer in monitor.trails:
            if wearer not in told:
                done.alerts += monitor.alerts(wearer, as_of_us)[0]
            if n_fixes := len(monitor.trails[wearer]):
                done.wearers.add(wearer)
            done.n_fixes += n_fixes
            monitor.drop(wearer)


def _conditions_for(conditions: Conditions, wearers: set[str]) -> Conditions:
    """The conditions that concern these wearers: no part compiles what is not for it."""
    zones = [z for z in conditions.zones if z.wearers == EVERYBODY or not wearers.isdisjoint(z.wearers)]
    curfews = [c for c in conditions.curfews if c.wearer in wearers]
    worn = Activations(row for row in conditions.activations.rows if row.wearer in wearers)
    return replace(conditions, zones=zones, curfews=curfews, activations=worn)
