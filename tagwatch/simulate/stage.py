"""Scenes on purpose, for the demo: a zone entered, a home left within the curfew, a burglary, all within a given time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from numpy.random import Generator

from engine.errors import InputError
from engine.times import HOUR_US, MINUTE_US, to_datetime
from tagwatch.simulate.breaches import target_in
from tagwatch.simulate.crimes import Crime, Presence, report
from tagwatch.simulate.curfews import DAYS, LONDON, Pattern
from tagwatch.simulate.journeys import OUTDOOR, Diary, Journey, Stop, plan_journey
from tagwatch.simulate.people import Person
from tagwatch.simulate.spans import Span
from tagwatch.simulate.streets import Place, Routes
from tagwatch.simulate.town import Town

LEAST_US = 15 * MINUTE_US


class Scene(NamedTuple):
    """What was staged: `zone`, `curfew` or `crime`, by whom, about what (zone, curfew, reference), from and to [us]."""

    kind: str
    wearer: str
    subject: str
    from_us: int
    to_us: int


def staged_pattern(stage: Span) -> Pattern:
    """A daily curfew that is in force throughout the scenes, whatever the hour of the day."""
    first = to_datetime(stage[0] - HOUR_US).astimezone(LONDON).hour
    last = (to_datetime(stage[1] + 2 * HOUR_US).astimezone(LONDON)).hour
    if stage[1] - stage[0] > 18 * HOUR_US:
        raise InputError(field="stage", value=stage, expected="at most 18 hours")
    return ((DAYS, first, last),)


def enter_zone(person: Person, town: Town, diary: Diary, stage: Span, rng: Generator) -> Scene:
    """Walks to the middle of an exclusion zone and stays there for 8 minutes, within the time."""
    zone = min((z for z in person.exclusions if z.schedule is None), key=lambda z: float(z.shape.outline.area))
    spot = target_in(zone, town)
    arrives = stage[0] + min((stage[1] - stage[0]) // 6, 30 * MINUTE_US)
    stay = _go(person, spot, 480.0, arrives, town, diary, rng).stays[0]
    return Scene("zone", person.id, zone.id, *stay)


def leave_home(person: Person, town: Town, diary: Diary, stage: Span, rng: Generator) -> Scene:
    """Leaves home within the curfew and is out until after the scenes, or for about an hour where they last longer."""
    leaves = stage[0] + (stage[1] - stage[0]) // 4
    out_us = max(20 * MINUTE_US, min(stage[1] - leaves, HOUR_US))
    journey = plan_journey(person.home, (Stop(person.haunts[-1], out_us * 1e-6),), Routes(town.streets), person.gait, rng)
    _must(journey is not None and diary.enter(journey.leaving(leaves)))
    return Scene("curfew", person.id, person.curfew.id if person.curfew else "", leaves, diary.journeys[-1].returns_us)


def burgle(person: Person, town: Town, diary: Diary, stage: Span, rng: Generator) -> tuple[Scene, Crime, Presence]:
    """Goes to a house some streets off, is there for 6 minutes, and leaves; the crime's window lies within the time."""
    house = next(house for house in (town.house(rng) for _ in range(1000)) if _some_streets_off(person.home, house))
    arrives = stage[0] + (stage[1] - stage[0]) // 3
    stay = _go(person, house, 360.0, arrives, town, diary, rng).stays[0]
    window = max(stage[0], stay[0] - 5 * MINUTE_US), min(stage[1], stay[1] + 5 * MINUTE_US)
    crime = report(house, stay, town, rng, window)._replace(reference="26/STAGED", force=person.record.force)
    crime = crime._replace(from_us=window[0], to_us=window[1])
    return Scene("crime", person.id, crime.reference, *stay), crime, Presence(crime.reference, person.id, *stay)


def check_stage(stage: Span, whole: Span, wearers: int) -> None:
    """Raises InputError where the time is too short, not within the simulation, or nobody is there to play."""
    if wearers < 4:
        raise InputError(field="wearers", value=wearers, expected="at least 4 where scenes are staged")
    if stage[1] - stage[0] < LEAST_US or not whole[0] <= stage[0] < stage[1] <= whole[1]:
        raise InputError(field="stage", value=stage, expected="at least 15 minutes within the simulated time")


def _go(person: Person, place: Place, stay_s: float, arrives_us: int, town: Town, diary: Diary, rng: Generator) -> Journey:
    journey = plan_journey(person.home, (Stop(place, stay_s, OUTDOOR),), Routes(town.streets), person.gait, rng)
    _must(journey is not None and diary.enter(journey.arriving(arrives_us)))
    return diary.journeys[-1]


def _some_streets_off(home: Place, house: Place) -> bool:
    return 300.0 < math.hypot(home.x - house.x, home.y - house.y) < 1200.0


def _must(entered: bool) -> None:
    """A scene comes first in an empty diary: it always fits."""
    if not entered:
        raise AssertionError("a staged scene must fit")


def play(
    people: Sequence[Person], diaries: Sequence[Diary], town: Town, stage: Span, rng: Generator
) -> tuple[tuple[Scene, ...], tuple[tuple[Crime, Presence], ...]]:
    """All three scenes, by the first three wearers, and the crime of the third with its truth."""
    zone = enter_zone(people[0], town, diaries[0], stage, rng)
    curfew = leave_home(people[1], town, diaries[1], stage, rng)
    burglary, crime, presence = burgle(people[2], town, diaries[2], stage, rng)
    return (zone, curfew, burglary), ((crime, presence),)
