"""How the queue, the changes and the figures of the alarms are told."""

from __future__ import annotations

from pydantic import Field

from tagwatch.console.api.alert_told import AlertLine
from tagwatch.console.api.values import Iso, Told

MOST_UNDER = 20
"""So many alerts under a head are told in full with it."""


class QueueLine(Told):
    """A line of the queue: one alert, or a head (`flood`, `outage`) over many."""

    section: str
    head: str | None
    text: str = Field(description="What the head says; empty for a single alert")
    ids: list[str] = Field(description="Every alert of the line, in the order in which they should be looked at")
    alerts: list[AlertLine] = Field(description=f"The first {MOST_UNDER} of them in full")


class Queue(Told):
    """Lines in the order in which somebody should look at them."""

    number: int = Field(description="The change up to which this is the queue: `after` of the changes to follow")
    items: list[QueueLine]
    next: str | None


class Change(Told):
    """One change of an alert: raised, version, or what was done."""

    number: int
    alert: str
    wearer: str
    grade: str | None
    kind: str
    version: int
    action: int


class Changes(Told):
    """Changes in the order in which they became visible; `last` is to be `after` of the next call."""

    items: list[Change]
    last: int
    more: bool = Field(description="Whether there are further ones already")


class Flood(Told):
    """One flood of alerts; `ended` is null where it goes on."""

    began: Iso
    ended: Iso | None
    n_alerts: int
    peak: int


class Source(Told):
    """One source of many alerts."""

    rule: str
    subject: str
    wearer: str
    n_alerts: int


class AlarmFigures(Told):
    """The figures of EEMUA 191 for a period; `standing`, `stale` and `shelved` are of now."""

    from_: Iso = Field(alias="from")
    to: Iso
    n_operators: int
    n_alerts: int
    n_retracted: int
    average: float
    peak: float
    n_intervals: int
    n_intervals_over: int
    share_over: float
    floods: list[Flood]
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
    most_frequent: list[Source]
    most_frequent_share: float
    bounds: dict[str, float]
