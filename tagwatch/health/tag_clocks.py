"""Our clock against those of the tags, which tell the time of the satellites: no fix can have been taken after it came.

Each tag's least (arrival - time of fix) over a minute bounds how far our clock is ahead, and where it is negative shows that it
is behind. The median over tags counts: fewer than half of them can lie without moving it beyond the others.
"""

from __future__ import annotations

from statistics import median

import numpy as np

from engine.fixes import SOURCES, Fixes
from engine.times import MINUTE_US, SECOND_US

WINDOW_US = MINUTE_US
LEAST_TAGS = 5
MOST_TAGS = 20_000
"""Enough of a minute; more are left out."""


class TagClocks:
    """`delay_s`: the median of the last whole minute [s], None where too few tags were heard; `at_us`: when it was made."""

    def __init__(self) -> None:
        self.delay_s: float | None = None
        self.n_tags = 0
        self.at_us = 0
        self._least_us: dict[str, int] = {}
        self._ends_us: int | None = None

    def take(self, fixes: Fixes, now_us: int) -> None:
        """Fixes that have just come, now [us UTC]."""
        if self._ends_us is None or not 0 <= self._ends_us - now_us <= WINDOW_US:
            self._close(now_us)
        numbers, newest_us = _newest(fixes)
        for number, time_us in zip(numbers, newest_us, strict=True):
            name, delay_us = fixes.devices[number], now_us - time_us
            if (known := self._least_us.get(name)) is not None or len(self._least_us) < MOST_TAGS:
                self._least_us[name] = delay_us if known is None else min(known, delay_us)

    @property
    def behind_s(self) -> float | None:
        """How far our clock is certainly behind [s], None where nothing is known; 0 where the tags do not show it."""
        return None if self.delay_s is None else max(0.0, -self.delay_s)

    def _close(self, now_us: int) -> None:
        """End the minute; one that was broken off long ago, or by a clock that was set, tells nothing."""
        if self._ends_us is not None:
            is_whole = 0 <= now_us - self._ends_us <= WINDOW_US and len(self._least_us) >= LEAST_TAGS
            self.delay_s = median(self._least_us.values()) / SECOND_US if is_whole else None
            self.n_tags, self.at_us = len(self._least_us), now_us
        self._least_us.clear()
        self._ends_us = now_us + WINDOW_US


def _newest(fixes: Fixes) -> tuple[list[int], list[int]]:
    """By device, the number and the newest time [us] of its fixes by satellites."""
    chosen = np.flatnonzero(fixes.source == SOURCES["gps"])
    device, time_us = fixes.device[chosen], fixes.time_us[chosen]
    order = np.lexsort((time_us, device))
    device, time_us = device[order], time_us[order]
    last = np.append(device[1:] != device[:-1], True) if len(device) else np.zeros(0, bool)
    return device[last].tolist(), time_us[last].tolist()
