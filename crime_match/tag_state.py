"""Was the tag on its wearer, powered and of one activation all through the window? Each doubt is one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from crime_match.trails import WearerTrail
from engine.activations import Activation
from engine.events import DeviceEvent
from engine.flags import CLOCK_WRONG
from engine.times import to_iso

Times = NDArray[np.int64]


class Doubt(NamedTuple):
    """A stretch [from_us, until_us) in which a tag vouches for nothing; the text is told with the latest of the instants at_us
    that is not after the window."""

    text: str
    from_us: int
    until_us: int
    at_us: Times

    def meets(self, start_us: Times | int, end_us: Times | int) -> NDArray[np.bool_]:
        """Whether it was open in these windows, their ends included."""
        return np.asarray((self.from_us <= end_us) & ((self.from_us >= start_us) | (self.until_us > start_us)))

    def told(self, end_us: int) -> str:
        """The sentence, with the latest instant that is not after the window."""
        return f"{self.text} {to_iso(int(self.at_us[np.searchsorted(self.at_us, end_us, side='right') - 1]))}"


class TagState:
    """What speaks against excluding the wearer of one trail: activations, tampering with the strap, and doubts."""

    def __init__(self, trail: WearerTrail) -> None:
        self._rows = sorted(trail.activations, key=lambda a: (a.from_us, a.device))
        self._straps: list[int | None] = []
        self._doubts: list[list[Doubt]] = []
        events: dict[str, list[DeviceEvent]] = {}
        for event in sorted(trail.events, key=lambda e: (e.time_us, e.kind, e.value)):
            events.setdefault(event.device, []).append(event)
        wrong, everything = np.flatnonzero(trail.flags & CLOCK_WRONG), np.arange(len(trail.fixes))
        self._spoke = [len(_sent_us(trail, row, everything)) > 0 for row in self._rows]
        """A tag that never sent a fix vouches for nobody, however long it was activated."""
        for row in self._rows:
            told = [e for e in events.get(row.device, ()) if row.from_us <= e.time_us < row.to_us]
            self._straps.append(next((e.time_us for e in told if e.kind == "strap_tamper"), None))
            found = [*_power(row, told)]
            if len(wrong) or any(e.kind == "fault" for e in told):
                sent_us = _sent_us(trail, row, np.flatnonzero(trail.carries_weight()))
                found += [*_faults(row, told, sent_us), *_clock(row, _sent_us(trail, row, wrong), sent_us)]
            self._doubts.append(found)

    def speaks_against(self, start_us: Times, end_us: Times) -> NDArray[np.bool_]:
        """Windows (n,) in which the tag cannot exclude, whatever fixes that would rest on."""
        covered = np.zeros(len(start_us), np.bool_)
        found = np.zeros(len(start_us), np.bool_)
        for row, spoke, strap_us, doubts in zip(self._rows, self._spoke, self._straps, self._doubts, strict=True):
            if spoke:
                covered |= (row.from_us <= start_us) & (end_us < row.to_us)
            worn = (row.from_us <= end_us) & (row.to_us > start_us)
            if strap_us is not None:
                found |= (strap_us <= end_us) & (row.to_us > start_us)
            for doubt in doubts:
                found |= worn & doubt.meets(start_us, end_us)
        return found | ~covered

    @property
    def unbroken(self) -> tuple[int, int] | None:
        """The one activation [from, to) in which nothing ever spoke against excluding; None where it is not as simple."""
        if len(self._rows) != 1 or not self._spoke[0] or self._straps[0] is not None or self._doubts[0]:
            return None
        return max(self._rows[0].from_us, -(2**62)), min(self._rows[0].to_us, 2**62)

    @property
    def strap_us(self) -> int | None:
        """When a strap was first tampered with: a fix after it shows where the tag was, not its wearer."""
        return min((at for at in self._straps if at is not None), default=None)

    def sentences(self, question: Question, trail: WearerTrail, rests_on: Times) -> list[str]:
        """Why the tag cannot exclude, in a fixed order; empty where it was on throughout.

        rests_on: indices of the fixes that an exclusion would rest on. A tampering before any of them counts even where
        the window had ended.
        """
        start_us, end_us = question.start_us, question.end_us
        rows = [row for row, spoke in zip(self._rows, self._spoke, strict=True) if spoke]
        covered = any(row.from_us <= start_us and end_us < row.to_us for row in rows)
        found = [] if covered else ["no one activation covers the whole window"]
        for row, strap_us, doubts in zip(self._rows, self._straps, self._doubts, strict=True):
            if strap_us is not None:
                in_window = strap_us <= end_us and row.to_us > start_us
                if in_window or bool(np.any(_sent_us(trail, row, rests_on) >= strap_us)):
                    found.append(f"strap tamper of {row.device} since {to_iso(strap_us)}")
            if row.from_us <= end_us and row.to_us > start_us:
                told = [doubt for doubt in doubts if doubt.meets(start_us, end_us)]
                found += dict.fromkeys(doubt.told(end_us) for doubt in _last_of_each(told))
        return found


def _last_of_each(doubts: Sequence[Doubt]) -> list[Doubt]:
    """A wrong clock is told once, by its latest fix; everything else each time."""
    clock = [doubt for doubt in doubts if doubt.text.startswith("clock")]
    return [doubt for doubt in doubts if not doubt.text.startswith("clock")] + clock[-1:]


def _sent_us(trail: WearerTrail, activation: Activation, among: NDArray[np.int64]) -> Times:
    """Times of those of these fixes that were sent in this activation [us]."""
    time_us = trail.fixes.time_us[among]
    mine = np.array([name == activation.device for name in trail.fixes.devices], np.bool_)
    sent = mine[trail.fixes.device[among]] & (time_us >= activation.from_us) & (time_us < activation.to_us)
    return time_us[sent]


def _power(activation: Activation, events: Sequence[DeviceEvent]) -> Iterable[Doubt]:
    """Off from power_off to the next power_on."""
    off_us: int | None = None
    for event in events:
        if event.kind == "power_off" and off_us is None:
            off_us = event.time_us
        elif event.kind == "power_on" and off_us is not None:
            yield _doubt(f"power of {activation.device} off since", [off_us], event.time_us)
            off_us = None
    if off_us is not None:
        yield _doubt(f"power of {activation.device} off since", [off_us], activation.to_us)


def _faults(activation: Activation, events: Sequence[DeviceEvent], sent_us: Times) -> Iterable[Doubt]:
    """A fault is open until the tag again sends a fix that carries weight."""
    for event in events:
        if event.kind == "fault":
            code = f" {event.value}" if event.value else ""
            text = f"fault{code} of {activation.device} at"
            yield _doubt(text, [event.time_us], _next_us(sent_us, event.time_us, activation))


def _clock(activation: Activation, wrong_us: Times, sent_us: Times) -> Iterable[Doubt]:
    """A wrong clock is open until the tag again sends a fix that carries weight: one doubt a run of wrong fixes."""
    following = np.searchsorted(sent_us, wrong_us, side="right")
    for run in np.split(wrong_us, np.flatnonzero(np.diff(following)) + 1) if len(wrong_us) else ():
        yield _doubt(f"clock of {activation.device} wrong at", run, _next_us(sent_us, int(run[-1]), activation))


def _doubt(text: str, at_us: Sequence[int] | Times, until_us: int) -> Doubt:
    return Doubt(text, int(at_us[0]), until_us, np.asarray(at_us, np.int64))


def _next_us(sent_us: Times, time_us: int, activation: Activation) -> int:
    following = int(np.searchsorted(sent_us, time_us, side="right"))
    return int(sent_us[following]) if following < len(sent_us) else activation.to_us
