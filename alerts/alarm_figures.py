"""How well the stream of alerts can be handled: the figures by which control rooms judge their alarms, with their bounds.

EEMUA publication 191 and ANSI/ISA-18.2 (IEC 62682) say, in our words: one operator copes with about one alert in ten minutes
and hardly with more than two; over ten in ten minutes is a flood, which should be rare (under 1 % of the time); alerts that
stand for a day are stale and should be few; ten sources should not make more than 5 % of all; about 5 % should be of the
highest grades, 15 % in the middle, the rest low.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import GRADE_ORDER
from alerts.floods import Flood, Thresholds, find_floods
from alerts.queue import STALE_US, Row, is_stale, section_of
from engine.errors import InputError
from engine.times import MINUTE_US, SECOND_US, to_iso

BOUNDS = {
    "average": 1.0, "peak": 10, "share_over": 0.01, "share_in_flood": 0.01, "stale": 5, "most_frequent_share": 0.05,
    "critical_and_high_share": 0.05,
}  # fmt: skip
"""What should not be exceeded; the rates are alerts an operator in ten minutes."""

MOST_FREQUENT = 10


class Raised(NamedTuple):
    """One alert that was raised in the period; `answered_us` is when a person first acknowledged or closed it."""

    raised_us: int
    wearer: str
    rule: str
    subject: str
    grade: str
    retracted: bool
    answered_us: int | None


class FloodFigure(msgspec.Struct, frozen=True):
    """One flood; `ended` is null where it goes on at the end of the period."""

    began: str
    ended: str | None
    n_alerts: int
    peak: int


class Frequent(msgspec.Struct, frozen=True):
    """One source of alerts and how many it made."""

    rule: str
    subject: str
    wearer: str
    n_alerts: int


class Figures(msgspec.Struct, frozen=True):
    """The figures of a period; `standing`, `stale` and `shelved` are of the moment they were asked for."""

    from_: str = msgspec.field(name="from")
    to: str
    n_operators: int
    n_alerts: int
    n_retracted: int
    average: float
    peak: float
    n_intervals: int
    n_intervals_over: int
    share_over: float
    floods: list[FloodFigure]
    share_in_flood: float
    standing: int
    stale: int
    shelved: int
    n_answered: int
    answer_median_s: float | None
    answer_p95_s: float | None
    by_grade: dict[str, int]
    critical_and_high_share: float
    by_rule: dict[str, int]
    most_frequent: list[Frequent]
    most_frequent_share: float
    bounds: dict[str, float]

    def to_json(self) -> bytes:
        """One line of JSON, keys in a fixed order."""
        return msgspec.json.encode(self)


def figures(
    raised: Sequence[Raised], standing: Sequence[Row], from_us: int, to_us: int, now_us: int, thresholds: Thresholds,
    stale_us: int = STALE_US,
) -> Figures:  # fmt: skip
    """The figures of the alerts raised in [from_us, to_us), and of those that stand now."""
    if to_us <= from_us:
        raise InputError("the period is empty", field="to", value=to_iso(to_us), expected=f"a time after {to_iso(from_us)}")
    counts = _by_interval([r.raised_us for r in raised], from_us, to_us, thresholds.window_us)
    most = thresholds.begin_over * thresholds.n_operators
    over = sum(n > most for n in counts)
    floods = find_floods([r.raised_us for r in raised], thresholds, to_us)
    in_flood_us = sum((f.ended_us or to_us) - f.began_us for f in floods)
    waits_s = sorted((r.answered_us - r.raised_us) / SECOND_US for r in raised if r.answered_us is not None)
    grades = Counter(r.grade for r in raised)
    frequent = _most_frequent(raised)
    open_now = [row for row in standing if section_of(row)]
    n_operators, count = thresholds.n_operators, max(1, len(raised))
    return Figures(
        from_=to_iso(from_us), to=to_iso(to_us), n_operators=n_operators, n_alerts=len(raised),
        n_retracted=sum(r.retracted for r in raised),
        average=round(len(raised) / ((to_us - from_us) / thresholds.window_us) / n_operators, 3),
        peak=round(max(counts) / n_operators, 1), n_intervals=len(counts), n_intervals_over=over,
        share_over=round(over / len(counts), 4),
        floods=[_flood(f) for f in floods],
        share_in_flood=round(in_flood_us / (to_us - from_us), 4),
        standing=len(open_now), stale=sum(is_stale(row, now_us, stale_us) for row in open_now),
        shelved=sum(row.handling.state == "shelved" for row in open_now), n_answered=len(waits_s),
        answer_median_s=_quantile(waits_s, 0.5), answer_p95_s=_quantile(waits_s, 0.95),
        by_grade={grade: grades[grade] for grade in reversed(GRADE_ORDER)},
        critical_and_high_share=round((grades["critical"] + grades["high"]) / count, 4),
        by_rule=dict(sorted(Counter(r.rule for r in raised).items(), key=lambda item: (-item[1], item[0]))),
        most_frequent=frequent, most_frequent_share=round(sum(f.n_alerts for f in frequent) / count, 4), bounds=dict(BOUNDS),
    )  # fmt: skip


def _flood(flood: Flood) -> FloodFigure:
    ended = None if flood.ended_us is None else to_iso(flood.ended_us)
    return FloodFigure(to_iso(flood.began_us), ended, flood.n_alerts, flood.peak)


def _by_interval(times_us: Sequence[int], from_us: int, to_us: int, length_us: int = 10 * MINUTE_US) -> list[int]:
    """How many fall into each interval of this length, the last one cut."""
    counts = [0] * -(-(to_us - from_us) // length_us)
    for time_us in times_us:
        counts[(time_us - from_us) // length_us] += 1
    return counts


def _most_frequent(raised: Sequence[Raised]) -> list[Frequent]:
    found = Counter((r.rule, r.subject, r.wearer) for r in raised)
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [Frequent(*source, count) for source, count in ranked[:MOST_FREQUENT]]


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that this share does not exceed, by nearest rank."""
    return round(ordered[math.ceil(share * len(ordered)) - 1], 3) if ordered else None
