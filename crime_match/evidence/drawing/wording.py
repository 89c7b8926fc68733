"""Lengths, spans of time and counts as the drawings say them, without a locale."""

from __future__ import annotations


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
