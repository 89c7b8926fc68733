"""Zones of the town: schools, a centre with a hole, two campuses, a common, circles about people to keep away from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.random import Generator

from tagwatch.simulate.plane import Plane
from tagwatch.simulate.shapes import Area, Disc, Shape
from tagwatch.simulate.streets import Place, Streets
from tagwatch.simulate.town import BLOCK_M, Town

SCHOOL_HOURS = {
    "timezone": "Europe/London",
    "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "17:00"}],
}
_SAINTS = ("Aldhelm", "Botolph", "Chad", "Dunstan", "Edith", "Frideswide", "Guthlac", "Hilda", "Ives", "Kenelm", "Oswin",
           "Petroc", "Swithun", "Werburgh")  # fmt: skip


@dataclass(frozen=True)
class Zone:
    """A zone as it will be written: who it applies to (None: everybody) and its shape on the map."""

    id: str
    name: str
    kind: str
    shape: Shape
    wearers: tuple[str, ...] | None = ()
    buffer_m: float = 0.0
    schedule: dict[str, Any] | None = None

    def applies_to(self, wearer: str) -> bool:
        """Whether this wearer must mind it."""
        return self.wearers is None or wearer in self.wearers

    def feature(self, plane: Plane) -> dict[str, Any]:
        """The GeoJSON feature; coordinates have seven places."""
        named = "*" if self.wearers is None else sorted(self.wearers)
        properties: dict[str, Any] = {"id": self.id, "name": self.name, "kind": self.kind, "wearers": named}
        if self.buffer_m:
            properties["buffer_m"] = self.buffer_m
        if self.schedule:
            properties["schedule"] = self.schedule
        if isinstance(self.shape, Disc):
            lat, lon = plane.degrees(self.shape.x, self.shape.y)
            properties["radius_m"] = self.shape.radius_m
            geometry: dict[str, Any] = {"type": "Point", "coordinates": [float(lon), float(lat)]}
        else:
            geometry = _geometry(plane, self.shape.outline)
        return {"type": "Feature", "properties": properties, "geometry": geometry}


def catalogue(town: Town, rng: Generator) -> list[Zone]:
    """The zones that the town has, before anyone must mind them; the secure site is everybody's."""
    blocks = [town.blocks[i] for i in rng.permutation(len(town.blocks))]
    far = [block for block in blocks if math.hypot(block.centroid.x, block.centroid.y) > 2.5 * BLOCK_M]
    schools = 6 + len(far) // 60
    zones = [_school(town.plane, far[i], i) for i in range(schools)]
    campuses = shapely.MultiPolygon([far[schools], far[schools + 1]])
    secure = _chamfered(far[schools + 2])
    zones.append(Zone("college", "Fenby College, both campuses", "exclusion", _area(town.plane, campuses), buffer_m=25.0))
    zones.append(
        Zone("centre", "Town centre without the court", "exclusion", _area(town.plane, _centre(rng)), buffer_m=50.0)
    )
    zones.append(Zone("common", "Harrow Common", "exclusion", _area(town.plane, _common(town, rng))))
    zones.append(Zone("secure-site", "Bracken Hall (secure site)", "exclusion", _area(town.plane, secure), wearers=None))
    zones.append(Zone("boundary", "Within the town", "inclusion", _area(town.plane, town.boundary)))
    return zones


def keep_away(town: Town, number: int, house: Place, radius_m: float, wearer: str) -> Zone:
    """A circle about the home of somebody whom the wearer must not come near."""
    shape = Disc.about(town.plane, house.x, house.y, radius_m)
    return Zone(f"keep-away-{number:04d}", f"Keep away from {town.address(house)}", "exclusion", shape, (wearer,))


def closed_edges(streets: Streets, zones: list[Zone]) -> frozenset[int]:
    """The edges that touch any of these exclusion zones: who obeys does not use them."""
    shut: set[int] = set()
    for zone in zones:
        if zone.kind == "exclusion":
            shut.update(np.flatnonzero(shapely.intersects(streets.lines, zone.shape.outline)).tolist())
    return frozenset(shut)


def features(plane: Plane, zones: Sequence[Zone]) -> dict[str, Any]:
    """The GeoJSON FeatureCollection of the zones that somebody must mind."""
    minded = [zone for zone in zones if zone.wearers is None or zone.wearers]
    return {"type": "FeatureCollection", "features": [zone.feature(plane) for zone in minded]}


def with_wearers(zones: list[Zone], minded: dict[str, list[str]]) -> list[Zone]:
    """The zones with the wearers who must mind them (zone id to wearers)."""
    return [zone if zone.wearers is None else replace(zone, wearers=tuple(minded.get(zone.id, ()))) for zone in zones]


def _school(plane: Plane, block: Any, number: int) -> Zone:
    saint = _SAINTS[number % len(_SAINTS)]
    name = f"St {saint}'s {'Primary' if number % 3 else 'Secondary'} School"
    schedule = SCHOOL_HOURS if number % 4 == 3 else None
    return Zone(f"school-{number + 1:02d}", name, "exclusion", _area(plane, _chamfered(block)), schedule=schedule)


def _chamfered(block: Any) -> Any:
    """The block with its corners cut."""
    return block.buffer(-9.0, quad_segs=1).buffer(8.0, quad_segs=1)


def _centre(rng: Generator) -> Any:
    """The shopping streets, with a hole about the court and the probation office, where wearers must be able to go."""
    angle = np.arange(14) * (2.0 * math.pi / 14)
    radius = rng.uniform(1.2, 1.6, 14) * BLOCK_M
    shell = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    hole = np.array([[-60.0, -45.0], [62.0, -50.0], [55.0, 48.0], [-58.0, 52.0]])
    return shapely.Polygon(shell, [hole])


def _common(town: Town, rng: Generator) -> Any:
    """A park with a wavy edge of 90 corners, half way out of the town."""
    turn, angle = rng.uniform(0, 2 * math.pi), np.arange(90) * (2.0 * math.pi / 90)
    radius = 150.0 + 30.0 * np.sin(3 * angle + turn) + 12.0 * np.sin(11 * angle) + rng.uniform(-4, 4, 90)
    x, y = town.half_m * 0.6 * math.cos(turn), town.half_m * 0.6 * math.sin(turn)
    return shapely.Polygon(np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)]))


def _area(plane: Plane, outline: Any) -> Area:
    snapped = shapely.orient_polygons(plane.snapped(outline))
    if not snapped.is_valid:
        raise AssertionError("a simulated zone must be valid")
    return Area(snapped)


def _geometry(plane: Plane, outline: Any) -> dict[str, Any]:
    """RFC 7946: outer rings counter-clockwise, holes clockwise."""
    parts = [_rings(plane, part) for part in shapely.get_parts(outline)]
    return (
        {"type": "Polygon", "coordinates": parts[0]} if len(parts) == 1 else {"type": "MultiPolygon", "coordinates": parts}
    )


def _rings(plane: Plane, polygon: Any) -> list[list[list[float]]]:
    rings = []
    for ring in shapely.get_rings(polygon):
        lat, lon = plane.degrees(*shapely.get_coordinates(ring).T)
        rings.append(np.column_stack([lon, lat]).tolist())
    return rings
