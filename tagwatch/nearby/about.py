"""The stored fixes about windows: those of a margin on both sides, and the nearest few beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from engine.fixes import Fixes, concat
from engine.store.fixes import NEAREST, FixStore
from engine.times import DAY_US, HOUR_US
from geofence.schedule import merged

MARGIN_US = 6 * HOUR_US
"""How far beyond the window fixes are read from the database; beyond that the nearest few on each side."""
STEPS_US = (0, 2 * HOUR_US, 12 * HOUR_US, 3 * DAY_US, 30 * DAY_US)
"""So far, and then farther, the nearest are looked for; beyond the last each device's by itself, whatever their time."""


def margin_us(question: Question, margin_us: int = MARGIN_US) -> int:
    """The margin of a question: a slower wearer takes longer to come, and to contradict himself; it is for 55 m/s."""
    return round(margin_us * max(1.0, 55.0 / question.max_speed_mps))


def fixes_about(
    store: FixStore, questions: Iterable[Question], margin: int = MARGIN_US, devices: Sequence[str] | None = None
) -> Fixes:
    """The stored fixes of these devices (None: all) about the windows of these questions: those up to `margin` away [us], and
    the nearest on both sides."""
    spans = merged(
        (question.start_us - aside_us, question.end_us + aside_us)
        for question in questions
        for aside_us in [margin_us(question, margin)]
    )
    names = store.devices() if devices is None else list(devices)
    return concat(
        part
        for from_us, to_us in spans
        for part in (
            *_nearest(store, from_us, names, before=True),
            store.read(devices=devices, from_us=from_us, to_us=to_us),
            *_nearest(store, to_us, names, before=False),
        )
    )


def _nearest(store: FixStore, time_us: int, devices: Sequence[str], *, before: bool) -> list[Fixes]:
    """The nearest few fixes of each device on one side of an instant, by spans that lie farther and farther off: a device
    that goes on sending is not looked for in all years."""
    left, found = list(devices), list[Fixes]()
    for near_us, far_us in pairwise(STEPS_US):
        if not left:
            return found
        bounds = (time_us - far_us, time_us - near_us - 1) if before else (time_us + near_us + 1, time_us + far_us)
        held = concat([*found[-1:], store.read(devices=left, from_us=bounds[0], to_us=bounds[1])])
        full = _with_enough(held)
        done = (
            np.array([name in full for name in held.devices], np.bool_)[held.device] if len(held) else np.empty(0, np.bool_)
        )
        found[-1:] = [_first_few(held.take(done), before=before), held.take(~done)]
        left = [name for name in left if name not in full]
    return [*found[:-1], store.nearest(time_us, before=before, devices=left)] if left else found


def _with_enough(fixes: Fixes) -> set[str]:
    counts = np.bincount(fixes.device, minlength=len(fixes.devices))
    return {name for name, n in zip(fixes.devices, counts.tolist(), strict=True) if n >= NEAREST}


def _first_few(fixes: Fixes, *, before: bool) -> Fixes:
    """Of each device those nearest to the instant, which lies after all of them, or before."""
    order = np.lexsort((-fixes.time_us if before else fixes.time_us, fixes.device))
    device = fixes.device[order]
    place = np.arange(len(order)) - _starts(device)
    return fixes.take(order[place < NEAREST])


def _starts(device: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each row of a sorted column the first row of its value."""
    return np.searchsorted(device, device, side="left")
