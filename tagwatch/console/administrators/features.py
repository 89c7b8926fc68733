"""Zones and the places of curfews as the map shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geofence.curfew import Curfew
from geofence.zone import Circle, Zone
from tagwatch.coming_weeks import place_words
from tagwatch.console.geo_features import circle_feature, feature, place_geometry, ring_feature, zone_feature


def entry_features(zones: Sequence[Zone], curfews: Sequence[Curfew]) -> list[Any]:
    """The last version of each zone with its ring, and of each curfew its places."""
    found: list[Any] = []
    for zone in {zone.id: zone for zone in zones}.values():
        found += [ring_feature(zone), zone_feature(zone)]
    for curfew in {curfew.id: curfew for curfew in curfews}.values():
        for place in curfew.places:
            title = f"Curfew {curfew.id}: {place_words(place)}"
            if isinstance(place, Circle):
                lat, lon = place.lat_e7 / 1e7, place.lon_e7 / 1e7
                found.append(circle_feature(lat, lon, place.radius_m, "home", label=curfew.id, title=title))
            else:
                found.append(feature("home", place_geometry(place), label=curfew.id, title=title))
    return [each for each in found if each is not None]
