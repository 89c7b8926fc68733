"""Fixes into an archive, day by day: a new one, or one that grows. Nothing is ever lost from it by that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from engine.activations import Activations
from engine.archive.day_file import day_of, digest_of, write_day
from engine.archive.manifest import NAME, Day, Device, Manifest, instant_of, is_archive
from engine.archive.order import once
from engine.archive.reader import Archive
from engine.archive.staging import STAGE, commit, hash_of, writing
from engine.archive.tables import joined, read_activations, read_events, together, write_activations, write_events
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import to_iso

Days = Iterable[tuple[int, Fixes]]
"""Days, counted from 1970-01-01 and rising, with the fixes of each."""


class Exported(NamedTuple):
    """What came of it: days that are new, that have grown, that were there already; fixes that are new to the archive, and that
    were left out because they have been erased from it."""

    days_new: int
    days_grown: int
    days_same: int
    fixes_new: int
    fixes_erased: int


def export(
    folder: Path, days_of: Callable[[Path], Days], *, events: Iterable[DeviceEvent] = (),
    activations: Activations | None = None, software: str = "", merge: bool = False,
    tell: Callable[[str, int], None] | None = None,
) -> Exported:  # fmt: skip
    """Add the fixes of these days, events (in order) and activations to the archive in this folder, which is made where there
    is none. `days_of` is given a folder for what it has to put down.

    A day that the archive has, and that would change, is refused unless `merge`: then it has the fixes of both. `tell` hears
    of each day and its number of fixes. InputError where the folder is something else, or a day of it is damaged.
    """
    _require_room_for_archive(folder)
    with writing(folder) as stage:
        old = Archive(folder) if is_archive(folder) else None
        change = _Change(stage, old, merge=merge)
        spill = stage / "spill"
        spill.mkdir()
        for number, fixes in days_of(spill):
            n_fixes = change.take(day_of(number), once(fixes))
            if tell:
                tell(day_of(number), n_fixes)
        spill.rmdir()
        change.tell_of(events, activations)
        if change.is_none:
            return change.told()
        commit(folder, change.manifest(software))
    return change.told()


class _Change:
    """What an export adds, gathered in the stage."""

    def __init__(self, stage: Path, old: Archive | None, *, merge: bool) -> None:
        self._stage, self._old, self._merge = stage, old, merge
        self._base = old.manifest if old is not None else Manifest()
        self._days = {day.day: day for day in self._base.days}
        self._devices = dict(self._base.devices)
        self._n = dict.fromkeys(Exported._fields, 0)
        self._tables = {"events": self._base.events, "activations": self._base.activations}

    @property
    def is_none(self) -> bool:
        """Whether the archive has all of it already."""
        same = all(self._tables[name] == getattr(self._base, name) for name in self._tables)
        return self._old is not None and same and not self._n["days_new"] and not self._n["days_grown"]

    def take(self, day: str, fixes: Fixes) -> int:
        """Take the fixes of a day, in the order of `once`; returns how many it has now."""
        fixes = self._without_erased(fixes)
        if not len(fixes):
            return self._days[day].fixes if day in self._days else 0
        held = self._days.get(day)
        kept = Fixes.empty()
        if held and self._old is not None:
            kept = require_whole(self._old, held)
            fixes = once(concat([kept, fixes]))
        digest = digest_of(fixes)
        if held and digest == held.digest:
            self._n["days_same"] += 1
            return held.fixes
        if held and not self._merge:
            raise InputError(f"holds the day {day} with other fixes", place=str(self._stage.parent),
                             expected="other days (or say --merge, to have the fixes of both)")  # fmt: skip
        self._n["days_grown" if held else "days_new"] += 1
        self._n["fixes_new"] += len(fixes) - len(kept)
        self._days[day] = Day(day, len(fixes), digest, write_day(self._stage, day, fixes))
        self._count(kept, fixes)
        return len(fixes)

    def tell_of(self, events: Iterable[DeviceEvent], activations: Activations | None) -> None:
        """Take events, in order, and activations, beside those that are there."""
        folder = self._stage.parent
        if (told := self._base.events) is not None:
            table = write_events(self._stage, together(read_events(folder / told.path), self._unerased(events)))
        else:
            table = write_events(self._stage, together(self._unerased(events)))
        if table.rows or told:
            self._tables["events"] = table
        else:
            (self._stage / table.path).unlink()
        if activations is not None and activations.rows:
            known = self._base.activations
            both = joined(read_activations(folder / known.path), activations) if known else activations
            self._tables["activations"] = write_activations(self._stage, both)

    def manifest(self, software: str) -> Manifest:
        """The manifest of the archive as it will be."""
        return msgspec.structs.replace(
            self._base, software=software, days=[*self._days.values()], devices=self._devices, **self._tables
        )

    def told(self) -> Exported:
        """What came of it."""
        return Exported(**self._n)

    def _count(self, kept: Fixes, fixes: Fixes) -> None:
        """Count the fixes of a day to their devices, of which some were counted before."""
        before = dict(zip(kept.devices, np.bincount(kept.device, minlength=len(kept.devices)).tolist(), strict=True))
        for name, found in devices_of(fixes).items():
            n_new = found.fixes - before.get(name, 0)
            known = self._devices.get(name)
            self._devices[name] = Device(n_new, found.first, found.last) if known is None else Device(
                known.fixes + n_new, min(known.first, found.first, key=instant_of), max(known.last, found.last, key=instant_of)
            )  # fmt: skip

    def _without_erased(self, fixes: Fixes) -> Fixes:
        gone = np.zeros(len(fixes), np.bool_)
        index = {name: k for k, name in enumerate(fixes.devices)}
        for erasure in self._base.erasures:
            if erasure.device in index:
                within = (fixes.time_us >= instant_of(erasure.from_)) & (fixes.time_us < instant_of(erasure.to))
                gone |= within & (fixes.device == index[erasure.device])
        self._n["fixes_erased"] += int(gone.sum())
        return once(fixes.take(~gone)) if gone.any() else fixes

    def _unerased(self, events: Iterable[DeviceEvent]) -> Iterator[DeviceEvent]:
        spans: dict[str, list[tuple[int, int]]] = {}
        for erasure in self._base.erasures:
            spans.setdefault(erasure.device, []).append((instant_of(erasure.from_), instant_of(erasure.to)))
        for event in events:
            if not any(first <= event.time_us < end for first, end in spans.get(event.device, ())):
                yield event


def devices_of(fixes: Fixes) -> dict[str, Device]:
    """Of each device in fixes that are in the order of `once` how many they are, the first and the last."""
    starts = np.searchsorted(fixes.device, np.arange(len(fixes.devices) + 1)).tolist()
    return {
        name: Device(stop - start, to_iso(int(fixes.time_us[start])), to_iso(int(fixes.time_us[stop - 1])))
        for name, start, stop in zip(fixes.devices, starts, starts[1:], strict=False)
    }


def require_whole(archive: Archive, day: Day) -> Fixes:
    """The fixes of a day; InputError where a file of it is not what the manifest says."""
    for file in day.files:
        path = archive.folder / file.path
        if not path.is_file() or hash_of(path) != file.sha256:
            raise InputError(
                "is missing or damaged, so nothing is changed", place=str(path), expected="an archive that verifies"
            )
    return archive.day(day)


def _require_room_for_archive(folder: Path) -> None:
    """InputError where the folder holds something, and no archive."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is not a folder", place=str(folder))
    if folder.is_dir() and not is_archive(folder):
        others = sorted(path.name for path in folder.iterdir() if path.name != STAGE)
        if others:
            raise InputError(
                f"holds {others[0]}, and no {NAME}", place=str(folder), expected="an archive or an empty folder"
            )
