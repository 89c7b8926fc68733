"""Charts of a case: the coverage of the window by fixes, with its gaps, and the wearer's routine at the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.lanes import GAP_US, HATCH, STROKE_MM, gaps_of, lanes_of, spans_of, strokes_of
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
    text,
    text_width_mm,
)
from crime_match.evidence.drawing.symbols import BLUE
from crime_match.evidence.drawing.time_axis import TimeAxis
from crime_match.evidence.drawing.wording import counted, duration_text
from crime_match.evidence.report.words import percent
from crime_match.evidence.rows import WINDOW, FixRow, fix_rows, local_text, utc_text, window_of
from engine.times import parse_time

_LEFT, _TOP, _LANE, _NOTE_MM = 34.0, 9.0, 7.0, 3.4


def coverage_chart(case: Case) -> Drawing:
    """The padded window on an axis of time: the crime's own window, each fix by its source, gaps with their length, visits,
    and what the match says of presence."""
    start_us, end_us = window_of(case)
    axis = TimeAxis(start_us, end_us, _LEFT, WIDTH_MM - 4.0, case.timezone)
    rows = [row for row in fix_rows(case) if row.when == WINDOW]
    lanes = lanes_of(case, axis, rows)
    bottom = _TOP + _LANE * len(lanes)
    gaps = gaps_of(rows, start_us, end_us)
    content = [element("defs", HATCH), *_shade(axis, gaps, bottom), *axis.draw(_TOP, bottom)]
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
    notes = _notes(case, axis, rows, gaps)
    content += [text(1.0, bottom + 10.5 + _NOTE_MM * k, words, SMALL_MM) for k, words in enumerate(notes)]
    return drawing(content, _alt(case, rows, gaps), round(bottom + 10.5 + _NOTE_MM * len(notes), 2))


def _notes(case: Case, axis: TimeAxis, rows: Sequence[FixRow], gaps: Sequence[tuple[int, int]]) -> list[str]:
    """How to read the chart, and what it shows as words."""
    zone, asked = case.timezone, case.match["parameters"]
    span, own = (
        " to ".join(local_text(time_us, zone) for time_us in ends)
        for ends in (window_of(case), (parse_time(asked["from"]), parse_time(asked["to"])))
    )
    share, pad = percent(case.match["coverage"]), duration_text(round(asked["pad_s"] * 1e6))
    weighty = [row.time_us for row in rows if row.has_weight]
    told = [
        f"Window with its padding: {span} ({zone}).",
        f"Crime's own window, filled: {own}. Hatched: its padding, {pad} before and after.",
        f"Covered: {share} of the window, within {asked['covered_s'] / 60.0:g} minutes of a fix that carries weight.",
        f"Grey down all rows: more than {GAP_US // 60_000_000} minutes without such a fix; {_gaps_text(gaps)}.",
    ]
    n_strokes = sum(
        len(strokes_of(axis, [row.time_us for row in rows if row.has_weight and row.source == source]))
        for source in {row.source for row in rows}
    )
    thinned = f"; {n_strokes:,} strokes for {len(weighty):,} fixes, as those closer than {STROKE_MM:g} mm are one"
    told += [f"Each upright stroke is a fix{thinned if n_strokes < len(weighty) else ''}."] if weighty else []
    change = axis.clock_change()
    if change:
        way = "forward" if change[1] > 0 else "back"
        told.append(f"Dashed: the local clock is put {way} by {duration_text(abs(change[1]))}, at {utc_text(change[0])}.")
    return told


def _gaps_text(gaps: Sequence[tuple[int, int]]) -> str:
    lengths = [two - one for one, two in gaps]
    return f"{counted(len(gaps), 'gap')}, the longest {duration_text(max(lengths))}" if gaps else "there is no such gap"


def _shade(axis: TimeAxis, gaps: Sequence[tuple[int, int]], bottom: float) -> list[str]:
    """Grey over all lanes, stretches that touch on the paper as one."""
    look = {"class_": "gap", "y": _TOP, "height": bottom - _TOP, "fill": "#e9e9e9"}
    return [element("rect", x=x1, width=x2 - x1, **look) for x1, x2 in spans_of(axis, gaps)]


def _alt(case: Case, rows: Sequence[FixRow], gaps: Sequence[tuple[int, int]]) -> str:
    n = sum(row.has_weight for row in rows)
    longest = f"the longest {duration_text(max(two - one for one, two in gaps))}" if gaps else "none"
    start_us, end_us = window_of(case)
    span = f"{local_text(start_us, case.timezone)} to {local_text(end_us, case.timezone)}"
    return (
        f"Chart of the padded window, {span}: {counted(n, 'fix', 'fixes')} of weight, {len(rows) - n} left out, "
        f"{counted(len(gaps), 'gap')} of more than 5 minutes ({longest}), {percent(case.match['coverage'])} of it covered."
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
    return drawing([element("defs", HATCH), *squares, *parts], alt, round(y + 7.5, 2))


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
