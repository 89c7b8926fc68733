"""The watch: which places concern which wearer, and the state of every (wearer, place) as fixes come, early or late.

A slot is one (wearer, place). In-order fixes go on from the slot's state; a late fix goes back to the last kept state
before it and recomputes from there. An exclusion zone gets a slot for a wearer when the R-tree first finds the zone near
one of the wearer's fixes; its slot is then fed the whole trail, so when that happens does not matter to the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import flags
from engine.error_model import TAILS
from engine.errors import InputError
from engine.trail import CHECKPOINT_EVERY, Trail
from geofence.catalogue import Catalogue
from geofence.curfew import Curfew
from geofence.evidence import FAR_SIGMAS
from geofence.filter import CHANGE, FILTER_STATE, MOST_LOGIT, SINGLE, UNKNOWN, filter_places
from geofence.places import Places, compile_places
from geofence.zone import Zone

COLUMNS = ("time_us", "lat_e7", "lon_e7", "sigma_m", "model", "flags", "silence_us")
"""What the filter takes of a trail, in its order."""
_PIECE = 8 * CHECKPOINT_EVERY
"""Longest run of fixes given to the filter as one job: bounds the room that its changes need."""
_ROOM = 4 * _PIECE


class FilterSettings(NamedTuple):
    """Settings of the in/out filter; probabilities, and time constants in seconds."""

    raise_at: float = 0.95
    clear_at: float = 0.05
    base_exclusion: float = 0.1
    base_stay: float = 0.5
    relax_s: float = 1800.0
    correlation_s: float = 300.0


class Subject(NamedTuple):
    """What a slot is about: a zone or a curfew, and its place's row in Places."""

    kind: str  # exclusion, inclusion or curfew
    of: Zone | Curfew
    place: int


@dataclass(slots=True)
class Slot:
    """One (wearer, place): its state, the states kept to rewind to, and its changes so far."""

    subject: Subject
    number: int
    kept: list[NDArray[Any]] = field(default_factory=list)
    changes: NDArray[Any] = field(default_factory=lambda: np.empty(0, CHANGE))


