"""Erasure: fixes and events of devices taken out of an archive, a day at a time; the manifest says what is gone, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from engine.archive.day_file import digest_of, write_day
from engine.archive.export import devices_of, require_whole
from engine.archive.manifest import Day, Device, Erasure, Manifest, instant_of
from engine.archive.order import once
from engine.archive.reader import Archive
from engine.archive.staging import commit, writing
from engine.archive.tables import read_events, write_events
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import DAY_US, SECOND_US, Clock, system_clock, to_iso

_EARLIEST_US, _LATEST_US = -62_135_596_800 * SECOND_US, 253_402_300_799 * SECOND_US
"""The years 1 to 9999: a bound beyond them is an open one."""
_Spans = Mapping[str, tuple[int, int]]
_Record = Callable[[str, int, int], Erasure]


class Erased(NamedTuple):
    """How many fixes and device events were taken out, and how many days were written anew."""

    fixes: int
    events: int
    days: int


def erase(
    folder: str | Path, devices: Iterable[str], from_us: int | None, to_us: int | None, order: str, *, reason: str = "",
    clock: Clock = system_clock,
) -> Erased:  # fmt: skip
    """Take the fixes and device events of these devices with from_us <= time < to_us (None: open) out of an archive.

    Each day is written anew by itself, all of it or not at all; after a crash the same call does what is left. The manifest
    keeps device, span, order, reason and when; what it says is erased is kept out of later exports too. An open end is that of
    what the archive holds now. InputError where a day concerned is damaged: that day is as it was.
    """
    folder = Path(folder)
    archive = Archive(folder)
    spans = _spans(archive, {*devices}, from_us, to_us)
    at = to_iso(clock())

    def record(device: str, n_fixes: int, n_events: int) -> Erasure:
        first_us, end_us = spans[device]
        return Erasure(device, to_iso(first_us), to_iso(end_us), n_fixes, n_events, order, reason, at)

    found = [_erase_day(folder, day.day, spans, record) for day in archive.manifest.days if _concerns(day, spans)]
    n_events = _erase_events(folder, spans, record) if spans else 0
    return Erased(sum(found), n_events, sum(n > 0 for n in found))


def _spans(archive: Archive, devices: set[str], from_us: int | None, to_us: int | None) -> dict[str, tuple[int, int]]:
    """From when to before when each device is erased that the archive knows; open ends are those of what it holds."""
    ends: dict[str, tuple[int, int]] = {}
    for name in devices & archive.manifest.devices.keys():
        told = archive.manifest.devices[name]
        ends[name] = instant_of(told.first), instant_of(told.last)
    for event in archive.events():
        if event.device in devices:
            first_us, last_us = ends.get(event.device, (event.time_us, event.time_us))
            ends[event.device] = min(first_us, event.time_us), max(last_us, event.time_us)
    spans = {
        name: (
            first_us if from_us is None or from_us < _EARLIEST_US else from_us,
            last_us + 1 if to_us is None or to_us > _LATEST_US else to_us,
        )
        for name, (first_us, last_us) in ends.items()
    }
    return {name: span for name, span in sorted(spans.items()) if span[0] < span[1]}


def _concerns(day: Day, spans: _Spans) -> bool:
    first_us = min(instant_of(file.first) for file in day.files)
    last_us = max(instant_of(file.last) for file in day.files)
    return any(first <= last_us and end > first_us for first, end in spans.values())


def _erase_day(folder: Path, name: str, spans: _Spans, record: _Record) -> int:
    """Write a day anew without what is erased of it; returns how many fixes that were."""
    with writing(folder) as stage:
        archive = Archive(folder)
        day = next(day for day in archive.manifest.days if day.day == name)
        fixes = require_whole(archive, day)
        gone = _within(fixes, spans)
        if not gone.any():
            return 0
        rest = once(fixes.take(~gone))
        days = [other for other in archive.manifest.days if other.day != name]
        if len(rest):
            days.append(Day(name, len(rest), digest_of(rest), write_day(stage, name, rest)))
        taken = devices_of(once(fixes.take(gone)))
        new = msgspec.structs.replace(
            archive.manifest, days=days, devices=_devices_left(archive, name, rest, taken),
            erasures=_noted(archive.manifest, [record(device, told.fixes, 0) for device, told in taken.items()]),
        )  # fmt: skip
        commit(folder, new)
        return int(gone.sum())


def _within(fixes: Fixes, spans: _Spans) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which fixes are in the span of their device; (n,)."""
    bounds = np.array([spans.get(name, (0, 0)) for name in fixes.devices], np.int64).reshape(-1, 2)
    of_fix = bounds[fixes.device]
    within: np.ndarray[tuple[int], np.dtype[np.bool_]] = (fixes.time_us >= of_fix[:, 0]) & (fixes.time_us < of_fix[:, 1])
    return within


def _devices_left(archive: Archive, day: str, rest: Fixes, taken: Mapping[str, Device]) -> dict[str, Device]:
    """What the manifest says of devices once some fixes of a day are taken out, and the rest of the day is this."""
    left = dict(archive.manifest.devices)
    start_us = instant_of(f"{day}T00:00:00Z")
    names = [name for name in taken if left[name].fixes > taken[name].fixes]
    around = once(concat([
        archive.nearest(start_us, before=True, devices=names), rest,
        archive.nearest(start_us + DAY_US - 1, before=False, devices=names),
    ]))  # fmt: skip
    ends = devices_of(around)
    for name, told in taken.items():
        n_left = left[name].fixes - told.fixes
        if not n_left:
            del left[name]
            continue
        old, found = left[name], ends[name]
        first = old.first if instant_of(old.first) < start_us else found.first
        last = old.last if instant_of(old.last) >= start_us + DAY_US else found.last
        left[name] = Device(n_left, first, last)
    return left


def _erase_events(folder: Path, spans: _Spans, record: _Record) -> int:
    """Write the events anew without those that are erased; returns how many these were."""
    with writing(folder) as stage:
        manifest = Archive(folder).manifest
        if manifest.events is None:
            return 0
        n_gone: dict[str, int] = {}

        def kept() -> Iterator[DeviceEvent]:
            for event in read_events(folder / manifest.events.path) if manifest.events else ():
                first_us, end_us = spans.get(event.device, (0, 0))
                if first_us <= event.time_us < end_us:
                    n_gone[event.device] = n_gone.get(event.device, 0) + 1
                else:
                    yield event

        table = write_events(stage, kept())
        if n_gone:
            noted = _noted(manifest, [record(device, 0, n) for device, n in sorted(n_gone.items())])
            commit(folder, msgspec.structs.replace(manifest, events=table, erasures=noted))
        return sum(n_gone.values())


def _noted(manifest: Manifest, new: Iterable[Erasure]) -> list[Erasure]:
    """The erasures with these, which add to one of the same device, span and order where there is one."""
    known = {(e.device, e.from_, e.to, e.order, e.reason): e for e in manifest.erasures}
    for erasure in new:
        key = (erasure.device, erasure.from_, erasure.to, erasure.order, erasure.reason)
        old = known.get(key)
        known[key] = erasure if old is None else msgspec.structs.replace(
            old, fixes=old.fixes + erasure.fixes, events=old.events + erasure.events
        )  # fmt: skip
    return [*known.values()]
