"""Who is there: the town, its zones, the wearers, and which of them has which tag when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.random import Generator

from engine.activations import Activation
from tagwatch.simulate.curfews import local_day
from tagwatch.simulate.people import Person, make_person
from tagwatch.simulate.roles import Roles, cast_roles
from tagwatch.simulate.spans import Span
from tagwatch.simulate.stage import staged_pattern
from tagwatch.simulate.tags import hand_out
from tagwatch.simulate.town import Town, build_town
from tagwatch.simulate.zones import Zone, catalogue, with_wearers

TOWN, ZONES, ROLES, PERSON, DIARY, CRIMES, STAGE, TAGS = range(8)
"""Parts of a world with a random stream each, so that they do not disturb one another."""


@dataclass(frozen=True)
class Population:
    """A simulation before anything happens; `given` and `tagged`: for each person activations, and their spans [us]."""

    seed: int
    span: Span
    town: Town
    zones: tuple[Zone, ...]
    roles: Roles
    people: tuple[Person, ...]
    given: tuple[tuple[Activation, ...], ...]

    @property
    def tagged(self) -> tuple[tuple[Span, ...], ...]:
        """When each person wears a tag within the simulated time [us]."""
        return tuple(tuple((a.from_us, min(a.to_us, self.span[1])) for a in mine) for mine in self.given)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """All activations in order of device and time."""
        return tuple(sorted(chain.from_iterable(self.given)))

    def stream(self, *part: int) -> Generator:
        """The random generator of one part of the world (and of one person in it)."""
        return stream(self.seed, *part)


def stream(seed: int, *part: int) -> Generator:
    """The random generator of one part of the world with this seed."""
    return np.random.default_rng([seed, *part])


def populate(wearers: int, days: int, seed: int, span: Span, live_share: float, stage: Span | None) -> Population:
    """Build the town and draw its people, their parts and their tags."""
    town = build_town(wearers, stream(seed, TOWN))
    shared, first_day = catalogue(town, stream(seed, ZONES)), local_day(span[0])
    pattern = staged_pattern(stage) if stage else None
    roles = cast_roles(wearers, first_day, days, live_share, pattern, stream(seed, ROLES))
    people = tuple(make_person(i, town, shared, roles, first_day, stream(seed, PERSON, i)) for i in range(wearers))
    return Population(seed, span, town, _minded(shared, people), roles, people, hand_out(wearers, roles, span))


def _minded(shared: list[Zone], people: tuple[Person, ...]) -> tuple[Zone, ...]:
    """The town's zones with those who must mind them, then the circles of one wearer each, in order of their ids."""
    who = {zone.id: [p.id for p in people if any(zone.id == other.id for other in p.zones)] for zone in shared}
    own = {zone.id: zone for person in people for zone in person.zones if zone.id not in who}
    return (*with_wearers(shared, who), *(own[key] for key in sorted(own)))
