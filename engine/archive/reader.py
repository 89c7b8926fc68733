"""Questions to an archive: what they need is read, of the days, the row groups and the columns, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import starmap
from pathlib import Path

import numpy as np

from engine.archive.groups import Box, Group, GroupFile, Span
from engine.archive.manifest import Day, DayFile, instant_of, read_manifest
from engine.archive.order import once
from engine.archive.staging import finish
from engine.archive.tables import read_events
from engine.events import DeviceEvent
from engine.fixes import NAMES, Fixes, concat

NEAREST = 64
"""So many fixes on one side of an instant are enough for what bounds the match."""


class Archive:
    """An archive, opened for reading. InputError where it is none, or a file of it is missing or damaged."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        finish(self.folder)
        self.manifest = read_manifest(self.folder)

    def read(
        self, *, devices: Iterable[str] | None = None, from_us: int | None = None, to_us: int | None = None,
        box_e7: Box | None = None,
    ) -> Fixes:  # fmt: skip
        """Fixes in [from_us, to_us] of these devices (all where None), within a box (west, south, east, north): by device name
        and time."""
        wanted = None if devices is None else {*devices}
        found = (
            _chosen(file, group, span, box_e7, wanted)
            for file, span in self._files(Span(from_us, to_us), box_e7)
            for group in file.candidates(span, box_e7)
        )
        return once(concat(part for part in found if part is not None))

    def scan(
        self, columns: Collection[str] = NAMES, *, from_us: int | None = None, to_us: int | None = None,
        box_e7: Box | None = None,
    ) -> Iterator[Group]:  # fmt: skip
        """These columns of `Fixes`, a row group at a time, in the order of the files: of the row groups that may hold a fix in
        [from_us, to_us] and the box, all rows."""
        for file, span in self._files(Span(from_us, to_us), box_e7):
            for group in file.candidates(span, box_e7):
                yield file.read(group, columns, threads=False)

    def nearest(self, time_us: int, *, before: bool, devices: Iterable[str] | None = None) -> Fixes:
        """For each of these devices (all where None) its last 64 fixes before an instant, or its first 64 after it."""
        told = self.manifest.devices
        ends = {
            name: (instant_of(told[name].first), instant_of(told[name].last))
            for name in (told if devices is None else {*devices} & told.keys())
        }
        if before:
            ends = {name: end for name, end in ends.items() if end[0] < time_us}
        else:
            ends = {name: end for name, end in ends.items() if end[1] > time_us}
        return once(concat(self._outward(time_us, ends, before=before)))

    def about(self, spans: Iterable[tuple[int, int]], devices: Collection[str] | None = None) -> Fixes:
        """The fixes of these devices (None: all) in these spans [us], and the nearest on both sides of each span: what a match
        asks for. By device name and time, each once."""
        return once(
            concat(
                part
                for from_us, to_us in spans
                for part in (
                    self.nearest(from_us, before=True, devices=devices),
                    self.read(devices=devices, from_us=from_us, to_us=to_us),
                    self.nearest(to_us, before=False, devices=devices),
                )
            )
        )

    def day(self, day: Day) -> Fixes:
        """All fixes of a day, by device name and time."""
        return once(concat(_fixes(group) for file in day.files for group in self.file(file).all(NAMES)))

    def file(self, file: DayFile) -> GroupFile:
        """A file of it, opened."""
        return GroupFile(self.folder / file.path)

    def events(self) -> Iterator[DeviceEvent]:
        """The device events, oldest first; none where the archive does not tell."""
        if self.manifest.events:
            yield from read_events(self.folder / self.manifest.events.path)

    @property
    def activations_path(self) -> Path | None:
        """Where the activations are, if the archive tells them."""
        told = self.manifest.activations
        return self.folder / told.path if told else None

    def _files(self, span: Span, box_e7: Box | None = None) -> Iterator[tuple[GroupFile, Span]]:
        """The files that may hold a fix of the span and the box; with the span, open where a file lies within it."""
        for told in self.manifest.files:
            first_us, last_us = instant_of(told.first), instant_of(told.last)
            if span.meets(first_us, last_us) and _meet(told.box_e7, box_e7):
                yield self.file(told), span.within(first_us, last_us)

    def _outward(self, time_us: int, ends: Mapping[str, tuple[int, int]], *, before: bool) -> Iterator[Fixes]:
        """The nearest fixes of these devices, whose first and last times are known, day by day away from an instant, until
        there are enough of each."""
        lacking = dict.fromkeys(ends, NEAREST)
        span = Span(None, time_us - 1) if before else Span(time_us + 1, None)
        for day in reversed(self.manifest.days) if before else self.manifest.days:
            first_us = min(instant_of(file.first) for file in day.files)
            last_us = max(instant_of(file.last) for file in day.files)
            asked = {name for name in lacking if ends[name][0] <= last_us and ends[name][1] >= first_us}
            if not asked or not span.meets(first_us, last_us):
                continue
            found = self._nearest_of(day, span, {name: lacking[name] for name in asked}, before=before)
            yield found
            for name, n in zip(
                found.devices, np.bincount(found.device, minlength=len(found.devices)).tolist(), strict=True
            ):
                lacking[name] -= n
            lacking = {name: n for name, n in lacking.items() if n > 0}

    def _nearest_of(self, day: Day, span: Span, lacking: Mapping[str, int], *, before: bool) -> Fixes:
        """The nearest fixes of a day in a span, open on one side, of each of these devices so many. First is seen from names
        and times in which rows they are."""
        files = [self.file(file) for file in day.files]
        groups = [(file, k) for file in files for k in file.candidates(span)]
        seen = list(starmap(_names_and_times, groups))
        owners = {name: k for k, name in enumerate(sorted(lacking))}
        owner = np.concatenate(
            [np.array([owners.get(n, -1) for n in g.devices], np.int64)[g.columns["device"]] for g in seen]
        )
        time_us = np.concatenate([g.columns["time_us"] for g in seen])
        rows = np.flatnonzero((owner >= 0) & span.holds(time_us))
        rows = rows[np.lexsort((-time_us[rows] if before else time_us[rows], owner[rows]))]
        starts = np.searchsorted(owner[rows], np.arange(len(owners)))
        most = np.array([lacking[name] for name in owners])
        near = rows[np.arange(len(rows)) - starts[owner[rows]] < most[owner[rows]]]
        near.sort()
        cuts = np.searchsorted(near, np.cumsum([0, *(len(g.columns["time_us"]) for g in seen)]))
        parts, offset = [], 0
        for k, (file, group) in enumerate(groups):
            chosen = near[cuts[k] : cuts[k + 1]] - offset
            offset += len(seen[k].columns["time_us"])
            if len(chosen):
                parts.append(_fixes(file.read(group, NAMES)).take(chosen))
        return once(concat(parts))


