"""The simulated world: one call makes the town, its people, their days, what their tags report, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from engine.activations import Activation
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import DAY_US, in_range
from engine.wearers import Wearer
from tagwatch.simulate.crimes import Crime
from tagwatch.simulate.lives import Lives, live
from tagwatch.simulate.population import TAGS, Population, populate
from tagwatch.simulate.spans import Span
from tagwatch.simulate.stage import check_stage
from tagwatch.simulate.tags import Reported, report
from tagwatch.simulate.teams import teams_of
from tagwatch.simulate.truth import Truth, curfew_kept, visits_of
from tagwatch.simulate.zones import features

START_US = 1_774_224_000_000_000
"""2026-03-23T00:00Z, a Monday: the clocks go forward in the night to the Sunday after."""


@dataclass(frozen=True)
class World:
    """All that was simulated in [start_us, end_us): inputs for Tagwatch, the streets for a map, and the truth.

    `fixes` are in order of device and time with `received_s` filled; `events` in order of device and time; `zones` is a
    GeoJSON FeatureCollection; `curfews`, `teams` as in their files; `streets` name and line of [lat, lon] in degrees.
    """

    start_us: int
    end_us: int
    fixes: Fixes
    events: tuple[DeviceEvent, ...]
    zones: dict[str, Any]
    curfews: list[dict[str, Any]]
    activations: tuple[Activation, ...]
    wearers: tuple[Wearer, ...]
    teams: list[dict[str, Any]]
    crimes: tuple[Crime, ...]
    streets: list[dict[str, Any]]
    truth: Truth

    def between(self, from_us: int, to_us: int) -> Fixes:
        """The fixes with from_us <= time < to_us, in order of time (then device)."""
        where = np.flatnonzero((self.fixes.time_us >= from_us) & (self.fixes.time_us < to_us))
        return self.fixes.take(where[np.argsort(self.fixes.time_us[where], kind="stable")])


def simulate(
    wearers: int,
    days: int,
    seed: int,
    start_us: int = START_US,
    *,
    crimes: int | None = None,
    live_share: float = 0.1,
    stage_us: Span | None = None,
) -> World:
    """Simulate so many wearers for so many days of 24 hours from `start_us`; the same arguments give the same world.

    `crimes`: how many burglaries (default about 3 for 100 wearer-days, at least 4). `live_share`: share of tags that upload
    each minute. `stage_us` (from, to): scenes on purpose within this time, at least 15 minutes: a zone entered for 8
    minutes, a home left within the curfew, a burglary by a wearer (`world.truth.scenes` says who and when).
    Raises InputError for numbers that make no world.
    """
    span = _checked(wearers, days, seed, start_us, live_share, crimes)
    if stage_us:
        check_stage(stage_us, span, wearers)
    population = populate(wearers, days, seed, span, live_share, stage_us)
    lives = live(population, max(4, round(wearers * days * 0.03)) if crimes is None else crimes, stage_us)
    reported = _report(population, lives)
    people, town, fixes = population.people, population.town, concat(each.fixes for each in reported)
    return World(
        start_us=span[0],
        end_us=span[1],
        fixes=fixes,
        events=tuple(sorted(chain.from_iterable(each.events for each in reported))),
        zones=features(town.plane, population.zones),
        curfews=[person.curfew.record(town.plane) for person in people if person.curfew],
        activations=population.activations,
        wearers=tuple(person.record for person in people),
        teams=teams_of([person.record for person in people]),
        crimes=lives.crimes,
        streets=town.lines(),
        truth=_truth(population, lives, reported),
    )


def _checked(wearers: int, days: int, seed: int, start_us: int, live_share: float, crimes: int | None) -> Span:
    """The simulated time; InputError for arguments that make no world."""
    for field, value, least in (("wearers", wearers, 1), ("days", days, 1), ("seed", seed, 0), ("crimes", crimes or 0, 0)):
        if value < least:
            raise InputError(field=field, value=value, expected=f"a whole number from {least}")
    if not 0.0 <= live_share <= 1.0:
        raise InputError(field="live_share", value=live_share, expected="a share from 0 to 1")
    return in_range(start_us, start_us, "start"), in_range(start_us + days * DAY_US, start_us + days * DAY_US, "end")


def _report(population: Population, lives: Lives) -> list[Reported]:
    """What each tag reported on each wearer, in order of device and time."""
    town, roles, end_us = population.town, population.roles, population.span[1]
    reported = [
        report(number, activation, lives.paths[number], town, roles, end_us, population.stream(TAGS, number, turn))
        for number, mine in enumerate(population.given)
        for turn, activation in enumerate(mine)
    ]
    return sorted(reported, key=lambda each: (each.activation.device, each.activation.from_us))


def _truth(population: Population, lives: Lives, reported: Sequence[Reported]) -> Truth:
    """The truth of paths, of every fix, of zones, curfews and crimes."""
    x, y = np.concatenate([each.x for each in reported]), np.concatenate([each.y for each in reported])
    lat_e7, lon_e7 = population.town.plane.to_e7(x, y)
    everybody = list(zip(population.people, lives.paths, population.tagged, strict=True))
    visits = chain.from_iterable(visits_of(p, population.zones, path, tagged) for p, path, tagged in everybody)
    kept = chain.from_iterable(curfew_kept(p.curfew, path, tagged) for p, path, tagged in everybody if p.curfew)
    return Truth(
        plane=population.town.plane,
        paths={person.id: path for person, path, _ in everybody},
        tagged={person.id: tagged for person, _, tagged in everybody},
        wearers=tuple(person.id for person in population.people),
        wearer=np.repeat(np.array([each.number for each in reported], np.int32), [len(each.fixes) for each in reported]),
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        visits=tuple(visits),
        curfews=tuple(kept),
        crimes=lives.presences,
        scenes=lives.scenes,
    )
