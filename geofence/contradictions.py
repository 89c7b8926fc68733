"""Conditions of one wearer that cannot both be kept: a curfew's place in an exclusion zone, or off an inclusion zone, at a time
for which both hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from engine.kernels import metres_per_e7
from geofence.antimeridian import moved
from geofence.curfew import Curfew
from geofence.schedule import Interval
from geofence.zone import Circle, Place, Zone


def contradictions(zones: Sequence[Zone], curfews: Iterable[Curfew], from_us: int, to_us: int) -> list[str]:
    """A sentence for each place of a curfew that meets an exclusion zone, or lies outside an inclusion zone, while both are in
    force within [from_us, to_us]."""
    exclusions = [zone for zone in zones if zone.kind == "exclusion"]
    tree = shapely.STRtree([area_of(zone.place) for zone in exclusions])
    inclusions: dict[str, list[Zone]] = {}
    for zone in zones:
        if zone.kind == "inclusion":
            for wearer in zone.wearers:
                inclusions.setdefault(wearer, []).append(zone)
    found: dict[str, None] = {}  # each once, in order
    for curfew in curfews:
        bound = [*inclusions.get(curfew.wearer, ()), *inclusions.get("*", ())]
        for place in curfew.places:
            for line in (*_in_exclusions(curfew, place, exclusions, tree, (from_us, to_us)),
                         *_off_inclusions(curfew, place, bound, (from_us, to_us))):  # fmt: skip
                found[line] = None
    return list(found)


def _in_exclusions(
    curfew: Curfew, place: Place, zones: Sequence[Zone], tree: shapely.STRtree, when: Interval
) -> Iterator[str]:
    for turn in (-360.0, 0.0, 360.0):
        area = moved(area_of(place), turn)
        for number in sorted(tree.query(area, predicate="intersects").tolist()):
            zone = zones[number]
            share = area.intersection(tree.geometries[number]).area / area.area
            if share > 0.0 and zone.concerns(curfew.wearer) and _both(curfew, zone, when):
                much = f"{max(1, round(share * 100))} % of a place"
                yield f"curfew {curfew.id}: {much} lies in exclusion zone {zone.id}, which is in force at the same time"


def _off_inclusions(curfew: Curfew, place: Place, zones: Sequence[Zone], when: Interval) -> Iterator[str]:
    for zone in zones:
        other, area = area_of(zone.place), area_of(place)
        if not any(moved(area, turn).intersects(other) for turn in (-360.0, 0.0, 360.0)) and _both(curfew, zone, when):
            yield f"curfew {curfew.id}: a place lies outside inclusion zone {zone.id}, which is in force at the same time"


def _both(curfew: Curfew, zone: Zone, when: Interval) -> bool:
    """Whether there is a time at which both hold."""
    windows = [(max(a, when[0]), min(b, when[1])) for a, b in curfew.windows(*when)]
    return any(zone.in_force(a, b) for a, b in windows if a < b)


def area_of(place: Place) -> BaseGeometry:
    """A place in degrees; a disc as a polygon of 64 corners, good to 0.1 % of its radius."""
    if not isinstance(place, Circle):
        return place
    ky, kx = metres_per_e7(float(place.lat_e7))
    turn = np.linspace(0.0, 2.0 * math.pi, 64, endpoint=False)
    lon = place.lon_e7 + place.radius_m / kx * np.cos(turn)
    lat = place.lat_e7 + place.radius_m / ky * np.sin(turn)
    return shapely.Polygon(np.column_stack([lon, lat]) * 1e-7)