def _names_and_times(file: GroupFile, group: int) -> Group:
    return file.read(group, ("device", "time_us"))


def _chosen(file: GroupFile, group: int, span: Span, box_e7: Box | None, wanted: Collection[str] | None) -> Fixes | None:
    """The fixes of a row group that answer; the columns that tell are read first, the others only where there is one."""
    telling = ["device"] if wanted is not None else []
    telling += ["time_us"] if span != Span() else []
    telling += ["lon_e7", "lat_e7"] if box_e7 is not None else []
    if not telling:
        return _fixes(file.read(group, NAMES))
    seen = file.read(group, telling)
    held = np.ones(len(seen.columns[telling[0]]), np.bool_)
    if wanted is not None:
        held &= np.array([name in wanted for name in seen.devices], np.bool_)[seen.columns["device"]]
    if span != Span():
        held &= span.holds(seen.columns["time_us"])
    if box_e7 is not None:
        west, south, east, north = box_e7
        lon, lat = seen.columns["lon_e7"], seen.columns["lat_e7"]
        held &= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    if not held.any():
        return None
    rest = file.read(group, [name for name in NAMES if name not in telling])
    return _fixes(Group(seen.devices or rest.devices, {**seen.columns, **rest.columns})).take(held)


def _fixes(group: Group) -> Fixes:
    return Fixes.of(group.devices, **group.columns)


def _meet(one: list[int], box_e7: Box | None) -> bool:
    if box_e7 is None:
        return True
    return one[0] <= box_e7[2] and one[2] >= box_e7[0] and one[1] <= box_e7[3] and one[3] >= box_e7[1]
