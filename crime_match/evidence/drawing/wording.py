"""Lengths, spans of time and counts as the drawings say them, without a locale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def counted(n: int, one: str, many: str = "") -> str:
    """1 fix, 2 fixes: a number with its noun."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def length_text(length_m: float) -> str:
    """A length as people say it: 30 cm, 250 m, 2 km, 93.9 km, 4120 km."""
    if length_m < 0.995:
        return f"{length_m * 100.0:.3g} cm"
    if length_m < 999.5:
        return f"{length_m:.3g} m"
    return f"{length_m / 1000.0:.3g} km" if length_m < 999_500.0 else f"{length_m / 1000.0:.0f} km"


def duration_text(length_us: int) -> str:
    """A span of time: 45 s, 10 min 58 s, 3 h 05 min, 2 d 4 h; cut, never rounded up."""
    seconds = length_us // 1_000_000
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds // 60 % 60:02d} min"
    return f"{seconds // 86_400} d {seconds // 3_600 % 24} h"


def spans_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Growing numbers as spans of those that follow each other: the first and the last of each."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number, number))
    return spans


def numbers_text(numbers: Sequence[int], most: int = 12) -> str:
    """Growing numbers in so many spans: 3, 50–73, 80 and 4 more."""
    spans = spans_of(numbers)
    told = ", ".join(str(one) if one == two else f"{one}–{two}" for one, two in spans[:most])
    return told + more_text(spans[most:])


def more_text(spans: Sequence[tuple[int, int]]) -> str:
    """How many more there are in spans; empty where there is none."""
    n = sum(two - one + 1 for one, two in spans)
    return f" and {n} more" if n else ""


def day_text(day: str) -> str:
    """The day and month of a date, the month by name, since readers differ about 06-07: 2026-06-07 as 7 Jun."""
    told = date.fromisoformat(day)
    return f"{told.day} {_MONTHS[told.month - 1]}"
