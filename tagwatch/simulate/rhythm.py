"""The ordinary days of somebody who obeys: work, shops, friends and parks, all outside the curfew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from numpy.random import Generator

from engine.times import HOUR_US, MINUTE_US
from tagwatch.simulate.curfews import at_clock
from tagwatch.simulate.journeys import INDOOR, OUTDOOR, Diary, Stop, plan_journey
from tagwatch.simulate.people import Person
from tagwatch.simulate.spans import Span


def live_ordinarily(person: Person, diary: Diary, days: Sequence[date], windows: Sequence[Span], rng: Generator) -> None:
    """Fill the diary of these local days; `windows` are the curfew windows to be home in [us]."""
    margin_us = 12 * MINUTE_US
    home_by = [(start - margin_us, end + margin_us // 4) for start, end in windows]
    for day in days:
        if person.second_home and rng.random() < 0.25:
            _sleep_elsewhere(person, diary, windows, day, rng)
        worked = person.work is not None and day.weekday() < 5 and rng.random() < 0.93
        if worked:
            _work(person, diary, home_by, day, rng)
        for _ in range(int(rng.poisson(0.4 if worked else 1.7))):
            _go_out(person, diary, home_by, day, rng)


def _work(person: Person, diary: Diary, home_by: Sequence[Span], day: date, rng: Generator) -> None:
    """To work and back, often by way of a shop; where the shop would break the curfew, without it."""
    if person.work is None:
        return
    begins = at_clock(day, person.work_hours[0]) + int(rng.normal(0, 4) * MINUTE_US)
    shift = Stop(person.work, (person.work_hours[1] - person.work_hours[0]) * 3600.0 + rng.normal(0, 480))
    if rng.random() < 0.35:
        shop = Stop(person.haunts[0], rng.uniform(240, 1500))
        both = plan_journey(person.home, (shift, shop), person.routes, person.gait, rng)
        if both and diary.enter(both.arriving(begins), home_by):
            return
    plain = plan_journey(person.home, (shift,), person.routes, person.gait, rng)
    if plain:
        diary.enter(plain.arriving(begins), home_by)


def _go_out(person: Person, diary: Diary, home_by: Sequence[Span], day: date, rng: Generator) -> None:
    """An errand, a visit, a walk in the park or a round of two, some time of the day; up to three tries to find a time."""
    kind = int(rng.integers(5))
    friend = person.haunts[-1 - int(rng.integers(3))]
    stops = (
        (Stop(person.haunts[0], rng.uniform(300, 2400)),),
        (Stop(friend, rng.uniform(1800, 9000)),),
        (Stop(person.park, rng.uniform(900, 3600), OUTDOOR),),
        (Stop(person.haunts[1 % len(person.haunts)], rng.uniform(300, 1800)), Stop(friend, rng.uniform(1200, 6000))),
        (Stop(friend, rng.uniform(30, 120), OUTDOOR),),
    )[kind]
    journey = plan_journey(person.home, stops, person.routes, person.gait, rng)
    for _ in range(3):
        at_us = at_clock(day, rng.uniform(7.5, 21.5))
        if journey and diary.enter(journey.leaving(at_us), home_by):
            return


def _sleep_elsewhere(person: Person, diary: Diary, windows: Sequence[Span], day: date, rng: Generator) -> None:
    """A night at the second place of the curfew: there before the window, gone after it."""
    evening = at_clock(day, 24.0)
    night = next((span for span in windows if span[0] < evening < span[1]), None)
    if person.second_home is None or night is None:
        return
    early_us, late_us = int(rng.uniform(0.3, 1.5) * HOUR_US), int(rng.uniform(0.1, 0.8) * HOUR_US)
    stay_s = (night[1] - night[0] + early_us + late_us) * 1e-6
    journey = plan_journey(person.home, (Stop(person.second_home, stay_s, INDOOR),), person.routes, person.gait, rng)
    others = [span for span in windows if span != night]
    if journey:
        diary.enter(journey.arriving(night[0] - early_us), others)
