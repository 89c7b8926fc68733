"""A survey of a batch: for each crime the chance figure, and for each event the days on which each wearer would be placed.

An event is a set of crimes that one stay could place a wearer at: their padded windows overlap and their places lie at most two
vicinities' radii apart, and so on from each to the next. It counts once, and its crimes are shifted together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.question import Question
from crime_match.strength.chance import chance_record
from crime_match.strength.placements import Marks, mark
from crime_match.strength.series_kernels import join_events
from crime_match.strength.shifts import Calendar, Shifted, shifted, step_days, within_block
from engine.hours import Hours
from engine.tracks import Tracks

Crimes = Sequence[tuple[str, Question]]
"""Crimes by the names that results give them."""


class Rows(NamedTuple):
    """An event and a wearer who was monitored at it and would be placed on one of its days at least; n rows, in order of event.

    event, wearer: their numbers; monitored, placed: the event's days as bits; own: the bit of the day on which it was (n,).
    """

    event: NDArray[np.int64]
    wearer: NDArray[np.int64]
    monitored: NDArray[np.int64]
    placed: NDArray[np.int64]
    own: NDArray[np.int64]


class Survey(NamedTuple):
    """Chance by the crimes' order as given; events as tuples of numbers of crimes, by the start of their first; how many days
    each event has; the rows; at how many events each wearer was monitored (n_wearers,); which crimes place which wearers."""

    chance: list[dict[str, Any]]
    events: list[tuple[int, ...]]
    n_days: list[int]
    rows: Rows
    n_events: NDArray[np.int64]
    placed: list[NDArray[np.int64]]


def survey(
    tracks: Tracks, crimes: Crimes, calendar: Calendar, hours: Hours | None = None, apart_m: float | None = None,
    progress: Callable[[int], object] = int,
) -> Survey:  # fmt: skip
    """Compare each crime's window with the same hours of other days. `apart_m`: how far apart the places of one event may lie
    (default: twice the vicinity's radius); `progress` is told of each number of crimes done."""
    events = events_of(crimes, apart_m)
    chance: list[dict[str, Any]] = [{}] * len(crimes)
    placed = [np.empty(0, np.int64)] * len(crimes)
    rows, n_days, n_events = (
        [_rows_of(0, np.int64(1), Marks(*np.zeros((2, 0), np.int64)))],
        [],
        np.zeros(tracks.n_wearers, np.int64),
    )
    for number, event in enumerate(events):
        questions = [crimes[k][1] for k in event]
        for k, question in zip(event, questions, strict=True):
            windows = within_block(question, calendar)
            marks = mark(tracks, question, windows, hours)
            chance[k] = chance_record(windows, marks)
            placed[k] = np.flatnonzero(marks.placed & _own(windows.days))
            progress(1)
        days = windows.days if len(event) == 1 else _days_of(questions, calendar)
        if len(event) > 1:
            marks = _marks_of(tracks, questions, days, calendar, hours)
        n_days.append(len(days))
        n_events += (marks.monitored & _own(days)) != 0
        rows.append(_rows_of(number, _own(days), marks))
    return Survey(chance, events, n_days, Rows(*map(np.concatenate, zip(*rows, strict=True))), n_events, placed)


def events_of(crimes: Crimes, apart_m: float | None = None) -> list[tuple[int, ...]]:
    """The events of a batch: the numbers of their crimes, in order of their windows' start, then name; events likewise."""
    order = sorted(range(len(crimes)), key=lambda k: (crimes[k][1].start_us, crimes[k][0]))
    questions = [crimes[k][1] for k in order]
    if apart_m is None:
        apart_m = 2.0 * max((q.radius_m for q in questions), default=0.0)
    first = np.empty(len(order), np.int64)
    lat_e7, lon_e7 = (np.array([getattr(q, name) for q in questions], np.int64) for name in ("lat_e7", "lon_e7"))
    start_us, end_us = (np.array([getattr(q, name) for q in questions], np.int64) for name in ("start_us", "end_us"))
    join_events(lat_e7, lon_e7, start_us, end_us, float(apart_m), first)
    found: dict[int, list[int]] = {}
    for k, event in zip(order, first.tolist(), strict=True):
        found.setdefault(event, []).append(k)
    return [tuple(found[event]) for event in sorted(found)]


def _own(days: NDArray[np.int64]) -> np.int64:
    """The bit of the crime's own window."""
    return np.int64(1 << int(np.flatnonzero(days == 0)[0]))


def _days_of(questions: Sequence[Question], calendar: Calendar) -> NDArray[np.int64]:
    """The days by which an event may be shifted: those of its first crime on which the windows of all lie in the period."""
    step = math.lcm(*(step_days(question) for question in questions))
    days: NDArray[np.int64] = within_block(questions[0], calendar).days
    days = days[days % step == 0]
    for question in questions:
        windows = _shifted(question, days, calendar)
        days = days[(days == 0) | ((windows.start_us >= calendar.first_us) & (windows.end_us <= calendar.last_us))]
    return days


def _marks_of(
    tracks: Tracks, questions: Sequence[Question], days: NDArray[np.int64], calendar: Calendar, hours: Hours | None
) -> Marks:
    """Monitored, and placed, at any crime of the event."""
    marks = Marks(*np.zeros((2, tracks.n_wearers), np.int64))
    for question in questions:
        marks = marks.either(mark(tracks, question, _shifted(question, days, calendar), hours))
    return marks


def _shifted(question: Question, days: NDArray[np.int64], calendar: Calendar) -> Shifted:
    return shifted(question, days.tolist(), calendar.timezone)


def _rows_of(number: int, own: np.int64, marks: Marks) -> tuple[NDArray[np.int64], ...]:
    wearer = np.flatnonzero((marks.monitored & own != 0) & (marks.placed != 0))
    n = len(wearer)
    return np.full(n, number), wearer, marks.monitored[wearer], marks.placed[wearer], np.full(n, own)
