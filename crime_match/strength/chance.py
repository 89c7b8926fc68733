"""Chance: how many wearers would be placed at a crime if it had happened at the same clock hours on another day?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from crime_match.strength.placements import Marks, mark, n_bits
from crime_match.strength.shifts import Calendar, Shifted, within_block
from engine.hours import Hours
from engine.tracks import Tracks

NO_DAY = "no other day of the data is comparable"


def period_of(tracks: Tracks) -> tuple[int, int]:
    """The times of the first and the last fix that carries weight, of all wearers [us UTC]; (0, 0) where there is none."""
    if not tracks.n_fixes:
        return 0, 0
    return tracks.base_us, tracks.base_us + int(tracks.tick.max()) * tracks.tick_us


def chance(tracks: Tracks, question: Question, calendar: Calendar, hours: Hours | None = None) -> dict[str, Any]:
    """The JSON of `chance` for one crime: all wearers, its window shifted by whole days.

    On the `days` other days: `wearer_windows`, pairs of a wearer and a day on which he was monitored, `placed`, those in which
    he is placed, `rate`, their share, and `days_with_placed`, on which anybody is. `expected` is how many of the `monitored`
    wearers of the crime's own window chance would place: for each the share of the days on which he was monitored that place
    him, the crime's own day among them; summed. Were the day chance, it would be right on average, whatever the figure.
    """
    windows = within_block(question, calendar)
    return chance_record(windows, mark(tracks, question, windows, hours))


def chance_record(windows: Shifted, marks: Marks) -> dict[str, Any]:
    """The same from the marks of windows among which is the crime's own."""
    own = np.int64(1) << np.flatnonzero(windows.days == 0)[0]
    now = (marks.monitored & own) != 0
    wearer_windows, placed = int(n_bits(marks.monitored & ~own).sum()), int(n_bits(marks.placed & ~own).sum())
    met = int(np.bitwise_or.reduce(marks.placed & ~own, initial=0)).bit_count()
    record: dict[str, Any] = {
        "days": len(windows.days) - 1, "days_with_placed": met, "wearer_windows": wearer_windows, "placed": placed,
        "rate": round(placed / wearer_windows, 9) if wearer_windows else None, "monitored": int(now.sum()),
        "expected": None,
    }  # fmt: skip
    if not wearer_windows:
        return record | {"reason": NO_DAY}
    record["expected"] = round(_expected(n_bits(marks.monitored[now]), n_bits(marks.placed[now])), 6)
    return record


def _expected(n_monitored: NDArray[np.int64], n_placed: NDArray[np.int64]) -> float:
    """The sum of the wearers' own shares, added by their denominators, so that the order of wearers does not matter."""
    by_days = np.bincount(n_monitored, n_placed, 64).tolist()
    return float(sum(placed / n for n, placed in enumerate(by_days) if n))
