"""Floods: when more comes than people can read, and what is then shown under one head, each of it still counted and listed.

A flood begins when more than 10 alerts an operator come in 10 minutes and ends when fewer than 5 do: the measure by which
EEMUA 191 and ANSI/ISA-18.2 tell a flood of alarms. An outage is many wearers losing contact within minutes: a mast or a
gateway, not the wearers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from alerts.handling import TAMPERS
from engine.times import MINUTE_US

NEVER_GROUPED = ("zone.exclusion", "zone.proximity", *TAMPERS)
NO_CONTACT = "tag.no_contact"
_LEAST_HEAD = 3
_DEGREE_M = 111_195.0


class Thresholds(NamedTuple):
    """When it is a flood, by operator and window; when it is an outage, by wearers, window and side of a square."""

    n_operators: int = 1
    begin_over: int = 10
    end_under: int = 5
    window_us: int = 10 * MINUTE_US
    outage_wearers: int = 5
    outage_window_us: int = 15 * MINUTE_US
    outage_square_m: float = 5000.0


class Flood(NamedTuple):
    """From the first alert of the window that was too full to when fewer came again (None: it goes on)."""

    began_us: int
    ended_us: int | None
    n_alerts: int
    peak: int


class Groupable(Protocol):
    """What grouping must know of an alert; `place` is where its wearer was last (latitude, longitude in degrees)."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def wearer(self) -> str: ...  # noqa: D102
    @property
    def rule(self) -> str: ...  # noqa: D102
    @property
    def grade(self) -> str: ...  # noqa: D102
    @property
    def began_us(self) -> int: ...  # noqa: D102
    @property
    def raised_us(self) -> int: ...  # noqa: D102
    @property
    def place(self) -> tuple[float, float] | None: ...  # noqa: D102
    @property
    def untouched(self) -> bool: ...  # noqa: D102


class Head(NamedTuple):
    """Alerts shown as one line: why, and the identifiers of all of them."""

    kind: str
    text: str
    ids: tuple[str, ...]


def find_floods(raised_us: Iterable[int], thresholds: Thresholds, until_us: int) -> list[Flood]:
    """The floods among alerts raised at these instants, as known at `until_us`.

    The count of the last window changes where an alert comes and where one leaves the window: both are looked at in turn.
    """
    times = sorted(t for t in raised_us if t <= until_us)
    begin, end = thresholds.begin_over * thresholds.n_operators, thresholds.end_under * thresholds.n_operators
    floods: list[Flood] = []
    window: deque[int] = deque()
    began_us, n_alerts, peak = None, 0, 0
    for time_us in [*times, until_us + 1]:
        while window and window[0] + thresholds.window_us <= min(time_us, until_us):
            left_us = window.popleft() + thresholds.window_us
            if began_us is not None and len(window) < end:
                floods.append(Flood(began_us, left_us, n_alerts, peak))
                began_us = None
        if time_us > until_us:
            break
        window.append(time_us)
        if began_us is not None:
            n_alerts, peak = n_alerts + 1, max(peak, len(window))
        elif len(window) > begin:
            fresh = [t for t in window if not floods or t >= (floods[-1].ended_us or 0)]  # the rest is the last flood's
            began_us, n_alerts, peak = fresh[0], len(fresh), len(window)
    if began_us is not None:
        floods.append(Flood(began_us, None, n_alerts, peak))
    return floods


def group(alerts: Sequence[Groupable], floods: Sequence[Flood], thresholds: Thresholds) -> list[Head]:
    """Heads over those alerts that may be put under one; an alert is under one head at most, all others stand alone.

    What is critical, about an exclusion zone or a protected person, a tamper, and what was touched or came back stands alone.
    """
    free = [a for a in alerts if a.untouched and a.grade != "critical" and a.rule not in NEVER_GROUPED]
    heads = _outages([a for a in free if a.rule == NO_CONTACT], thresholds)
    taken = {identifier for head in heads for identifier in head.ids}
    by_rule: dict[tuple[int, str], list[str]] = {}
    begins = [flood.began_us for flood in floods]
    for alert in sorted(free, key=lambda a: (a.raised_us, a.id)):
        k = bisect_right(begins, alert.raised_us) - 1
        ended_us = floods[k].ended_us if k >= 0 else 0
        if alert.id not in taken and k >= 0 and (ended_us is None or alert.raised_us < ended_us):
            by_rule.setdefault((k, alert.rule), []).append(alert.id)
    return heads + [
        Head("flood", f"{len(ids)} {rule} in a flood", tuple(ids))
        for (_, rule), ids in by_rule.items()
        if len(ids) >= _LEAST_HEAD
    ]


def _outages(silent: Sequence[Groupable], thresholds: Thresholds) -> list[Head]:
    """Heads over losses of contact: those near each other in time and place, then those near in time alone."""
    heads: list[Head] = []
    rest = sorted(silent, key=lambda a: (a.began_us, a.id))
    begins = [a.began_us for a in rest]
    start = 0
    while start < len(rest):
        end = bisect_right(begins, begins[start] + thresholds.outage_window_us)
        found = _one_outage(rest[start:end], thresholds)
        heads += found
        start = end if found else start + 1
    return heads


def _one_outage(together: list[Groupable], thresholds: Thresholds) -> list[Head]:
    """Heads over alerts that began within one window."""
    heads: list[Head] = []
    if _n_wearers(together) < thresholds.outage_wearers:
        return heads
    for near in _neighbours([a for a in together if a.place is not None], thresholds.outage_square_m):
        if _n_wearers(near) >= thresholds.outage_wearers:
            heads.append(_outage("mast", near, " near each other: a mast?"))
    taken = {identifier for head in heads for identifier in head.ids}
    left = [a for a in together if a.id not in taken]
    if _n_wearers(left) >= thresholds.outage_wearers:
        heads.append(_outage("gateway", left, " in many places: a gateway?"))
    return heads


def _outage(kind: str, members: Sequence[Groupable], text: str) -> Head:
    minutes = (members[-1].began_us - members[0].began_us) / MINUTE_US
    told = f"{_n_wearers(members)} wearers lost contact within {math.ceil(minutes)} min{text}"
    return Head(kind, told, tuple(a.id for a in members))


def _n_wearers(alerts: Iterable[Groupable]) -> int:
    return len({a.wearer for a in alerts})


def _neighbours(placed: Sequence[Groupable], side_m: float) -> list[list[Groupable]]:
    """Alerts by where their wearers were last: squares of this side, with all that touch by edge or corner in one piece."""
    squares: dict[tuple[int, int], list[Groupable]] = {}
    narrow = math.cos(math.radians(math.fsum(a.place[0] for a in placed if a.place) / max(1, len(placed))))
    for alert in placed:
        lat, lon = alert.place or (0.0, 0.0)
        square = (math.floor(lat * _DEGREE_M / side_m), math.floor(lon * narrow * _DEGREE_M / side_m))
        squares.setdefault(square, []).append(alert)
    pieces = []
    while squares:
        waiting, piece = [next(iter(squares))], []
        while waiting:
            row, column = waiting.pop()
            piece += squares.pop((row, column), [])
            waiting += [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (row + i, column + j) in squares]
        pieces.append(sorted(piece, key=lambda a: (a.began_us, a.id)))
    return pieces
