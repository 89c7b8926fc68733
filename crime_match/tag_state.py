"""Was the tag on its wearer, powered and of one activation all through the window? Each doubt is one sentence."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from crime_match.trails import WearerTrail
from engine.activations import Activation
from engine.events import DeviceEvent
from engine.flags import CLOCK_WRONG
from engine.times import to_iso


def doubts(question: Question, trail: WearerTrail, rests_on: NDArray[np.int64]) -> list[str]:
    """Why the tag cannot exclude, in a fixed order; empty where it was on throughout.

    rests_on: indices of the fixes that an exclusion would rest on. A fix sent after the strap was tampered with shows where
    the tag was, not its wearer, so a tampering before any of them counts even where the window had ended.
    """
    found = [] if _one_activation(question, trail) else ["no one activation covers the whole window"]
    ordered = sorted(trail.activations, key=lambda a: (a.from_us, a.device))
    return found + list(chain.from_iterable(_of_activation(question, trail, rests_on, row) for row in ordered))


def _one_activation(question: Question, trail: WearerTrail) -> bool:
    return any(row.from_us <= question.start_us and question.end_us < row.to_us for row in trail.activations)


def _of_activation(
    question: Question, trail: WearerTrail, rests_on: NDArray[np.int64], activation: Activation
) -> list[str]:
    events = sorted(
        (e for e in trail.events if e.device == activation.device and activation.from_us <= e.time_us < activation.to_us),
        key=lambda e: (e.time_us, e.kind, e.value),
    )
    sent_us = _sent_us(trail, activation)
    used_us = _sent_us(trail, activation, rests_on)
    found = _strap(question, activation, events, used_us)
    if activation.from_us <= question.end_us and activation.to_us > question.start_us:
        found += _power(question, activation, events)
        found += _faults(question, activation, events, sent_us)
        found += _clock(question, trail, activation, sent_us)
    return found


def _sent_us(trail: WearerTrail, activation: Activation, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Times of the fixes that carry weight and were sent in this activation [us]."""
    weighty = np.flatnonzero(trail.carries_weight()) if among is None else among
    time_us = trail.fixes.time_us[weighty]
    mine = np.array([name == activation.device for name in trail.fixes.devices], np.bool_)
    sent = mine[trail.fixes.device[weighty]] & (time_us >= activation.from_us) & (time_us < activation.to_us)
    return time_us[sent]


def _strap(question: Question, activation: Activation, events: list[DeviceEvent], used_us: NDArray[np.int64]) -> list[str]:
    """No event says that a strap was made good: once tampered with, it is open to the end of the activation."""
    tampered = next((e for e in events if e.kind == "strap_tamper"), None)
    if tampered is None:
        return []
    in_window = tampered.time_us <= question.end_us and activation.to_us > question.start_us
    if not in_window and not bool(np.any(used_us >= tampered.time_us)):
        return []
    return [f"strap tamper of {activation.device} since {to_iso(tampered.time_us)}"]


def _power(question: Question, activation: Activation, events: list[DeviceEvent]) -> list[str]:
    """Off from power_off to the next power_on; one that meets the window counts, also where it ended there."""
    off_us: int | None = None
    spans: list[tuple[int, int]] = []
    for event in events:
        if event.kind == "power_off" and off_us is None:
            off_us = event.time_us
        elif event.kind == "power_on" and off_us is not None:
            spans.append((off_us, event.time_us))
            off_us = None
    if off_us is not None:
        spans.append((off_us, activation.to_us))
    return [
        f"power of {activation.device} off since {to_iso(start)}"
        for start, end in spans
        if start <= question.end_us and end > question.start_us
    ]


def _faults(question: Question, activation: Activation, events: list[DeviceEvent], sent_us: NDArray[np.int64]) -> list[str]:
    """A fault is open until the tag again sends a fix that carries weight."""
    found = []
    for event in events:
        if event.kind == "fault" and _open_in_window(question, event.time_us, sent_us):
            code = f" {event.value}" if event.value else ""
            found.append(f"fault{code} of {activation.device} at {to_iso(event.time_us)}")
    return found


def _clock(question: Question, trail: WearerTrail, activation: Activation, sent_us: NDArray[np.int64]) -> list[str]:
    """A wrong clock is open until the tag again sends a fix that carries weight; the latest is told."""
    wrong_us = _sent_us(trail, activation, np.flatnonzero(trail.flags & CLOCK_WRONG))
    if not len(wrong_us):
        return []
    until = int(np.searchsorted(wrong_us, question.end_us, side="right"))
    if not until or not _open_in_window(question, int(wrong_us[until - 1]), sent_us):
        return []
    return [f"clock of {activation.device} wrong at {to_iso(int(wrong_us[until - 1]))}"]


def _open_in_window(question: Question, time_us: int, sent_us: NDArray[np.int64]) -> bool:
    if time_us > question.end_us:
        return False
    following = int(np.searchsorted(sent_us, time_us, side="right"))
    return time_us >= question.start_us or following == len(sent_us) or int(sent_us[following]) > question.start_us
