"""The wearers: name, home, work, haunts, zones to mind, curfew, and the habits of the person and of the tag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice

import numpy as np
from numpy.random import Generator

from engine.wearers import Wearer
from tagwatch.simulate.curfews import NIGHTLY, PATTERNS, Curfew, Leave, Pattern
from tagwatch.simulate.journeys import Gait
from tagwatch.simulate.roles import Roles
from tagwatch.simulate.shapes import Disc
from tagwatch.simulate.streets import Place, Routes
from tagwatch.simulate.town import Town
from tagwatch.simulate.zones import Zone, closed_edges, keep_away

_FIRST = ("Aaron", "Amir", "Anna", "Ben", "Callum", "Carl", "Chloe", "Craig", "Dean", "Declan", "Elliot", "Faye", "Gareth",
          "Hamza", "Ian", "Jade", "Jamie", "Jordan", "Karl", "Kieran", "Lee", "Liam", "Marcin", "Mason", "Nathan", "Owen",
          "Paul", "Rhys", "Ryan", "Scott", "Shane", "Tariq", "Toby", "Tyler", "Victor", "Wayne", "Zak")  # fmt: skip
_LAST = ("Abbey", "Barrow", "Calloway", "Dunmore", "Eastoe", "Fairlie", "Garrick", "Hallam", "Ingram", "Jessop", "Kettle",
         "Lowther", "Marlow", "Norcott", "Oakes", "Pargeter", "Quill", "Rushby", "Stainton", "Thorley", "Underhay",
         "Vickers", "Wragg", "Yarwood")  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Everything about one wearer that does not change during the simulation; `number` counts from 0."""

    number: int
    record: Wearer
    home: Place
    work: Place | None
    work_hours: tuple[float, float]
    haunts: tuple[Place, ...]  # shops, then friends' homes
    park: Place
    gait: Gait
    zones: tuple[Zone, ...]
    curfew: Curfew | None
    second_home: Place | None
    routes: Routes  # the ways that touch none of the wearer's exclusion zones

    @property
    def id(self) -> str:
        """The wearer id."""
        return self.record.wearer

    @property
    def exclusions(self) -> tuple[Zone, ...]:
        """The zones that this wearer must not enter and that concern nobody else or a few."""
        return tuple(zone for zone in self.zones if zone.kind == "exclusion" and zone.wearers is not None)


def wearer_id(number: int) -> str:
    """The id of the wearer with this number."""
    return f"W{number + 1:04d}"


def make_person(
    number: int, town: Town, catalogue: list[Zone], roles: Roles, first_day: date | None, rng: Generator
) -> Person:
    """One wearer; the home has a way to nearly everywhere that avoids the wearer's zones."""
    village = rng.random() < 0.05
    inclusion = not village and rng.random() < 0.12
    home = town.house(rng, urban=not village)
    always = [zone for zone in catalogue if zone.wearers is None or (inclusion and zone.kind == "inclusion")]
    always += catalogue[:1] if number in roles.staged else []  # a school: whoever plays a scene has a small zone to enter
    zones, routes = _zones(number, town, home, catalogue, always, rng)
    friends = [_reachable(town, home, zones, routes, rng) for _ in range(3)]

    def allowed(places: list[Place], count: int) -> list[Place]:
        return list(islice((place for place in places if _allowed(place, home, zones, routes)), count))

    shops, parks = allowed(_nearest(home, town.shops, rng), 3), allowed(_nearest(home, town.parks, rng), 1)
    works = allowed(_nearest(home, town.works, rng, 0.8), 1)
    curfew, second = _curfew(number, town, home, friends[0], roles, first_day, rng)
    begins = float(rng.choice([7.75, 8.0, 8.5, 9.0, 9.5])) + rng.uniform(-0.1, 0.1)
    return Person(
        number, _record(number, curfew, rng), home, works[0] if works and rng.random() < 0.7 else None,
        (begins, begins + rng.uniform(6.0, 8.2)), (*shops, *friends), parks[0] if parks else friends[1],
        Gait(rng.uniform(1.25, 1.55), float(rng.choice([900.0, 1300.0, 2500.0]))), zones, curfew, second, routes,
    )  # fmt: skip


def _record(number: int, curfew: Curfew | None, rng: Generator) -> Wearer:
    cohort = "free" if curfew is None else "fixed" if curfew.pattern == NIGHTLY else "flex"
    basis = str(rng.choice(["licence", "licence", "bail", "court order", "voluntary"]))
    force = "Trentshire" if rng.random() < 0.85 else "Wolddale"
    first, last = divmod(number * 409 % (len(_FIRST) * len(_LAST)), len(_LAST))
    scheme = {"bail": "Bail", "voluntary": "Voluntary tagging"}.get(basis, "Acquisitive crime")
    team = f"{force.lower()}-{'north' if rng.random() < 0.5 else 'south'}"
    return Wearer(wearer_id(number), f"{_FIRST[first]} {_LAST[last]}", cohort, scheme, force, basis, team)


def _zones(
    number: int, town: Town, home: Place, catalogue: list[Zone], always: list[Zone], rng: Generator
) -> tuple[tuple[Zone, ...], Routes]:
    """One to five exclusion zones (drawn again where they would lock the home in), and the town's boundary for some."""
    others = [zone for zone in catalogue if zone.wearers is not None and zone.kind == "exclusion" and zone not in always]
    for _ in range(30):
        circles = int(rng.choice([0, 1, 1, 2]))
        picked = rng.choice(len(others), int(rng.integers(0 if circles else 1, 4)), replace=False)
        zones = [others[i] for i in sorted(picked.tolist())]
        for i in range(circles):
            house, radius = town.house(rng), float(rng.integers(10, 31) * 10)
            zones.append(keep_away(town, 2 * number + i + 1, house, radius, wearer_id(number)))
        routes = Routes(town.streets, closed_edges(town.streets, zones + always))
        if routes.reach(home) > 0.7:
            return (*zones, *always), routes
    schools = others[:1]  # a school stands inside a block and closes no street
    return (*schools, *always), Routes(town.streets, closed_edges(town.streets, schools + always))


def _allowed(place: Place, home: Place, zones: tuple[Zone, ...], routes: Routes) -> bool:
    """Whether someone who obeys may go there: a way leads there, and the door is in no zone."""
    clear = not any(zone.kind == "exclusion" and bool(zone.shape.contains(place.x, place.y)) for zone in zones)
    return clear and routes.between(home, place) is not None


def _reachable(town: Town, home: Place, zones: tuple[Zone, ...], routes: Routes, rng: Generator) -> Place:
    while True:
        house = town.house(rng)
        if _allowed(house, home, zones, routes):
            return house


def _nearest(home: Place, places: tuple[Place, ...], rng: Generator, spread: float = 0.3) -> list[Place]:
    """The places, about in the order of their distance: mostly the near ones come first."""
    distance = [math.hypot(place.x - home.x, place.y - home.y) * math.exp(rng.normal(0, spread)) for place in places]
    return [places[i] for i in np.argsort(distance, kind="stable")]


def _curfew(
    number: int, town: Town, home: Place, friend: Place, roles: Roles, first_day: date | None, rng: Generator
) -> tuple[Curfew | None, Place | None]:
    """A curfew at home for nine in ten, for some at a second place too, with an exception for a few."""
    pattern: Pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    second = friend if rng.random() < 0.08 else None
    radius, free, grace = float(rng.integers(5, 11) * 10), rng.random() < 0.1, int(rng.choice([5, 5, 10, 15]))
    leaves = _leaves(pattern, roles.day_of_leave(rng), rng)
    if number in roles.staged_curfew:
        pattern, first_day, free, second, grace, leaves = roles.staged_curfew[number], None, False, None, 5, ()
    if free:
        return None, None
    places = tuple(Disc.about(town.plane, p.x, p.y, radius) for p in (home, second) if p is not None)
    return Curfew(f"curfew-{number + 1:04d}", wearer_id(number), places, pattern, first_day, grace, leaves), second


def _leaves(pattern: Pattern, day: date, rng: Generator) -> tuple[Leave, ...]:
    """One in eight may stay out on one evening; one in sixteen has extra hours on one day."""
    kind = int(rng.integers(16))
    midnight = datetime.combine(day, time())
    if kind < 2:
        first = midnight + timedelta(hours=pattern[0][1])
        reason = str(rng.choice(["family occasion", "hospital visit", "late shift"]))
        return (Leave(first, first + timedelta(hours=2), "authorised", reason),)
    if kind == 2:
        return (Leave(midnight + timedelta(hours=13), midnight + timedelta(hours=15), "extra", "appointment at home"),)
    return ()
