"""Burglaries: some by wearers, who truly go there; the rest by nobody with a tag, a few next door to a wearer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from engine.times import HOUR_US, MINUTE_US, SECOND_US
from tagwatch.simulate.journeys import Diary, Stop, plan_journey
from tagwatch.simulate.people import Person
from tagwatch.simulate.spans import Span
from tagwatch.simulate.streets import Place
from tagwatch.simulate.town import Town

_TEXTS = ("Rear window forced, jewellery taken.", "Door insecure, keys and car taken.", "Shed broken into, tools taken.",
          "Untidy search, cash taken.", "Front door forced while the owner was at work.")  # fmt: skip


class Crime(NamedTuple):
    """A row of `crimes.csv`: times in us UTC, the place as reported in degrees."""

    force: str
    reference: str
    type: str
    from_us: int
    to_us: int
    lat: float
    lon: float
    uncertainty_m: float
    text: str


class Presence(NamedTuple):
    """The truth of a crime: the wearer who did it and was there [us], or nobody; and a wearer who lives next door."""

    reference: str
    wearer: str = ""
    from_us: int = 0
    to_us: int = 0
    neighbour: str = ""


def commit_crimes(
    count: int,
    people: Sequence[Person],
    diaries: Sequence[Diary],
    tagged: Sequence[Sequence[Span]],
    town: Town,
    rng: Generator,
) -> list[tuple[Crime, Presence]]:
    """So many burglaries in order of time, two in five by wearers while they are `tagged` (spans for each person)."""
    happened: list[tuple[Crime, Presence]] = []
    for number in range(count):
        person = int(rng.integers(len(people)))
        done = None
        if rng.random() < 0.4:
            done = _burgle(people[person], diaries[person], tagged[person], town, rng)
        if done:
            house, stay = done
            presence = Presence("", people[person].id, *stay)
        else:
            decoy = number % 6 == 0
            house = town.next_door(people[person].home) if decoy else town.house(rng)
            stay = _any_time(tagged[person], rng)
            presence = Presence("", neighbour=people[person].id if decoy else "")
        happened.append((report(house, stay, town, rng), presence))
    happened.sort(key=lambda both: both[0].from_us)
    return [_numbered(number, crime, presence) for number, (crime, presence) in enumerate(happened)]


def report(house: Place, stay: Span, town: Town, rng: Generator, window: Span | None = None) -> Crime:
    """What the police write down: a window of minutes to hours about the deed, and the place within its uncertainty."""
    doubt_m = float(rng.choice([10.0, 20.0, 50.0]))
    off_m, angle = rng.uniform(0, min(doubt_m, 15.0)), rng.uniform(0, 2 * np.pi)
    lat, lon = town.plane.degrees(house.x + off_m * np.cos(angle), house.y + off_m * np.sin(angle))
    if window is None:
        width_us = int(rng.choice([5.0, 20.0, 60.0, 180.0, 480.0]) * rng.uniform(0.7, 1.3) * MINUTE_US)
        before_us = int(width_us * rng.uniform(0.1, 0.9))
        window = (stay[0] - before_us, stay[1] + width_us - before_us)
    start, end = (edge // MINUTE_US * MINUTE_US for edge in (window[0], window[1] + MINUTE_US - 1))
    kind = "burglary dwelling" if rng.random() < 0.85 else "burglary business"
    text = f"{town.address(house)}. {rng.choice(_TEXTS)}"
    force = "Trentshire" if rng.random() < 0.85 else "Wolddale"
    return Crime(force, "", kind, start, end, float(lat), float(lon), doubt_m, text)


def _burgle(person: Person, diary: Diary, tagged: Sequence[Span], town: Town, rng: Generator) -> tuple[Place, Span] | None:
    """Go to a house, stay 5 to 20 minutes, and leave; up to six tries to find a house and a time."""
    for _ in range(6):
        house, at = town.house(rng), _any_time(tagged, rng)
        journey = plan_journey(person.home, (Stop(house, rng.uniform(300, 1200)),), person.routes, person.gait, rng)
        if journey is None:
            continue
        journey = journey.arriving(at[0])
        inside = any(start <= journey.leaves_us and journey.returns_us <= end for start, end in tagged)
        if inside and diary.enter(journey):
            return house, journey.stays[0]
    return None


def _any_time(tagged: Sequence[Span], rng: Generator) -> Span:
    """Ten minutes at some time, more often by day than by night."""
    start, end = tagged[int(rng.integers(len(tagged)))]
    at_us = start
    for _ in range(8):
        at_us = int(rng.integers(start, max(start + 1, end - HOUR_US)))
        if 9 <= at_us // HOUR_US % 24 < 18:
            break
    at_us = at_us // SECOND_US * SECOND_US
    return at_us, at_us + 10 * MINUTE_US


def _numbered(number: int, crime: Crime, presence: Presence) -> tuple[Crime, Presence]:
    reference = f"26/{number + 1:05d}"
    return crime._replace(reference=reference), presence._replace(reference=reference)
