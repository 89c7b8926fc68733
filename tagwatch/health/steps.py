"""Steps of the wall clock, seen against one that nobody sets."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.times import SECOND_US, Clock

LEAST_S = 0.1
"""Less than this in one look is slewing, or a thread that was not run between the two readings."""


def steady_s() -> float:
    """Seconds since the machine was started, sleep included: nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Steps:
    """Looks at both clocks; `n_steps`: how often the wall clock was set since the start."""

    def __init__(self, clock: Clock, steady: Callable[[], float] = steady_s) -> None:
        self.n_steps = 0
        self._clock, self._steady = clock, steady
        self._apart_s: float | None = None

    def look(self) -> float:
        """The step since the last look [s], positive forward; 0 where there was none."""
        apart_s = self._read()
        before_s, self._apart_s = self._apart_s, apart_s
        step_s = 0.0 if before_s is None else apart_s - before_s
        if abs(step_s) < LEAST_S:
            return 0.0
        self.n_steps += 1
        return step_s

    def _read(self) -> float:
        """How far the clocks are apart; the narrowest of three readings, so that a pause between two of them is no step."""
        readings = []
        for _ in range(3):
            before_s = self._steady()
            wall_s = self._clock() / SECOND_US
            after_s = self._steady()
            readings.append((after_s - before_s, wall_s - (before_s + after_s) / 2))
        return min(readings)[1]
