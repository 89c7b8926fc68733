"""Which areas did they pass: every fix against all polygons of a file (wards, beats, zones), by the zone index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from shapely.geometry.base import BaseGeometry

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import to_iso
from geofence.plain_areas import plain_areas
from geofence.zone import Circle, read_place
from geofence.zone_index import ZoneIndex


class Passed(NamedTuple):
    """One device's fixes in one area, by their positions alone: no error, no flags, nothing between fixes."""

    device: str
    area: str
    first: str
    last: str
    n_fixes: int


def read_areas(raw: Any, key: str = "id", *, repair: bool = False) -> dict[str, BaseGeometry | Circle]:
    """The areas of a GeoJSON FeatureCollection by the property that names them; InputError names feature, field and value."""
    if not isinstance(raw, dict) or raw.get("type") != "FeatureCollection" or not isinstance(raw.get("features"), list):
        kind = raw.get("type") if isinstance(raw, dict) else type(raw).__name__
        raise InputError(field="type", value=kind, expected="a GeoJSON FeatureCollection")
    areas: dict[str, BaseGeometry | Circle] = {}
    plain = plain_areas(raw["features"])
    for number, (feature, area) in enumerate(zip(raw["features"], plain, strict=True), 1):
        found = feature.get("properties") if isinstance(feature, dict) else None
        given: dict[str, Any] = found if isinstance(found, dict) else {}
        name = given.get(key)
        try:
            if not isinstance(name, (str, int)) or isinstance(name, bool) or str(name) in areas:
                has = f" (this one has {', '.join(map(str, given)) or 'no properties'})" if name is None else ""
                raise InputError(field=key, value=name, expected=f"a text or a number that no other feature has{has}")
            areas[str(name)] = area if area is not None else read_place(feature.get("geometry"), given, repair)
        except InputError as fault:
            raise fault.at(f"feature {number}" + (f" ({key} {name})" if name is not None else "")) from None
    return areas


def passed(fixes: Fixes, areas: dict[str, BaseGeometry | Circle]) -> Iterator[Passed]:
    """For each device and area that held any of its fixes (boundaries included) when first and last, by device and area."""
    names = sorted(areas)
    rows, found = ZoneIndex({k: areas[name] for k, name in enumerate(names)}).containing(fixes.lat_e7, fixes.lon_e7)
    rank = _ranks(fixes.devices)[fixes.device[rows]]
    times = fixes.time_us[rows]
    order = np.lexsort((times, found, rank))
    starts = np.flatnonzero(np.diff(rank[order] * len(names) + found[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)][: len(starts)], strict=True):
        some, newest = order[start], order[stop - 1]
        device = fixes.devices[int(fixes.device[rows[some]])]
        yield Passed(
            device, names[int(found[some])], to_iso(int(times[some])), to_iso(int(times[newest])), int(stop - start)
        )


def _ranks(names: Sequence[str]) -> Any:
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks
