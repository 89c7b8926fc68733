"""The truth behind the simulation: where everybody was, which zones they were in, how curfews were kept, who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagwatch.simulate.crimes import Presence
from tagwatch.simulate.curfews import Curfew
from tagwatch.simulate.paths import Path
from tagwatch.simulate.people import Person
from tagwatch.simulate.plane import Plane
from tagwatch.simulate.shapes import Disc
from tagwatch.simulate.spans import Span, common, total_us, union, without
from tagwatch.simulate.stage import Scene
from tagwatch.simulate.zones import Zone


class Visit(NamedTuple):
    """A true stay inside a zone that applies to the wearer, cut to the time when tagged [us]."""

    wearer: str
    zone: str
    entered_us: int
    left_us: int


class CurfewKept(NamedTuple):
    """How one window of a curfew was kept while tagged; authorised time counts neither as home nor as away."""

    curfew: str
    wearer: str
    window: Span
    home_us: int
    away_us: int
    authorised_us: int
    away: tuple[Span, ...]


@dataclass(frozen=True)
class Truth:
    """True paths by wearer, the true place of each fix (lat_e7, lon_e7, wearer: (n,), aligned with the fixes), findings.

    `wearer` indexes `wearers`, the ids in order.
    """

    plane: Plane
    paths: Mapping[str, Path]
    tagged: Mapping[str, tuple[Span, ...]]
    wearers: tuple[str, ...]
    wearer: NDArray[np.int32]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    visits: tuple[Visit, ...]
    curfews: tuple[CurfewKept, ...]
    crimes: tuple[Presence, ...]
    scenes: tuple[Scene, ...]

    def position(self, wearer: str, time_us: int) -> tuple[float, float]:
        """Where a wearer truly is at an instant: (lat, lon) in degrees."""
        lat, lon = self.plane.degrees(*self.paths[wearer].at(time_us))
        return float(lat), float(lon)

    def near(self, wearer: str, lat: float, lon: float, radius_m: float, window: Span) -> list[Span]:
        """When a wearer truly is within a radius of a place, in a window [us]."""
        x, y = self.plane.from_e7(round(lat * 1e7), round(lon * 1e7))
        return self.paths[wearer].inside(Disc.about(self.plane, float(x), float(y), radius_m), [window])


def visits_of(person: Person, zones: Sequence[Zone], path: Path, tagged: Sequence[Span]) -> list[Visit]:
    """The true stays of a wearer in the zones that apply, in order of zone and time."""
    mine = [zone for zone in zones if zone.applies_to(person.id)]
    return [Visit(person.id, zone.id, *span) for zone in mine for span in path.inside(zone.shape, tagged)]


def curfew_kept(curfew: Curfew, path: Path, tagged: Sequence[Span]) -> list[CurfewKept]:
    """How each window that meets the tagged time was kept."""
    at_home = union(*(path.inside(place) for place in curfew.places))
    kept = []
    for window in curfew.windows(tagged[0][0], tagged[-1][1]):
        watched = common([window], tagged)
        authorised = common(watched, curfew.authorised())
        due = without(watched, authorised)
        away = without(due, at_home)
        if watched:
            sums = total_us(due) - total_us(away), total_us(away), total_us(authorised)
            kept.append(CurfewKept(curfew.id, curfew.wearer, window, *sums, tuple(away)))
    return kept
