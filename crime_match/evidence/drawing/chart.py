"""Charts of a case: the coverage of the window by fixes, with its gaps, and the wearer's routine at the place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.svg import (
    FAINT,
    INK,
    PAPER,
    SMALL_MM,
    WIDTH_MM,
    Drawing,
    drawing,
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
from crime_match.evidence.rows import WINDOW, FixRow, fix_rows, local_text, window_of
from engine.times import parse_time

_LEFT, _TOP, _LANE = 34.0, 9.0, 7.0
_TOUCH_MM, _MOST_LENGTHS = 0.15, 100
GAP_US = 300_000_000
"""A stretch of the window without a fix that is longer than this is a gap: 2.5 minutes on either side of a fix are covered."""
_HATCH = element("pattern", line(0, 0, 0, 1.4, stroke=GREY, stroke_width=0.35), id="hatch", width=1.4, height=1.4,
                 patternUnits="userSpaceOnUse", patternTransform="rotate(45)")  # fmt: skip
_SOURCE_NAMES = {"gps": "Satellite (GPS)", "wifi": "Wireless networks", "rf": "Home beacon", "lbs": "Telephone masts"}


def coverage_chart(case: Case) -> Drawing:
    """The padded window on an axis of time: the crime's own window, each fix by its source, gaps with their length, visits,
    and what the match says of presence."""
    start_us, end_us = window_of(case)
    axis = TimeAxis(start_us, end_us, _LEFT, WIDTH_MM - 4.0, case.timezone)
    rows = [row for row in fix_rows(case) if row.when == WINDOW]
    lanes = _lanes(case, axis, rows)
    bottom = _TOP + _LANE * len(lanes)
    gaps = gaps_of(rows, start_us, end_us)
    content = [element("defs", _HATCH), *_shade(axis, gaps, bottom), *axis.draw(_TOP, bottom)]
    for k, (name, drawn) in enumerate(lanes):
        y = _TOP + _LANE * (k + 0.5)
        content += [text(1.0, y, name, SMALL_MM), group(drawn, transform=f"translate(0 {y:.2f})")]
        content.append(line(0.0, y + _LANE / 2.0, axis.right, y + _LANE / 2.0, stroke="#cfcfcf", stroke_width=0.15))
    content.append(
        element(
            "rect",
            x=_LEFT,
            y=_TOP,
            width=axis.right - _LEFT,
            height=bottom - _TOP,
            fill="none",
            stroke=INK,
            stroke_width=0.3,
        )
    )
    content += [
        text(1.0, _TOP - 2.4, f"Local time ({' and '.join(axis.zones)})", SMALL_MM),
        text(1.0, bottom + 2.6, "UTC", SMALL_MM),
    ]
    return drawing(content, _alt(case, rows, gaps), bottom + 8.0)


def gaps_of(rows: Sequence[FixRow], start_us: int, end_us: int) -> list[tuple[int, int]]:
    """Stretches of the window longer than five minutes without a fix that carries weight [us UTC], its edges included."""
    edges = [start_us, *(row.time_us for row in rows if row.has_weight), end_us]
    return [(one, two) for one, two in pairwise(edges) if two - one > GAP_US]


def _lanes(case: Case, axis: TimeAxis, rows: Sequence[FixRow]) -> list[tuple[str, list[str]]]:
    """Names and marks, y about 0; only lanes with something to show, but always the window, gaps and the verdict."""
    lanes = [("Crime's window, padding", _window(case, axis))]
    for source in dict.fromkeys(["gps", "wifi", "rf", "lbs", *sorted({row.source for row in rows})]):
        times = [row.time_us for row in rows if row.has_weight and row.source == source]
        if times:
            colour = source_kind(source).colour
            lanes.append((_SOURCE_NAMES.get(source, "Unknown source"), _marks(axis, times, colour)))
    flagged = [row.time_us for row in rows if not row.has_weight]
    if flagged:
        lanes.append(("Left out of decisions", [symbols(FLAGGED, [(x, 0.0) for x in _apart(axis, flagged)])]))
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
    strokes = "".join(path([(x, -1.8), (x, 1.8)]) for x in _apart(axis, times_us))
    return [element("path", class_="fixes", d=strokes, stroke=colour, stroke_width=0.3, fill="none")]


def _apart(axis: TimeAxis, times_us: Iterable[int]) -> list[float]:
    return sorted({round(axis.at(time_us) * 10.0) / 10.0 for time_us in times_us})


def _shade(axis: TimeAxis, gaps: Sequence[tuple[int, int]], bottom: float) -> list[str]:
    """Grey over all lanes, stretches that touch on the paper as one."""
    look = {"class_": "gap", "y": _TOP, "height": bottom - _TOP, "fill": "#e9e9e9"}
    return [element("rect", x=x1, width=x2 - x1, **look) for x1, x2 in _spans(axis, gaps)]


def _spans(axis: TimeAxis, gaps: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for one, two in gaps:
        x1, x2 = axis.at(one), axis.at(two)
        if spans and x1 - spans[-1][1] < _TOUCH_MM:
            spans[-1] = spans[-1][0], x2
        else:
            spans.append((x1, x2))
    return spans


def _lengths(axis: TimeAxis, gaps: Sequence[tuple[int, int]]) -> list[str]:
    """Spans between end marks, the longest named first where not all have room."""
    if not gaps:
        return [text(axis.left + 2.0, 0.0, "none", SMALL_MM, fill=FAINT)]
    marks = "".join(f"M{number(x1)} 0.8v1.6m0 -0.8H{number(x2)}m0 -0.8v1.6" for x1, x2 in _spans(axis, gaps))
    drawn = [element("path", class_="gap-lengths", d=marks, fill="none", stroke=INK, stroke_width=0.3)]
    taken: list[tuple[float, float]] = []
    longest = sorted(gaps, key=lambda gap: (gap[0] - gap[1], gap[0]))
    told = [((one + two) // 2, duration_text(two - one)) for one, two in longest[:_MOST_LENGTHS]]
    if len(gaps) > _MOST_LENGTHS:
        told = [((axis.start_us + axis.end_us) // 2, f"{len(gaps)} gaps, the longest {told[0][1]}")]
    for middle_us, words in told:
        half = text_width_mm(words, SMALL_MM) / 2.0
        x = min(max(axis.at(middle_us), axis.left + half), axis.right - half)
        if all(abs(x - other) >= half + reach for other, reach in taken):
            taken.append((x, half))
            drawn.append(text(x, -0.9, words, SMALL_MM, text_anchor="middle"))
    return drawn


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
    speed = "" if needed is None else f": it would need at least {needed:.2f} m/s"
    most = f", more than {asked['max_speed_mps']:g} m/s" if speed else ""
    told = {
        "placed": f"placed: {counted(case.match['n_fixes'], 'fix', 'fixes')} in the visits shown above",
        "excluded": f"presence excluded throughout{speed}{most}",
        "possible": f"presence not excluded{speed}",
        "unmonitored": "no usable fix: nothing is said of presence",
    }[case.verdict]
    fill = {"excluded": PAPER, "placed": "#d4e6f1"}.get(case.verdict, "url(#hatch)")
    bar = element("rect", class_="verdict", x=axis.left, y=-2.4, width=axis.right - axis.left, height=4.8, fill=fill)
    return [
        bar,
        text((axis.left + axis.right) / 2.0, 0.0, told, SMALL_MM, halo=True, text_anchor="middle", font_weight="bold"),
    ]


def _alt(case: Case, rows: Sequence[FixRow], gaps: Sequence[tuple[int, int]]) -> str:
    n = sum(row.has_weight for row in rows)
    longest = f"the longest {duration_text(max(two - one for one, two in gaps))}" if gaps else "none"
    start_us, end_us = window_of(case)
    span = f"{local_text(start_us, case.timezone)} to {local_text(end_us, case.timezone)}"
    return (
        f"Chart of the padded window, {span}: {counted(n, 'fix', 'fixes')} of weight, {len(rows) - n} left out, "
        f"{counted(len(gaps), 'gap')} of more than 5 minutes ({longest}), {100.0 * case.match['coverage']:.1f} % of it covered."
    )


def routine_chart(case: Case) -> Drawing | None:
    """The comparable windows of the days before as counted squares; None where the match tells none."""
    told = case.match.get("routine")
    if not told:
        return None
    n_out = sum(told["left_out"].values())
    counts = (("placed", told["placed"]), ("not placed", told["windows"] - told["placed"]), ("left out", n_out))
    if not sum(n for _, n in counts):
        return None
    names = [name for name, n in counts for _ in range(n)]
    side, across = 4.4, 28
    squares = [_window_square(name, 0.4 + side * (k % across), 0.4 + side * (k // across)) for k, name in enumerate(names)]
    y = 0.4 + side * ((len(names) - 1) // across + 1) + 2.4
    words = {"placed": "placed at this place", "not placed": "monitored, not placed", "left out": "left out: no usable fix"}
    x, parts = 0.4, []
    for name, n in counts:
        if n:
            label = f"{n} {words[name]}"
            parts += [_window_square(name, x, y - 1.7), text(x + 4.6, y, label)]
            x += 10.0 + text_width_mm(label)
    note = (
        f"Each square is one window at the same hours of the clock, {_weekdays(told)}, in the {told['days']} days before; "
        "in order of kind, not of date."
    )
    parts.append(text(0.4, y + 5.0, note, SMALL_MM, fill=FAINT))
    alt = (
        f"Of {told['windows']} comparable windows in the {told['days']} days before with usable fixes, the wearer was "
        f"placed here in {told['placed']}; {n_out} more were left out for want of fixes."
    )
    return drawing([element("defs", _HATCH), *squares, *parts], alt, round(y + 7.5, 2))


def _weekdays(told: Mapping[str, Any]) -> str:
    names = str(told["weekdays"])
    return (
        "on any day" if names == "all" else " ".join(word if word == "to" else word.capitalize() for word in names.split())
    )


def _window_square(name: str, x: float, y: float) -> str:
    """Full, empty, hatched."""
    fill = {"placed": BLUE, "not placed": PAPER, "left out": "url(#hatch)"}[name]
    return element(
        "rect", class_=name.replace(" ", "-"), x=x, y=y, width=3.6, height=3.6, fill=fill, stroke=INK, stroke_width=0.25
    )
