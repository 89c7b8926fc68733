"""What happened: all diaries filled, first with scenes, then crimes, breaches and ordinary days; and the true paths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engine.times import DAY_US
from tagwatch.simulate.breaches import break_rules
from tagwatch.simulate.crimes import Crime, Presence, commit_crimes
from tagwatch.simulate.journeys import Diary
from tagwatch.simulate.paths import Path
from tagwatch.simulate.people import Person
from tagwatch.simulate.population import CRIMES, DIARY, STAGE, Population
from tagwatch.simulate.rhythm import live_ordinarily
from tagwatch.simulate.spans import Span
from tagwatch.simulate.stage import Scene, play


@dataclass(frozen=True)
class Lives:
    """True paths (with a day more on both sides), one for each person, the crimes, their truth, and the scenes."""

    paths: tuple[Path, ...]
    crimes: tuple[Crime, ...]
    presences: tuple[Presence, ...]
    scenes: tuple[Scene, ...]


def live(population: Population, crimes: int, stage: Span | None) -> Lives:
    """Fill all diaries; what comes first stays, so scenes and crimes are never crowded out."""
    town, people = population.town, population.people
    whole = population.span[0] - DAY_US, population.span[1] + DAY_US
    diaries = [Diary(*whole) for _ in people]
    scenes, staged = play(people, diaries, town, stage, population.stream(STAGE)) if stage else ((), ())
    done = commit_crimes(crimes, people, diaries, population.tagged, town, population.stream(CRIMES))
    for person, diary in zip(people, diaries, strict=True):
        _fill(population, person, diary, whole)
    paths = (Path.of((p.home.x, p.home.y), d.journeys, *whole) for p, d in zip(people, diaries, strict=True))
    all_crimes = (*done, *staged)
    return Lives(tuple(paths), tuple(c for c, _ in all_crimes), tuple(p for _, p in all_crimes), scenes)


def _fill(population: Population, person: Person, diary: Diary, whole: Span) -> None:
    """Breaches by those who commit any, then ordinary days around them, one before and one after the simulation too."""
    roles, rng = population.roles, population.stream(DIARY, person.number)
    windows = person.curfew.windows(*whole) if person.curfew else []
    if person.number in roles.breakers:
        due = [(a, b) for a, b in windows if population.span[0] <= a and b <= population.span[1]]
        break_rules(person, population.town, diary, roles.days, due, rng)
    days = [roles.days[0] - timedelta(days=1), *roles.days, roles.days[-1] + timedelta(days=1)]
    live_ordinarily(person, diary, days, windows, rng)
