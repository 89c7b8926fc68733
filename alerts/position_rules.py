"""No fix, jamming suspected, and faults: what an event opens and the next fix that carries weight closes.

No fix: events show the device awake, later than its plan allows after its last fix. Jamming: the tag says so, or no fix
while it moves, and its last fixes lost satellites faster than by going indoors. A walk through a door costs satellites
over half a minute or more, then the wearer comes to rest or wireless and mast fixes follow; a jammer takes them at once and
leaves nothing while the journey goes on. So the inference asks for all of it: half of the satellites and at least four of
them gone within the last three satellite fixes (two minutes at most), then no fix of any source for the whole time that the
plan allows, and motion at the end of that time. It is a suspicion: no probability is stated for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts import spans
from alerts.device_finding import Finding
from alerts.device_memory import Position, Span
from alerts.device_scene import DeviceScene, Past
from engine.events import DeviceEvent
from engine.fixes import ABSENT, SOURCES
from engine.times import MINUTE_US

QUICK_US = 2 * MINUTE_US
FEWER = 4
N_FIXES = 3
SAID, INFERRED, POWER_OFF = "said by the tag", "inferred", "power off"
_SATELLITE = (SOURCES["gps"], SOURCES["unknown"])
_ASLEEP = frozenset(("power_off", "power_on", "disconnected"))
_UNKNOWN_US = -(2**61)
_PAIR = struct.Struct("<qi")


def packed(satellites: Iterable[tuple[int, int]]) -> bytes:
    """Times and counts in the form in which they are remembered."""
    return b"".join(_PAIR.pack(*pair) for pair in satellites)


def position(past: Past, other_offs: Sequence[DeviceEvent]) -> Position:
    """What is known after the scene. other_offs: `power_off` events that no low battery explains; they count as faults."""
    before = past.before.position
    last = past.weighty_place(-1) if len(past.times) else before.last
    if not past.events and not any(spans.is_open(some) for some in (before.no_fix, before.jamming, before.faults)):
        return before._replace(last=last) if last is not before.last else before
    walk = _Walk(past, frozenset(other_offs))
    at_us = np.array([event.time_us for event in past.events], np.int64)
    latest = np.searchsorted(past.times, at_us, side="right") - 1
    since_us = past.times[latest] if len(past.times) else at_us
    for event, k, fix_us in zip(past.events, latest.tolist(), since_us.tolist(), strict=True):
        walk.hear(event, k, fix_us)
    walk.settle(2**62)
    return Position(last, before.satellites, walk.powered_us, walk.moving,
                    tuple(walk.no_fix), tuple(walk.jamming), tuple(walk.faults))  # fmt: skip


def position_findings(scene: DeviceScene, known: Position) -> Iterable[Finding]:
    """The findings of the three rules."""
    minutes = scene.activation.silence_us / MINUTE_US
    for span in known.no_fix:
        text = f"The device was awake and had no position for more than {minutes:.0f} minutes"
        yield _finding("tag.no_fix", span, text, {"limit_minutes": minutes})
    for span in known.jamming:
        said = SAID in span.words
        text = "The tag says that its reception is jammed" if said else (
            "Fixes stopped while the wearer was moving and events went on, and the last ones had lost satellites faster than"
            " by going indoors: jamming suspected")  # fmt: skip
        yield _finding("tag.jamming", span, text, {"grounds": list(span.words)})._replace(said=said)
    for span in known.faults:
        codes = ", ".join(word for word in span.words if word)
        text = "The tag was switched off" if span.words == (POWER_OFF,) else "The tag reports a fault"
        yield _finding("tag.fault", span, text + (f": {codes}" if codes and codes != POWER_OFF else ""),
                       {"codes": list(span.words)})  # fmt: skip


def leading_satellites(past: Past, k: int) -> tuple[tuple[int, int], ...]:
    """Times [us] and counts of the last satellite fixes that led to the k-th fix with weight, oldest first.

    At most N_FIXES of them, none older than QUICK_US before it; k = -1 is the last fix before the scene.
    """
    earlier = tuple(_PAIR.iter_unpack(past.before.position.satellites))
    if k < 0:
        return earlier
    found: list[tuple[int, int]] = []
    end_us = int(past.times[k])
    while k >= 0 and len(found) < N_FIXES and end_us - int(past.times[k]) <= QUICK_US:
        row = int(past.weighty[k]) if past.weighty is not None else k
        count = int(past.rows.satellites[row])
        if count != ABSENT and past.rows.source[row] in _SATELLITE:
            found.append((int(past.times[k]), count))
        k -= 1
    if k < 0:
        found += [one for one in reversed(earlier) if end_us - one[0] <= QUICK_US]
    return tuple(reversed(found[:N_FIXES]))


def lost_quickly(satellites: Sequence[tuple[int, int]]) -> bool:
    """Whether these satellite fixes lost half of their satellites and at least FEWER of them."""
    if len(satellites) < 2:
        return False
    most, left = max(count for _, count in satellites), satellites[-1][1]
    return most - left >= FEWER and 2 * left <= most


class _Walk:
    """Goes through the events in order; fixes close what is open before the next event is heard."""

    def __init__(self, past: Past, other_offs: frozenset[DeviceEvent]) -> None:
        before = past.before.position
        self.past, self.other_offs = past, other_offs
        self.powered_us, self.moving = before.powered_us, before.moving
        self.no_fix, self.jamming, self.faults = list(before.no_fix), list(before.jamming), list(before.faults)
        self.gap_us, self.silence_us = past.scene.settings.merge_gap_us, past.scene.activation.silence_us
        self.first_us = before.last.time_us if before.last else past.scene.activation.from_us
        self._by_satellite: NDArray[Any] | None = None

    def hear(self, event: DeviceEvent, k: int, fix_us: int) -> None:
        """One event: what it opens, and what it says of power and motion; k and fix_us are the last fix with weight
        before it, where k is not negative."""
        at = event.time_us
        if k < 0:
            fix_us = self.first_us
        if at - fix_us > self.silence_us and event.kind not in _ASLEEP:
            self._miss_fixes(event, k, fix_us)
        if event.kind == "jamming":
            self._open(self.jamming, at, at, SAID)
        elif event.kind == "fault":
            self._open(self.faults, at, at, event.value or "no code")
        elif event in self.other_offs:
            self._open(self.faults, at, at, POWER_OFF)
        elif event.kind == "power_on":
            self.powered_us = at
            if spans.is_open(self.faults) and self.faults[-1].words == (POWER_OFF,):
                self.settle(at)
                spans.close_span(self.faults, at)
        if event.kind in ("motion", "no_motion", "power_off"):
            self.moving = event.kind == "motion"

    def settle(self, until_us: int) -> None:
        """Close what fixes up to an instant close."""
        self._settle(self.no_fix, self.past.times, until_us)
        self._settle(self.faults, self.past.times, until_us)
        if spans.is_open(self.jamming):
            self._settle(self.jamming, self._satellite_times(), until_us)

    def _miss_fixes(self, event: DeviceEvent, k: int, fix_us: int) -> None:
        since_us = max(fix_us, self.powered_us)
        if since_us < _UNKNOWN_US or event.time_us - since_us <= self.silence_us:
            return
        self.settle(event.time_us)
        if spans.is_open(self.no_fix):
            return
        self._open(self.no_fix, since_us, event.time_us)
        from_a_fix = fix_us >= self.powered_us and (k >= 0 or self.past.before.position.last is not None)
        if (self.moving or event.kind == "motion") and from_a_fix and lost_quickly(leading_satellites(self.past, k)):
            self._open(self.jamming, since_us, event.time_us, INFERRED)

    def _open(self, found: list[Span], began_us: int, at_us: int, word: str = "") -> None:
        self.settle(at_us)
        spans.open_span(found, began_us, at_us, self.gap_us, self.past.place_at(at_us), word)

    def _settle(self, found: list[Span], closers: NDArray[Any], until_us: int) -> None:
        if not spans.is_open(found):
            return
        k = int(np.searchsorted(closers, found[-1].last_us, side="right"))
        if k < len(closers) and closers[k] <= until_us:
            spans.close_span(found, int(closers[k]))

    def _satellite_times(self) -> NDArray[Any]:
        if self._by_satellite is None:
            past = self.past
            source = past.rows.source[: past.n] if past.weighty is None else past.rows.source[past.weighty]
            self._by_satellite = past.times[np.isin(source, _SATELLITE)]
        return self._by_satellite


def _finding(rule: str, span: Span, text: str, more: dict[str, Any]) -> Finding:
    return Finding(rule, span.began_us, span.ended_us, span.decided_us, text, span.place, more={**more, "n_joined": span.n})
