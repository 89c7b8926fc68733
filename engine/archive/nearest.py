"""The nearest fixes on one side of an instant, found day by day outwards, and no farther than it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activations
from engine.archive.groups import Group, Span, fixes_of
from engine.archive.manifest import Day, instant_of
from engine.archive.order import once
from engine.fixes import NAMES, Fixes, concat
from engine.kernels import find_interval

if TYPE_CHECKING:
    from engine.archive.reader import Archive

NEAREST = 64
"""So many fixes on one side of an instant are enough for what bounds the match."""
_FAR_US = 2**62


class Ask(NamedTuple):
    """For the fixes of a device with from_us <= time < to_us: at most n, the last of them or the first."""

    device: str
    from_us: int
    to_us: int
    n: int = NEAREST


def nearest_of_devices(archive: Archive, devices: Iterable[str], time_us: int, *, before: bool) -> Fixes:
    """For each device its last 64 fixes before an instant, or its first 64 after it."""
    bounds = (-_FAR_US, time_us) if before else (time_us + 1, _FAR_US)
    return _nearest(archive, [Ask(name, *bounds) for name in {*devices}], before=before)[0]


def nearest_of_wearers(archive: Archive, worn: Activations, time_us: int, *, before: bool) -> Fixes:
    """For each wearer and device of these activations the last 64 fixes before an instant, or the first 64 after it, from as
    many activations as it takes. The 64 of a device may all be of somebody else, who had it in between."""
    queues: dict[tuple[str, str], list[Ask]] = {}
    for row in worn.rows:
        first_us, end_us = (row.from_us, min(row.to_us, time_us)) if before else (max(row.from_us, time_us + 1), row.to_us)
        if first_us < end_us:
            queues.setdefault((row.wearer, row.device), []).append(Ask(row.device, first_us, end_us))
    lacking, found = dict.fromkeys(queues, NEAREST), list[Fixes]()
    while queues:
        asks = [queue.pop(-1 if before else 0)._replace(n=lacking[key]) for key, queue in queues.items()]
        fixes, counts = _nearest(archive, asks, before=before)
        found.append(fixes)
        for key, n in zip(queues, counts, strict=True):
            lacking[key] -= n
        queues = {key: queue for key, queue in queues.items() if queue and lacking[key] > 0}
    return once(concat(found))


def _nearest(archive: Archive, asks: Sequence[Ask], *, before: bool) -> tuple[Fixes, list[int]]:
    """What is asked for, of all asks together, and how many fixes of each."""
    told, found, counts = archive.manifest, list[Fixes](), [0] * len(asks)
    ends = {name: (instant_of(device.first), instant_of(device.last)) for name, device in told.devices.items()}
    bounds = [  # within what the archive holds of the device; None: nothing
        (max(ask.from_us, ends[ask.device][0]), min(ask.to_us - 1, ends[ask.device][1])) if ask.device in ends else (1, 0)
        for ask in asks
    ]
    for day in reversed(told.days) if before else told.days:
        first_us = min(instant_of(file.first) for file in day.files)
        last_us = max(instant_of(file.last) for file in day.files)
        open_asks = [
            k for k, (least, most) in enumerate(bounds)
            if counts[k] < asks[k].n and least <= most and least <= last_us and most >= first_us
        ]  # fmt: skip
        if open_asks:
            fixes, n_each = _of_day(
                archive, day, [asks[k]._replace(n=asks[k].n - counts[k]) for k in open_asks], before=before
            )
            found.append(fixes)
            for k, n in zip(open_asks, n_each, strict=True):
                counts[k] += n
    return once(concat(found)), counts


def _of_day(archive: Archive, day: Day, asks: Sequence[Ask], *, before: bool) -> tuple[Fixes, list[int]]:
    """What is asked for as far as a day holds it. First is seen from names and times in which rows it is."""
    span = Span(min(ask.from_us for ask in asks), max(ask.to_us for ask in asks) - 1)
    groups = [(file, k) for file in map(archive.file, day.files) for k in file.candidates(span)]
    seen = [file.read(k, ("device", "time_us")) for file, k in groups]
    asked = _Asked(asks)
    owner = np.concatenate([asked.of(group) for group in seen] or [np.empty(0, np.int32)])
    time_us = np.concatenate([group.columns["time_us"] for group in seen] or [np.empty(0, np.int64)])
    rows = np.flatnonzero(owner >= 0)
    rows = rows[np.lexsort((-time_us[rows] if before else time_us[rows], owner[rows]))]
    starts = np.searchsorted(owner[rows], np.arange(len(asks)))
    most = np.array([ask.n for ask in asks])
    near = np.sort(rows[np.arange(len(rows)) - starts[owner[rows]] < most[owner[rows]]])
    cuts = np.cumsum([0, *(len(group.columns["time_us"]) for group in seen)])
    parts = [
        fixes_of(file.read(k, NAMES)).take(near[first:last] - start)
        for (file, k), start, first, last in zip(
            groups,
            cuts.tolist(),
            np.searchsorted(near, cuts[:-1]).tolist(),
            np.searchsorted(near, cuts[1:]).tolist(),
            strict=False,
        )
        if first < last
    ]
    return concat(parts), np.bincount(owner[near], minlength=len(asks)).tolist()


class _Asked:
    """Asks by device, to find whose a fix is: the spans of one device have no time in common."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        self._order = np.array(sorted(range(len(asks)), key=lambda k: (asks[k].device, asks[k].from_us)), np.int32)
        names = [asks[k].device for k in self._order]
        self._first: Mapping[str, int] = {name: k for k, name in reversed(list(enumerate(names)))}
        self._n: Mapping[str, int] = Counter(names)
        self._from_us = np.array([asks[k].from_us for k in self._order], np.int64)
        self._to_us = np.array([asks[k].to_us for k in self._order], np.int64)

    def of(self, group: Group) -> NDArray[np.int32]:
        """For each row (n,) of a row group the index of the ask that it is for, -1 where it is for none."""
        start = np.array([self._first.get(name, 0) for name in group.devices], np.int32)
        count = np.array([self._n.get(name, 0) for name in group.devices], np.int32)
        columns = group.columns
        found = find_interval(columns["device"], columns["time_us"], start, count, self._from_us, self._to_us)
        return np.where(found >= 0, self._order[found], found)
