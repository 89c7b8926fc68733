"""Portions: fixes handed out by wearer, from memory or straight from a Parquet file whose rows lie together by device.

A portion is small enough to stay in the processor's cache while it goes through the monitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activations
from engine.fixes import Fixes
from engine.kernels import count_owners, place_rows, survey_rows
from ingest.fault import Fault, Faults
from ingest.parquet_trail import ParquetTrail

_PORTION = 65_536
"""Fixes that are handed out at a time, or one wearer's where they are more."""
_RUNS_A_DEVICE = 4
"""Rows lie together by device where they come in no more runs than this for each."""


class Portions(Protocol):
    """Fixes that are handed out by wearer; sizes (n_wearers,) is about how many each has."""

    n_fixes: int
    wearers: list[str]
    sizes: NDArray[np.int64]

    def of(self, first: int, last: int) -> Iterator[tuple[Fixes, Iterable[str]]]:
        """Fixes of the wearers first:last, a portion at a time, each with those of whom nothing comes after it."""


class HeldFixes:
    """Portions of fixes in memory, whatever their order; without activations the device is the wearer."""

    def __init__(self, fixes: Fixes, activations: Activations) -> None:
        self.n_fixes, self._fixes = len(fixes), fixes
        worn_by = [row.wearer for row in activations.rows] or list(fixes.devices)
        number = {name: k for k, name in enumerate(dict.fromkeys(worn_by))}
        of_row = np.array([*(number[name] for name in worn_by), -1], np.int32)  # the last is that of UNASSIGNED
        owner = of_row[activations.of_fixes(fixes) if activations.rows else fixes.device]
        self.wearers, self.sizes = list(number), np.zeros(len(number), np.int64)
        in_order = count_owners(owner, self.sizes)
        self._cuts = np.concatenate([[0], np.cumsum(self.sizes)])
        self._rows: NDArray[np.int64] | None = None
        if not in_order:
            self._rows = np.empty(self._cuts[-1], np.int64)
            place_rows(owner, self._cuts[:-1].copy(), self._rows)

    def of(self, first: int, last: int) -> Iterator[tuple[Fixes, Iterable[str]]]:
        """See `Portions`."""
        cuts = self._cuts
        while first < last:
            stop = min(last, max(first + 1, int(np.searchsorted(cuts, cuts[first] + _PORTION, side="right")) - 1))
            where = slice(int(cuts[first]), int(cuts[stop]))
            yield self._fixes.take(where if self._rows is None else self._rows[where]), self.wearers[first:stop]
            first = stop


class FaultyRowError(Exception):
    """A row is not what it should be: the file has to be read as a whole, so that every fault is told."""


@dataclass(slots=True)
class Survey:
    """What a look at devices and times tells of a file: the devices with their numbers, of each how many rows it has, its
    first and its last (n_devices, 3), the newest time [us], and how many rows are after the instant asked for."""

    devices: dict[str, int]
    rows: NDArray[np.int64]
    newest_us: int
    n_after: int


def survey(trail: ParquetTrail, as_of_us: int | None) -> Survey | None:
    """None where the file is to be read as a whole: its times or names are not plain, or its rows do not lie by device."""
    found = Survey({}, np.zeros((64, 3), np.int64), 0, 0)
    row, n_runs, number = 0, 0, np.empty(0, np.int32)
    known: tuple[str, ...] = ()
    for keys in trail.names_and_times():
        if keys is None:
            return None
        names, device, time_us = keys
        if names is not known:
            known, number = names, np.array([found.devices.setdefault(n, len(found.devices)) for n in names], np.int32)
        while len(found.devices) > len(found.rows):
            found.rows = np.concatenate([found.rows, np.zeros_like(found.rows)])
        n_runs += survey_rows(number[device], row, found.rows)
        row += len(time_us)
        found.newest_us = max(found.newest_us, int(time_us.max()))
        found.n_after += 0 if as_of_us is None else int(np.count_nonzero(time_us > as_of_us))
        if n_runs > _RUNS_A_DEVICE * len(found.devices) + row // _PORTION:
            return None
    return found


class FileFixes:
    """Portions of a Parquet file, each read by whoever asks for it; without activations the device is the wearer."""

    def __init__(
        self, trail: ParquetTrail, found: Survey, activations: Activations, as_of_us: int | None = None
    ) -> None:  # fmt: skip
        self._trail, self._found, self._as_of_us = trail, found, as_of_us
        self.n_fixes = len(trail) - found.n_after
        worn = [(row.device, row.wearer) for row in activations.rows] or [(name, name) for name in found.devices]
        self._has_strangers = not {device for device, _ in worn} >= found.devices.keys()
        self._devices_of: dict[str, list[int]] = {}
        for device, wearer in dict.fromkeys(worn):
            mine = self._devices_of.setdefault(wearer, [])
            if device in found.devices:
                mine.append(found.devices[device])
        self.wearers = sorted(self._devices_of, key=lambda name: min(self._devices_of[name], default=-1))
        self.sizes = np.array([found.rows[self._devices_of[name], 0].sum() for name in self.wearers], np.int64)

    def of(self, first: int, last: int) -> Iterator[tuple[Fixes, Iterable[str]]]:
        """See `Portions`. FaultyRowError where a row is not what it should be."""
        devices_of = {name: self._devices_of[name] for name in self.wearers[first:last] if self._devices_of[name]}
        mine = sorted({device for devices in devices_of.values() for device in devices})
        checks_all = first == 0 and self._has_strangers  # rows that nobody wears are checked too, by one of us
        if not mine and not checks_all:
            return
        rows, names = self._found.rows, list(self._found.devices)
        wanted = {names[device] for device in mine}
        ends = sorted((int(rows[devices, 2].max()), name) for name, devices in devices_of.items())
        n_ended, held = 0, np.empty(0, np.bool_)
        known: tuple[str, ...] = ()
        where = (0, len(self._trail) - 1) if checks_all else (int(rows[mine, 1].min()), int(rows[mine, 2].max()))
        for row, piece in self._trail.pieces(*where, Faults("", _refuse)):
            n_before = n_ended
            while n_ended < len(ends) and ends[n_ended][0] < row:
                n_ended += 1
            if piece.devices is not known:
                known, held = piece.devices, np.array([name in wanted for name in piece.devices])
            yield self._part(piece, held), [name for _, name in ends[n_before:n_ended]]

    def _part(self, piece: Fixes, held: NDArray[np.bool_]) -> Fixes:
        """The fixes of the devices that are held (n_devices,), up to the instant."""
        if self._as_of_us is not None and len(piece) and int(piece.time_us.max()) > self._as_of_us:
            piece = piece.take(piece.time_us <= self._as_of_us)
        mine = held[piece.device]
        return piece if mine.all() else piece.take(mine)


def _refuse(fault: Fault) -> None:
    raise FaultyRowError(fault.place)
