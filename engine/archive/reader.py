"""Questions to an archive: what they need is read, of the days, the row groups and the columns, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activations
from engine.archive.groups import Box, Group, GroupFile, Span, fixes_of
from engine.archive.manifest import Day, DayFile, instant_of, read_manifest
from engine.archive.nearest import nearest_of_devices, nearest_of_wearers
from engine.archive.order import once
from engine.archive.staging import finish
from engine.archive.tables import read_events
from engine.events import DeviceEvent
from engine.fixes import NAMES, Fixes, concat


class Archive:
    """An archive, opened for reading. InputError where it is none, or a file of it is missing or damaged."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        finish(self.folder)
        self.manifest = read_manifest(self.folder)

    def __len__(self) -> int:
        return self.manifest.fixes

    def __bool__(self) -> bool:
        """An archive without a fix is one too."""
        return True

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
        return nearest_of_devices(self, self.manifest.devices if devices is None else devices, time_us, before=before)

    def about(
        self, spans: Iterable[tuple[int, int]], devices: Collection[str] | None = None, worn: Activations | None = None
    ) -> Fixes:
        """The fixes of these devices (None: all) in these spans [us], and the nearest on both sides of each span: of each
        device, or of each wearer where it is told who wore them. What a match asks for; by device name and time, each once."""
        rows = Activations(row for row in (worn.rows if worn else ()) if devices is None or row.device in devices)
        found = list[Fixes]()
        for from_us, to_us in spans:
            found.append(self.read(devices=devices, from_us=from_us, to_us=to_us))
            for time_us, before in ((from_us, True), (to_us, False)):
                if rows.rows:
                    found.append(nearest_of_wearers(self, rows, time_us, before=before))
                else:
                    found.append(self.nearest(time_us, before=before, devices=devices))
        return once(concat(found))

    def day(self, day: Day) -> Fixes:
        """All fixes of a day, by device name and time."""
        return once(concat(fixes_of(group) for file in day.files for group in self.file(file).all(NAMES)))

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


def _chosen(file: GroupFile, group: int, span: Span, box_e7: Box | None, wanted: Collection[str] | None) -> Fixes | None:
    """The fixes of a row group that answer; the columns that tell are read first, the others only where there is one."""
    seen, held = Group((), {}), np.ones(0, np.bool_)
    if wanted is not None:
        seen = file.read(group, ("device",))
        held = np.array([name in wanted for name in seen.devices], np.bool_)[seen.columns["device"]]
        if not held.any():
            return None
    telling = ["time_us"] if span != Span() else []
    telling += ["lon_e7", "lat_e7"] if box_e7 is not None else []
    if telling:
        more = file.read(group, telling).columns
        held = held if len(held) else np.ones(len(more[telling[0]]), np.bool_)
        held &= _answers(more, span, box_e7)
        if not held.any():
            return None
        seen = Group(seen.devices, {**seen.columns, **more})
    rest = file.read(group, [name for name in NAMES if name not in seen.columns])
    fixes = fixes_of(Group(seen.devices or rest.devices, {**seen.columns, **rest.columns}))
    return fixes.take(held) if len(held) else fixes


def _answers(columns: Mapping[str, NDArray[Any]], span: Span, box_e7: Box | None) -> NDArray[np.bool_]:
    """Which rows (n,) are of the span and in the box."""
    if box_e7 is None:
        return span.holds(columns["time_us"])
    west, south, east, north = box_e7
    lon, lat = columns["lon_e7"], columns["lat_e7"]
    within: NDArray[np.bool_] = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return within & span.holds(columns["time_us"]) if "time_us" in columns else within


def _meet(one: list[int], box_e7: Box | None) -> bool:
    if box_e7 is None:
        return True
    return one[0] <= box_e7[2] and one[2] >= box_e7[0] and one[1] <= box_e7[3] and one[3] >= box_e7[1]
