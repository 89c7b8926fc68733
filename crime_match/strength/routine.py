"""The wearer's routine: how often was he at this place in comparable windows? Who lives next door is there every night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crime_match.question import Question
from crime_match.strength.placements import count
from crime_match.strength.shifts import LONDON, ROUTINE_DAYS, Shifted, before, is_weekend, step_days
from engine.tracks import Tracks

WEEKEND, WORKING = "saturday to sunday", "monday to friday"
TOO_LONG = "no window of the previous 28 days is comparable: this one is too long"


def routine(tracks: Tracks, question: Question, wearer: int, timezone: str = LONDON) -> dict[str, Any]:
    """The routine of one wearer, numbered as in the tracks, at the question's place: the JSON of `routine`.

    Comparable windows have the same hours on the wall clock and the same class of weekday, lie in the previous 28 days and do
    not meet the window itself. Only those in which a fix carries weight count: `windows` of them, and he is placed in `placed`.
    `left_out` are the others, `every_days` the steps between them where the window is longer than a day.
    """
    return routines(tracks, question, [wearer], timezone)[0]


def routines(tracks: Tracks, question: Question, wearers: Sequence[int], timezone: str = LONDON) -> list[dict[str, Any]]:
    """The same for several wearers, in their order."""
    windows = before(question, timezone)
    n = len(windows.days)
    rows = np.repeat(np.array(wearers, np.int64), n)
    again = (np.tile(column, len(wearers)) for column in (windows.start_us, windows.end_us))
    counts = count(tracks, question, rows, *again)
    monitored = (counts.n_fixes > 0).reshape(len(wearers), n).sum(axis=1).tolist()
    placed = (counts.n_placing >= question.min_fixes).reshape(len(wearers), n).sum(axis=1).tolist()
    return [_record(question, windows, k, m, timezone) for k, m in zip(placed, monitored, strict=True)]


def _record(question: Question, windows: Shifted, placed: int, monitored: int, timezone: str) -> dict[str, Any]:
    n, step = len(windows.days), step_days(question)
    record: dict[str, Any] = {
        "windows": monitored, "placed": placed, "days": ROUTINE_DAYS,
        "weekdays": WEEKEND if is_weekend(question, 0, timezone) else WORKING, "every_days": step, "timezone": timezone,
        "left_out": {"unmonitored": n - monitored},
    }  # fmt: skip
    if step > 1:
        record["weekdays"] = "all"
    return record if n else record | {"reason": TOO_LONG}
