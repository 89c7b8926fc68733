"""Who plays which part: seeded minorities are picked from the whole group, so that small groups have their few too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from numpy.random import Generator

from tagwatch.simulate.curfews import Pattern


@dataclass(frozen=True)
class Roles:
    """Numbers of the wearers with a part to play; every other wearer and tag is ordinary."""

    days: tuple[date, ...]
    breakers: frozenset[int]
    home_units: frozenset[int]
    live: frozenset[int]
    outages: frozenset[int]
    backlogs: frozenset[int]
    forgetful: frozenset[int]
    bad_homes: frozenset[int]
    tampers: frozenset[int]
    swap: int | None
    reuse: tuple[int, int] | None
    staged: tuple[int, ...] = ()
    staged_curfew: dict[int, Pattern] = field(default_factory=dict)

    def day_of_leave(self, rng: Generator) -> date:
        """One of the days of the simulation."""
        return self.days[int(rng.integers(len(self.days)))]


def cast_roles(
    wearers: int, first: date, days: int, live_share: float, staged_pattern: Pattern | None, rng: Generator
) -> Roles:
    """Draw the parts; the first wearers are those of the device swap, of the re-used device and of the staged scenes."""
    special = tuple(range(3)) if staged_pattern else ()
    swap = len(special) if wearers >= 4 + len(special) else None
    reuse = (len(special) + 1, len(special) + 2) if wearers >= 8 + len(special) else None

    def some(share: float) -> frozenset[int]:
        ordinary = [int(i) for i in rng.permutation(wearers) if i not in special]
        return frozenset(ordinary[: max(1 if wearers >= 10 else 0, round(share * wearers))])

    breakers, home_units, outages, backlogs = some(0.22), some(0.2), some(0.05), some(0.02)
    return Roles(
        days=tuple(first + timedelta(days=i) for i in range(days)), breakers=breakers, home_units=home_units,
        live=some(live_share) | frozenset(special), outages=outages - backlogs, backlogs=backlogs,
        forgetful=some(0.04), bad_homes=some(0.04), tampers=some(0.01), swap=swap, reuse=reuse, staged=special,
        staged_curfew={1: staged_pattern} if staged_pattern else {},
    )  # fmt: skip
