"""Batteries: they run down by day and are charged at night, unless it is forgotten."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from engine.times import HOUR_US, MINUTE_US
from tagwatch.simulate.journeys import HOME
from tagwatch.simulate.paths import Path
from tagwatch.simulate.plane import Floats
from tagwatch.simulate.spans import Span

STEP_US = 10 * MINUTE_US
_CHARGE_PER_STEP = 8.0


class Battery(NamedTuple):
    """Level [%] at instants t_us (k,), straight between; when charging began; when the tag was off [us]."""

    t_us: NDArray[np.int64]
    level: Floats
    charged_us: tuple[int, ...]
    off: tuple[Span, ...]

    def percent(self, time_us: NDArray[np.int64]) -> NDArray[np.int32]:
        """What the tag reports, in whole percent; shape (n,)."""
        return np.floor(np.interp(time_us, self.t_us, self.level)).astype(np.int32)

    def fell_below(self, percent: float) -> list[int]:
        """When the level fell below this [us]."""
        return [int(t) for t in self.t_us[1:][(self.level[:-1] >= percent) & (self.level[1:] < percent)]]


def run_battery(path: Path, from_us: int, to_us: int, forgetful: bool, rng: Generator) -> Battery:
    """The battery of a tag while it is worn: about a day and a half to empty, two hours to full."""
    t_us = np.arange(from_us, to_us + STEP_US, STEP_US)
    at_home = (path.setting[path.legs_at(t_us)] == HOME).tolist()
    evening = ((t_us // HOUR_US % 24) >= 21).tolist()
    minded = rng.random(len(t_us)) < (0.004 if forgetful else 0.4)
    drain = rng.uniform(2.4, 3.6) * STEP_US / HOUR_US
    level, charging, off_since = rng.uniform(70.0, 100.0), False, -1
    levels, charged, off = [], [], []
    for step, now in enumerate(t_us.tolist()):
        levels.append(level)
        wanted = (evening[step] and level < 90.0) or level < 15.0
        if not charging and at_home[step] and wanted and minded[step]:
            charging = True
            charged.append(now)
            if off_since >= 0:
                off.append((off_since, now))
                off_since = -1
        charging = charging and at_home[step] and level < 100.0
        level = min(100.0, level + _CHARGE_PER_STEP) if charging else max(0.0, level - drain)
        if level == 0.0 and off_since < 0:
            off_since = now + STEP_US
    if off_since >= 0:
        off.append((off_since, to_us + STEP_US))
    return Battery(t_us, np.array(levels), tuple(charged), tuple(off))