class Watch:
    """The states of all slots of all wearers, and the one kernel call that moves them."""

    def __init__(
        self, zones: Sequence[Zone], curfews: Sequence[Curfew],
        settings: FilterSettings = FilterSettings(),
    ) -> None:  # fmt: skip
        self.settings = _reachable(settings)
        self.zones, self.curfews = tuple(zones), tuple(curfews)
        self.places: Places = compile_places([*((z.place,) for z in zones), *(c.places for c in curfews)])
        self.raise_logit, self.clear_logit = _logit(settings.raise_at), _logit(settings.clear_at)
        self.most_logit = MOST_LOGIT
        exclusion = [i for i, zone in enumerate(zones) if zone.kind == "exclusion"]
        self.catalogue = Catalogue(self.places.box[exclusion], exclusion)
        self._always: dict[str, list[Subject]] = {}
        for i, zone in enumerate(zones):
            if zone.kind == "inclusion":
                for wearer in zone.wearers:
                    self._always.setdefault(wearer, []).append(Subject("inclusion", zone, i))
        for i, curfew in enumerate(curfews, len(self.zones)):
            self._always.setdefault(curfew.wearer, []).append(Subject("curfew", curfew, i))
        self._slots: dict[str, dict[int, Slot]] = {}
        self._states = np.zeros(64, FILTER_STATE)
        self._of_slot = np.full((64, 2), settings.base_exclusion)  # place, base rate
        self._single = np.zeros(64, np.uint8)
        self._n_slots = 0

    def slots(self, wearer: str) -> Iterable[Slot]:
        """The slots of a wearer, in the order of their places."""
        mine = self._slots.get(wearer, {})
        return (mine[place] for place in sorted(mine))

    def base(self, slot: Slot) -> float:
        """The base rate that a slot's posterior goes back to in a gap."""
        return float(self._of_slot[slot.number, 1])

    def state(self, slot: Slot) -> Any:
        """The filter's present state of a slot (a FILTER_STATE record)."""
        return self._states[slot.number]

    def feed(self, trails: Sequence[Trail], firsts: Sequence[int]) -> list[bool]:
        """Bring the slots of these trails up to date, each from its first changed row on.

        Returns for each trail whether any of its changes of state were added, altered or taken back.
        """
        feed, late = _Feed(), []
        for trail, first, near in zip(trails, firsts, self._near(trails, firsts), strict=True):
            mine = self._slots.setdefault(trail.wearer, {})
            old = list(mine.values())
            new = self._new_slots(trail.wearer, mine, near)
            start = self._rewind(old, first) if old else first
            late.append(start < first or bool(new))
            if old:
                feed.add(trail, start, old)
            if new:
                feed.add(trail, 0, new)
        moved = self._run(feed)
        return [
            was_late or any(slot.number in moved for slot in self._slots[trail.wearer].values())
            for trail, was_late in zip(trails, late, strict=True)
        ]

    def _near(self, trails: Sequence[Trail], firsts: Sequence[int]) -> list[list[int]]:
        """For each trail the exclusion zones whose box the new fixes come near enough to matter."""
        boxes = np.empty((len(trails), 4))
        for k, (trail, first) in enumerate(zip(trails, firsts, strict=True)):
            weighs = (trail.column("flags")[first:] & flags.WEIGHTLESS) == 0
            if not weighs.any():
                boxes[k] = np.nan
                continue
            x, y = trail.column("lon_e7")[first:][weighs], trail.column("lat_e7")[first:][weighs]
            reach = trail.column("sigma_m")[first:][weighs] * TAILS[trail.column("model")[first:][weighs], 1] * FAR_SIGMAS
            dy = reach * 91.0  # 1 m is at most 90.5 units of 1e-7 degree of latitude
            dx = dy / np.maximum(0.01, np.cos(np.radians(np.minimum(np.abs(y) * 1e-7 + 0.5, 89.0))))
            boxes[k] = (x - dx).min(), (y - dy).min(), (x + dx).max(), (y + dy).max()
        return self.catalogue.near(boxes)

    def _new_slots(self, wearer: str, mine: dict[int, Slot], near: list[int]) -> list[Slot]:
        wanted = [s for who in (wearer, "*") for s in self._always.get(who, ()) if s.place not in mine]
        for place in near:
            if place not in mine and self.zones[place].concerns(wearer):
                wanted.append(Subject("exclusion", self.zones[place], place))
        new = [self._new_slot(subject) for subject in wanted]
        mine.update({slot.subject.place: slot for slot in new})
        return new

    def _new_slot(self, subject: Subject) -> Slot:
        if self._n_slots == len(self._states):
            for name in ("_states", "_of_slot", "_single"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        number = self._n_slots
        self._n_slots += 1
        exclusion = subject.kind == "exclusion"
        self._states[number] = _fresh()
        self._of_slot[number] = subject.place, self.settings.base_exclusion if exclusion else self.settings.base_stay
        self._single[number] = exclusion
        return Slot(subject, number)

    def _rewind(self, slots: list[Slot], first: int) -> int:
        """Put the slots back to the last state kept before row `first`; returns the row to go on from."""
        kept = first // CHECKPOINT_EVERY
        seen = [int(self._states[slot.number]["last"]) for slot in slots]
        lengths = {len(slot.kept) for slot in slots}
        if all(last < first for last in seen) and lengths == {kept}:
            return first  # nothing to take back
        start = min(kept, *lengths)
        for slot in slots:
            del slot.kept[start:]
            self._states[slot.number] = slot.kept[-1] if start else _fresh()
            slot.changes = _before(slot.changes, start * CHECKPOINT_EVERY, int(self._states[slot.number]["last"]))
        return start * CHECKPOINT_EVERY

    def _run(self, feed: _Feed) -> set[int]:
        """Run all jobs, hand changes and kept states to their slots; returns the numbers of the slots that changed."""
        if not feed.jobs:
            return set()
        jobs = np.array(feed.jobs, np.int64)
        columns = [np.concatenate(c) if len(c) > 1 else c[0] for c in feed.columns]
        kept = np.zeros(max(1, feed.n_kept), FILTER_STATE)
        changes = np.empty(_ROOM, CHANGE)
        written = []
        places = self._of_slot[:, 0].astype(np.int64)
        done = 0
        while done < len(jobs):
            n, more = self.run_filter(jobs[done:], self._states, places, changes, kept, columns)
            written.append(changes[:n].copy())
            done += more
        feed.keep(kept)
        return feed.note(np.concatenate(written))

    def fresh_states(self, n: int) -> NDArray[Any]:
        """States (n,) before any fix."""
        return np.array([_fresh()] * n, FILTER_STATE)

    def run_filter(
        self, jobs: NDArray[np.int64], states: NDArray[Any], places: NDArray[np.int64], changes: NDArray[Any],
        kept: NDArray[Any], columns: Sequence[NDArray[Any]],
    ) -> tuple[int, int]:  # fmt: skip
        """`filter_places` with this watch's settings; columns are those of COLUMNS."""
        n, settings = len(states), self.settings
        run: Any = filter_places  # its arguments come from several tuples: too much for a type checker
        done: tuple[int, int] = run(
            jobs, states, places, self._of_slot[:n, 1].copy(), self._single[:n], changes, kept,
            *columns, flags.WEIGHTLESS, TAILS, self.raise_logit, self.clear_logit, settings.relax_s,
            settings.correlation_s, self.places,
        )  # fmt: skip
        return done


class _Feed:
    """Jobs for one run of the filter: pieces of trails, joined into one set of columns."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, int, int, int, int]] = []
        self.columns: tuple[list[NDArray[Any]], ...] = tuple([] for _ in COLUMNS)
        self.n_kept = 0
        self._n = 0
        self._slots: dict[int, Slot] = {}
        self._keeps: list[tuple[Slot, int, int]] = []

    def add(self, trail: Trail, start: int, slots: list[Slot]) -> None:
        """Feed these slots the trail's rows from `start` on."""
        for column, name in zip(self.columns, COLUMNS, strict=True):
            column.append(trail.column(name)[start:])
        offset = start - self._n
        for slot in slots:
            self._slots[slot.number] = slot
            first_kept = self.n_kept
            for piece in range(start, len(trail), _PIECE):
                stop = min(piece + _PIECE, len(trail))
                self.jobs.append((slot.number, piece - offset, stop - offset, offset, self.n_kept))
                self.n_kept += stop // CHECKPOINT_EVERY - piece // CHECKPOINT_EVERY
            self._keeps.append((slot, first_kept, self.n_kept))
        self._n += len(trail) - start

    def keep(self, kept: NDArray[Any]) -> None:
        """Hand the kept states to their slots."""
        for slot, start, stop in self._keeps:
            slot.kept.extend(kept[start:stop].copy())

    def note(self, changes: NDArray[Any]) -> set[int]:
        """Append the changes to their slots; returns the numbers of the slots that changed."""
        if not len(changes):
            return set()
        changes = changes[np.argsort(changes["slot"], kind="stable")]
        numbers, starts = np.unique(changes["slot"], return_index=True)
        for number, piece in zip(numbers, np.split(changes, starts[1:]), strict=True):
            slot = self._slots[int(number)]
            slot.changes = np.concatenate([slot.changes, piece])
        return {int(n) for n in numbers}


def _before(changes: NDArray[Any], row: int, last: int) -> NDArray[Any]:
    """The changes that were written before `row`, where `last` is the last fix that said anything before it.

    A change to UNKNOWN or SINGLE is dated at the fix before the silence but written when the next one comes: that of `last`
    itself was written at `row` or later, and a late fix may fill the silence.
    """
    spoken = (changes["state"] == UNKNOWN) | (changes["state"] == SINGLE)
    before: NDArray[Any] = changes[(changes["at"] < row) & ~(spoken & (changes["at"] == last))]
    return before


def _fresh() -> Any:
    state = np.zeros(1, FILTER_STATE)
    state["last"] = state["last_in"] = state["last_out"] = -1
    return state[0]


def _reachable(settings: FilterSettings) -> FilterSettings:
    """The settings; InputError where no posterior could ever raise or clear: the filter stops at MOST_LOGIT on either side."""
    surest = 1.0 / (1.0 + math.exp(-MOST_LOGIT))
    if not 0.5 < settings.raise_at <= surest:
        raise InputError(
            field="raise_at", value=settings.raise_at, expected=f"over 0.5 and at most {surest:.4f}, the surest there is"
        )
    if not 1.0 - surest <= settings.clear_at < 0.5:
        raise InputError(field="clear_at", value=settings.clear_at, expected=f"at least {1.0 - surest:.4f} and under 0.5")
    return settings


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))
