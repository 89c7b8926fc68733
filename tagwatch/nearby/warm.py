"""Compiles what the hourly summaries are asked with, on a few hours of one tag."""

from __future__ import annotations

import numpy as np

from crime_match import far
from crime_match.pieces import verdicts_of
from crime_match.question import Question
from engine.store.hours import Hours
from engine.store.pieces import PieceRows
from engine.times import SECOND_US


def warm_near(start_us: int) -> int:
    """Asks about a tag that lies at a place for five hours; returns the number of its verdict."""
    first_s = start_us // SECOND_US // far.HOUR_S * far.HOUR_S
    n, hour_s = 5, first_s + np.arange(5) * far.HOUR_S
    lat, lon, none, one = np.full(n, 532_000_000), np.full(n, -5_000_000), np.zeros(n, np.int64), np.ones(n, np.int64)
    hours = Hours(
        ("warm",), none, hour_s, one * 60, one * 60, hour_s, hour_s + 3_540, lat, lon, lat, lon, lat, lon, lat, lon,
        one * 800, none, one * 2, one * 60, np.zeros(n), none,
    )  # fmt: skip
    question = Question(53.2, -0.5, int(hour_s[2]) * SECOND_US, int(hour_s[2] + 600) * SECOND_US)
    percentile, model = np.full(1, 0.95), np.zeros(1, np.uint8)
    radius_m = far.exclusion_m(hours, percentile[none], model[none])
    found = far.sifted(question, hours, radius_m, np.array([[532_000_000, -5_000_000] * 2]), np.ones(1, np.bool_))
    found = found._replace(state=np.full(1, far.CLEAR, np.uint8))
    pieces = far.pieces_of(question, hours, found)
    time_us = (hour_s[2] + np.arange(10) * 60) * SECOND_US
    few = np.zeros(10, np.int32)
    rows = PieceRows(np.zeros(10, np.int64), time_us, few + 532_000_000, few - 5_000_000, few + 800, few + 1)
    return int(verdicts_of(question, found, pieces, rows, percentile, model)[0])
