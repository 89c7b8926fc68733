"""The watch: which places concern which wearer, and the state of every (wearer, place) as fixes come, early or late.

A slot is one (wearer, place). In-order fixes go on from the slot's state; a late fix goes back to the last kept state
before it and recomputes from there. A zone for everybody gets a slot for a wearer when it is first found near one of the
wearer's fixes; its slot is then fed the whole trail, so when that happens does not matter to the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import flags
from engine.trail import CHECKPOINT_EVERY, Trail
from geofence.box_tree import BoxTree
from geofence.check import FRESH, Advanced, Check, FilterSettings, reaches
from geofence.crossing import may_cross
from geofence.curfew import Curfew
from geofence.filter import BLOCK, CHANGE, FILTER_STATE, SINGLE, UNKNOWN, Columns
from geofence.places import Places, compile_places
from geofence.polygon_mass import TURN
from geofence.zone import EVERYBODY, Place, Zone

_NO_STATES, _NO_CHANGES = np.empty(0, FILTER_STATE), np.empty(0, CHANGE)
_ROWS_OF_STATE, _ROWS_OF_CHANGE = ("last", "run_start", "last_in", "last_out"), ("at", "began", "after")

if CHECKPOINT_EVERY != BLOCK:
    raise ImportError("states are kept where the trail keeps its own")


class Subject(NamedTuple):
    """What a slot is about: a version of a zone, of its ring of early warning, or of a curfew, and its row in Places."""

    kind: str  # exclusion, inclusion, buffer or curfew
    of: Zone | Curfew
    place: int


@dataclass(slots=True)
class Slot:
    """One (wearer, place): its state, the states kept to rewind to, and its changes so far.

    `first` is the state where the trail becomes whole, `marked` that of the trail's mark.
    """

    subject: Subject
    number: int
    first: NDArray[Any] = field(default_factory=lambda: FRESH)
    marked: NDArray[Any] = field(default_factory=lambda: FRESH)
    kept: NDArray[Any] = field(default_factory=lambda: _NO_STATES)
    changes: NDArray[Any] = field(default_factory=lambda: _NO_CHANGES)


class Watch:
    """The slots of all wearers: found, fed, rewound where fixes come late, cut where a trail forgets its beginning."""

    def __init__(
        self, zones: Sequence[Zone], curfews: Sequence[Curfew], settings: FilterSettings = FilterSettings()
    ) -> None:
        self._rows: dict[tuple[str, str, str, int], int] = {}
        self._shapes: list[tuple[Place, ...]] = []
        self._slots: dict[str, dict[int, Slot]] = {}
        self.lacking: set[str] = set()
        """Wearers who need a slot from a time that their trail has forgotten: they are to be dropped and fed as a whole."""
        self.near_zones: set[str] = set()
        """Whose way to the fixes of the last feed came near enough to a zone that it may cross it."""
        self.check = Check(compile_places([]), [], settings)
        self.revise(zones, curfews)

    def revise(self, zones: Sequence[Zone], curfews: Sequence[Curfew]) -> None:
        """Make these the versions that are watched. Slots of the same versions go on; those of others end."""
        self.zones, self.curfews = tuple(zones), tuple(curfews)
        n_before = len(self._shapes)
        subjects = list(self._subjects())
        if len(self._shapes) > n_before:
            self.check.revise(compile_places(self._shapes), self._shapes)
        self._subject_of = {subject.place: subject for subject in subjects}
        everybody = [s.place for s in subjects if s.kind in ("exclusion", "buffer") and _is_for_everybody(s)]
        self._everybody, self._n_everybody = BoxTree(self.places.box[everybody], everybody), len(everybody)
        self._always: dict[str, list[Subject]] = {}
        for subject in subjects:
            if subject.kind not in ("exclusion", "buffer") or not _is_for_everybody(subject):
                for wearer in (subject.of.wearer,) if isinstance(subject.of, Curfew) else subject.of.wearers:
                    self._always.setdefault(wearer, []).append(subject)
        for mine in self._slots.values():
            for place, slot in list(mine.items()):
                if place in self._subject_of:
                    slot.subject = self._subject_of[place]
                else:
                    self.check.free_slot(mine.pop(place).number)

    def _subjects(self) -> Iterator[Subject]:
        """A subject for each version, in the order of the versions; places are compiled once and stay where they are."""
        seen: Counter[tuple[str, str, str]] = Counter()
        versions: list[tuple[str, Zone | Curfew, tuple[Place, ...]]] = [(z.kind, z, (z.place,)) for z in self.zones]
        versions += [("curfew", curfew, curfew.places) for curfew in self.curfews]
        versions += [("buffer", z, (z.ring,)) for z in self.zones if z.kind == "exclusion" and z.buffer_m]
        for kind, of, shape in versions:
            key = kind, of.id, of.version
            seen[key] += 1
            place = self._rows.setdefault((*key, seen[key]), len(self._shapes))
            if place == len(self._shapes):
                self._shapes.append(shape)
            yield Subject(kind, of, place)

    @property
    def places(self) -> Places:
        """The geometry of all places."""
        return self.check.places

    @property
    def settings(self) -> FilterSettings:
        """The filter's settings."""
        return self.check.settings

    @property
    def raise_logit(self) -> float:
        """The posterior to raise at, in log odds."""
        return self.check.rules.raise_logit

    def slots(self, wearer: str) -> Iterable[Slot]:
        """The slots of a wearer, in the order of their places."""
        mine = self._slots.get(wearer, {})
        return (mine[place] for place in sorted(mine))

    def own_slots(self, wearer: str) -> list[Slot]:
        """The slots of the places that are this wearer's own, made where they are not there yet."""
        mine = self._slots.setdefault(wearer, {})
        self._new_slots(wearer, mine, [])
        return list(mine.values())

    def base(self, slot: Slot) -> float:
        """The base rate that a slot's posterior goes back to in a gap."""
        return float(self.check.slots.base[slot.number])

    def state(self, slot: Slot) -> Any:
        """The filter's present state of a slot (a FILTER_STATE record)."""
        return self.check.states[slot.number]

    def feed(self, trails: Sequence[Trail], firsts: Sequence[int]) -> list[bool]:
        """Bring the slots of these trails up to date, each from its first changed row on.

        Returns for each trail whether any of its changes of state were added, altered or taken back, or a way between fixes
        may have crossed a zone. (A late fix, and a silence that was broken, change alerts too: the caller knows of both.)
        """
        feed, moved = _Feed(self.check), []
        for trail, first, near in zip(trails, firsts, self._near(trails, firsts), strict=True):
            mine = self._slots.setdefault(trail.wearer, {})
            old = list(mine.values())
            new = self._new_slots(trail.wearer, mine, near)
            if new:
                trail.unmark()
                if not trail.is_whole:
                    self.lacking.add(trail.wearer)
            start = self._rewind(old, first, trail.base) if old else first
            moved.append(start < first or bool(new))
            if old:
                feed.add(trail, start, old)
            if new:
                feed.add(trail, 0, new)
        changed = feed.run()
        self.near_zones = feed.near_zones
        return [
            was or any(s.number in changed for s in self._slots[trail.wearer].values())
            for trail, was in zip(trails, moved, strict=True)
        ]

    def _near(self, trails: Sequence[Trail], firsts: Sequence[int]) -> list[list[int]]:
        """For each trail the zones for everybody that its new fixes, or the ways to them, come near enough to matter."""
        if not self._n_everybody or not trails:
            return [[] for _ in trails]
        ways = [_ways(trail, first) for trail, first in zip(trails, firsts, strict=True)]
        cuts = np.cumsum([0, *(way.shape[1] for way in ways)])
        starts, rows = self._everybody.near(cuts, *np.concatenate(ways, axis=1))
        return [piece.tolist() for piece in np.split(rows, starts[1:-1])]

    def _new_slots(self, wearer: str, mine: dict[int, Slot], near: list[int]) -> list[Slot]:
        wanted = [s for who in (wearer, "*") for s in self._always.get(who, ()) if s.place not in mine]
        wanted += [self._subject_of[place] for place in near if place not in mine]
        new = [Slot(s, self.check.add_slot(s.place, exclusion=s.kind in ("exclusion", "buffer"))) for s in wanted]
        mine.update({slot.subject.place: slot for slot in new})
        return new

    def _rewind(self, slots: list[Slot], first: int, base: int) -> int:
        """Put the slots back to the last state kept before row `first`; returns the row to go on from."""
        states = self.check.states
        before_kept = base // BLOCK
        kept = first // BLOCK - before_kept
        lengths = {len(slot.kept) for slot in slots}
        last = self.check.column["last"]
        if lengths == {kept} and all(last[slot.number] < first for slot in slots):
            return first  # nothing to take back
        n = min(kept, *lengths)
        row = (before_kept + n) * BLOCK if n else base
        for slot in slots:
            slot.kept = slot.kept[:n]
            states[slot.number] = slot.kept[-1] if n else slot.first[0]
            slot.changes = _before(slot.changes, row, int(states[slot.number]["last"]))
        return row

    def drop(self, wearer: str) -> None:
        """Forget everything about a wearer, who will be fed as a whole again."""
        for slot in self._slots.pop(wearer, {}).values():
            self.check.free_slot(slot.number)
        self.lacking.discard(wearer)

    def mark(self, wearer: str) -> None:
        """Remember the states as they are: the trail's mark is put here."""
        for slot in self.slots(wearer):
            slot.marked = self.check.states[slot.number : slot.number + 1].copy()

    def forget(self, wearer: str, from_us: int, trail: Trail) -> None:
        """Leave out changes that have no effect from an instant on; the last before it stays."""
        for slot in self.slots(wearer):
            slot.changes = slot.changes[_first_change(slot, trail, from_us) :]

    def rows_of(self, wearer: str) -> set[int]:
        """The rows of the trail that states and changes refer to, those of the mark too."""
        rows: set[int] = set()
        for slot in self.slots(wearer):
            for states in (self.check.states[slot.number : slot.number + 1], slot.marked):
                rows.update(int(states[name][0]) for name in _ROWS_OF_STATE)
            for name in _ROWS_OF_CHANGE:
                rows.update(slot.changes[name].tolist())
        return rows - {-1}

    def renumber(self, wearer: str, moved: NDArray[np.int64]) -> None:
        """Rows of the trail have new numbers (n,), -1 where they are gone; the trail's mark is now where it becomes whole."""
        moved = np.append(moved, -1)  # -1 stays -1
        for slot in self.slots(wearer):
            state = self.check.states[slot.number : slot.number + 1]
            slot.first, slot.kept = slot.marked, _NO_STATES
            slot.changes = slot.changes.copy()
            for states in (state, slot.first):
                for name in _ROWS_OF_STATE:
                    states[name] = moved[states[name]]
            for name in _ROWS_OF_CHANGE:
                slot.changes[name] = moved[slot.changes[name]]


