"""The rows of the coverage chart: the crime's window, fixes by source, visits, gaps, and what the match says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.svg import (
    FAINT,
    INK,
    PAPER,
    SMALL_MM,
    element,
    group,
    line,
    number,
    path,
    text,
    text_width_mm,
)
from crime_match.evidence.drawing.symbols import BLUE, FLAGGED, GREY, ORANGE, source_kind, symbols
from crime_match.evidence.drawing.time_axis import TimeAxis
from crime_match.evidence.drawing.wording import counted, duration_text
from crime_match.evidence.rows import FixRow
from engine.times import parse_time

HATCH = element("pattern", line(0, 0, 0, 1.4, stroke=GREY, stroke_width=0.35), id="hatch", width=1.4, height=1.4,
                patternUnits="userSpaceOnUse", patternTransform="rotate(45)")  # fmt: skip
GAP_US = 300_000_000
"""A stretch of the window without a fix that is longer than this is a gap: 2.5 minutes on either side of a fix are covered."""
STROKE_MM = 0.1
"""Strokes closer than this are one."""
_TOUCH_MM, _MOST_LENGTHS = 0.15, 100
_SOURCE_NAMES = {"gps": "Satellite (GPS)", "wifi": "Wireless networks", "rf": "Home beacon", "lbs": "Telephone masts"}


def gaps_of(rows: Sequence[FixRow], start_us: int, end_us: int) -> list[tuple[int, int]]:
    """Stretches of the window longer than five minutes without a fix that carries weight [us UTC], its edges included."""
    edges = [start_us, *(row.time_us for row in rows if row.has_weight), end_us]
    return [(one, two) for one, two in pairwise(edges) if two - one > GAP_US]


def lanes_of(case: Case, axis: TimeAxis, rows: Sequence[FixRow]) -> list[tuple[str, list[str]]]:
    """Names and marks, y about 0; only lanes with something to show, but always the window, gaps and the verdict."""
    lanes = [("Crime's window, padding", _window(case, axis))]
    for source in dict.fromkeys(["gps", "wifi", "rf", "lbs", *sorted({row.source for row in rows})]):
        times = [row.time_us for row in rows if row.has_weight and row.source == source]
        if times:
            colour = source_kind(source).colour
            lanes.append((_SOURCE_NAMES.get(source, "Unknown source"), _marks(axis, times, colour)))
    flagged = [row.time_us for row in rows if not row.has_weight]
    if flagged:
        lanes.append(("Left out of decisions", [symbols(FLAGGED, [(x, 0.0) for x in strokes_of(axis, flagged)])]))
    if case.match["visits"]:
        lanes.append(("Visits to the vicinity", _visits(axis, case)))
    lanes.append(("Gaps over 5 minutes", _lengths(axis, gaps_of(rows, axis.start_us, axis.end_us))))
    lanes.append(("What the match says", _said(case, axis)))
    return lanes


def _window(case: Case, axis: TimeAxis) -> list[str]:
    asked = case.match["parameters"]
    x1, x2 = (axis.at(parse_time(asked[key])) for key in ("from", "to"))
    look = {"y": -1.8, "height": 3.6, "stroke": INK, "stroke_width": 0.2}
    padding = element(
        "rect", x=axis.at(axis.start_us), width=axis.at(axis.end_us) - axis.at(axis.start_us), fill="url(#hatch)", **look
    )
    return [padding, element("rect", class_="window", x=x1, width=max(x2 - x1, 0.3), fill=ORANGE, **look)]


def _marks(axis: TimeAxis, times_us: Iterable[int], colour: str) -> list[str]:
    """One stroke a fix, thinned where strokes coincide."""
    strokes = "".join(path([(x, -1.8), (x, 1.8)]) for x in strokes_of(axis, times_us))
    return [element("path", class_="fixes", d=strokes, stroke=colour, stroke_width=0.3, fill="none")]


def strokes_of(axis: TimeAxis, times_us: Iterable[int]) -> list[float]:
    """Where strokes for these instants stand [mm], growing; those that coincide once."""
    return sorted({round(axis.at(time_us) / STROKE_MM) * STROKE_MM for time_us in times_us})


def spans_of(axis: TimeAxis, gaps: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """From where to where gaps reach [mm], those that touch on the paper as one."""
    spans: list[tuple[float, float]] = []
    for one, two in gaps:
        x1, x2 = axis.at(one), axis.at(two)
        if spans and x1 - spans[-1][1] < _TOUCH_MM:
            spans[-1] = spans[-1][0], x2
        else:
            spans.append((x1, x2))
    return spans


def _lengths(axis: TimeAxis, gaps: Sequence[tuple[int, int]]) -> list[str]:
    """Spans between end marks with their lengths; of too many only those that have room within, or the count alone."""
    if not gaps:
        return [text(axis.left + 2.0, 0.0, "none", SMALL_MM, fill=FAINT)]
    spans = [(axis.at(one), axis.at(two)) for one, two in gaps] if len(gaps) <= _MOST_LENGTHS else spans_of(axis, gaps)
    marks = "".join(f"M{number(x1)} 0.8v1.6m0 -0.8H{number(x2)}m0 -0.8v1.6" for x1, x2 in spans)
    drawn = [element("path", class_="gap-lengths", d=marks, fill="none", stroke=INK, stroke_width=0.3)]
    return drawn + [text(x, -0.9, words, SMALL_MM, text_anchor="middle") for x, words in _gap_words(axis, gaps)]


def _gap_words(axis: TimeAxis, gaps: Sequence[tuple[int, int]]) -> list[tuple[float, str]]:
    """Where the lengths of gaps stand: all of them, else those within their gaps, else how many there are."""
    told = []
    for one, two in gaps:
        words = duration_text(two - one)
        half = text_width_mm(words, SMALL_MM) / 2.0
        told.append((min(max(axis.at((one + two) // 2), axis.left + half), axis.right - half), half, words, two - one))
    if len(told) > 1 and any(a[0] + a[1] > b[0] - b[1] for a, b in pairwise(told)):
        told = [one for one in told if 2.0 * one[1] <= axis.at(axis.start_us + one[3]) - axis.left]
    if told:
        return [(x, words) for x, _, words, _ in told]
    longest = duration_text(max(two - one for one, two in gaps))
    return [((axis.left + axis.right) / 2.0, f"{len(gaps)} gaps, the longest {longest}")]


def _visits(axis: TimeAxis, case: Case) -> list[str]:
    """Bars with their letters, in them where all have room, else beside them as far as there is room."""
    spans = [
        (axis.at(parse_time(one["entered"])), axis.at(parse_time(one["left"])), one["label"])
        for one in case.match["visits"]
    ]
    inside = all(x2 - x1 >= text_width_mm(label) + 0.8 for x1, x2, label in spans)
    bars = [element("rect", x=x1, y=-1.8, width=max(x2 - x1, 0.4), height=3.6) for x1, x2, _ in spans]
    drawn, until = [group(bars, class_="visit", fill=BLUE)], -math.inf
    ends = [x1 for x1, _, _ in spans[1:]] + [axis.right]
    for (x1, x2, label), end in zip(spans, ends, strict=True):
        if inside:
            drawn.append(text((x1 + x2) / 2.0, 0.0, label, text_anchor="middle", fill=PAPER, font_weight="bold"))
        elif x2 >= until and x2 + 0.7 + text_width_mm(label) <= end:
            until = x2 + 0.7 + text_width_mm(label)
            drawn.append(text(x2 + 0.7, 0.0, label, font_weight="bold"))
    return drawn


def _said(case: Case, axis: TimeAxis) -> list[str]:
    """One bar over the window: the match tells one verdict of all of it, not one of each instant."""
    asked, needed = case.match["parameters"], case.match["required_speed_mps"]
    speed = "" if needed is None else f": it would take at least {_speed(needed)}"
    most = f", more than {_speed(asked['max_speed_mps'])}" if speed else ""
    told = {
        "placed": f"placed: {counted(case.match['n_fixes'], 'fix', 'fixes')} in the visits shown above",
        "excluded": f"presence excluded throughout{speed}{most}",
        "possible": f"presence not ruled out{speed}",
        "unmonitored": "no usable fix: nothing is said of presence",
    }[case.verdict]
    fill = {"excluded": PAPER, "placed": "#d4e6f1"}.get(case.verdict, "url(#hatch)")
    bar = element("rect", class_="verdict", x=axis.left, y=-2.4, width=axis.right - axis.left, height=4.8, fill=fill)
    return [
        bar,
        text((axis.left + axis.right) / 2.0, 0.0, told, SMALL_MM, halo=True, text_anchor="middle", font_weight="bold"),
    ]


def _speed(mps: float) -> str:
    return f"{number(mps)} m/s ({mps * 3.6 / 1.609344:,.0f} mph)"