_LONG = 4 * BLOCK
"""Rows of a trail that are worth a call of their own: shorter pieces are joined into one set of columns."""


class _Feed:
    """Pieces of trails for the check, and what it did to their slots."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._short: list[tuple[Trail, int, list[Slot]]] = []
        self._changed: set[int] = set()
        self.near_zones: set[str] = set()

    def add(self, trail: Trail, start: int, slots: list[Slot]) -> None:
        """Feed these slots the trail's rows from `start` on."""
        if len(trail) - start >= _LONG:
            self._feed([(trail, start, slots)])
            self.near_zones.add(trail.wearer)
        elif len(trail) > start:
            self._short.append((trail, start, slots))

    def run(self) -> set[int]:
        """Feed what is left; returns the numbers of all slots that changed."""
        if self._short:
            self._feed(self._short)
            self._find_near_zones()
        return self._changed

    def _feed(self, pieces: Sequence[tuple[Trail, int, list[Slot]]]) -> None:
        bounds: list[tuple[int, ...]] = []
        roster: list[int] = []
        n_rows = 0
        for trail, start, slots in pieces:
            n = len(trail) - start
            bounds.append((n_rows, n_rows + n, start - n_rows, len(roster), len(roster) + len(slots)))
            roster += [slot.number for slot in slots]
            n_rows += n
        parts = ([trail.column(name)[start:] for trail, start, _ in pieces] for name in Columns._fields)
        columns = Columns(*(part[0] if len(part) == 1 else np.concatenate(part) for part in parts))
        done = self._check.advance(np.array(bounds, np.int64), np.array(roster, np.int64), columns)
        if len(done.changes) or len(done.kept):
            self._note({slot.number: slot for _, _, slots in pieces for slot in slots}, done)

    def _find_near_zones(self) -> None:
        """Note the wearers whose latest fixes, far enough back for four of them to carry weight, come near a zone of theirs."""
        names = ("lon_e7", "lat_e7", "sigma_m", "model", "flags")
        rows: list[list[NDArray[Any]]] = []
        parts: list[tuple[int, int]] = []
        roster: list[int] = []
        for trail, start, slots in self._short:
            back = next(b for b in (16, 512, start) if b >= start or _n_weighty(trail, start - b) >= 4)
            rows.append([trail.column(name)[max(0, start - back) :] for name in names])
            parts.append((len(roster), len(roster) + len(slots)))
            roster += [slot.number for slot in slots]
        lon, lat, sigma, model, bits = (np.concatenate(column) for column in zip(*rows, strict=True))
        cuts, found = np.cumsum([0, *(len(row[0]) for row in rows)]), np.zeros(len(rows), np.bool_)
        check = self._check
        may_cross(
            cuts, lon, lat, sigma * reaches()[model], (bits & flags.WEIGHTLESS) == 0, np.array(parts), np.array(roster),
            check.slots.single, check.slots.place, check.bounds.outer, found,
        )  # fmt: skip
        self.near_zones |= {trail.wearer for (trail, _, _), near in zip(self._short, found.tolist(), strict=True) if near}

    def _note(self, slots: dict[int, Slot], done: Advanced) -> None:
        """Hand changes and kept states to their slots."""
        for number, changes in _by_slot(done.changes):
            slots[number].changes = _joined(slots[number].changes, changes)
            self._changed.add(number)
        for number, kept in _by_slot(done.kept):
            slots[number].kept = _joined(slots[number].kept, kept["state"])


def _first_change(slot: Slot, trail: Trail, from_us: int) -> int:
    """The index of the last change whose state began before an instant, 0 where there is none."""
    times, silence, changes = trail.column("time_us"), trail.column("silence_us"), slot.changes
    begins = times[changes["began"]] + np.where(changes["state"] == UNKNOWN, silence[changes["at"]], 0)
    before = np.flatnonzero(begins <= from_us)
    return int(before[-1]) if len(before) else 0


def _is_for_everybody(subject: Subject) -> bool:
    return isinstance(subject.of, Zone) and subject.of.wearers == EVERYBODY


def _n_weighty(trail: Trail, start: int, stop: int | None = None) -> int:
    return int(np.count_nonzero((trail.column("flags")[start:stop] & flags.WEIGHTLESS) == 0))


def _by_slot(rows: NDArray[Any]) -> Iterable[tuple[int, NDArray[Any]]]:
    """The rows of each slot, in their order."""
    if not len(rows):
        return ()
    rows = rows[np.argsort(rows["slot"], kind="stable")]
    numbers, starts = np.unique(rows["slot"], return_index=True)
    return zip(numbers.tolist(), np.split(rows, starts[1:]), strict=True)


def _joined(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([before, after]) if len(before) else after


def _ways(trail: Trail, first: int) -> NDArray[np.float64]:
    """The boxes of the ways to a trail's fixes with weight from row `first` on, each from the fix with weight before it, with
    their reach: longitude and latitude of the middle, half of width and height, shape (4, n) [1e-7 degree]."""
    start = first
    while start and not _n_weighty(trail, start, first):
        start = max(0, start - BLOCK)
    rows = start + np.flatnonzero((trail.column("flags")[start:] & flags.WEIGHTLESS) == 0)
    rows = rows[max(0, int(np.searchsorted(rows, first)) - 1) :]
    x, y = trail.column("lon_e7")[rows].astype(np.float64), trail.column("lat_e7")[rows].astype(np.float64)
    high = (
        trail.column("sigma_m")[rows] * reaches()[trail.column("model")[rows]] * 91.0
    )  # 1 m is at most 90.5 units of latitude
    wide = high / np.cos(np.radians(np.minimum(np.abs(y) * 1e-7 + 0.5, 89.0)))
    wide[np.abs(y) > 8.85e8] = TURN  # about a pole all longitudes are near
    before = np.maximum(np.arange(len(rows)) - 1, 0)
    dx = x - x[before]
    half_x, half_y = (dx - TURN * np.rint(dx / TURN)) / 2.0, (y - y[before]) / 2.0  # the short way round
    wide, high = np.abs(half_x) + np.maximum(wide, wide[before]), np.abs(half_y) + np.maximum(high, high[before])
    return np.stack([x - half_x, y - half_y, wide, high])


def _before(changes: NDArray[Any], row: int, last: int) -> NDArray[Any]:
    """The changes that were written before `row`, where `last` is the last fix that said anything before it.

    A change to UNKNOWN or SINGLE is dated at the fix before the silence but written when the next one comes: that of `last`
    itself was written at `row` or later, and a late fix may fill the silence.
    """
    spoken = (changes["state"] == UNKNOWN) | (changes["state"] == SINGLE)
    before: NDArray[Any] = changes[(changes["at"] < row) & ~(spoken & (changes["at"] == last))]
    return before
