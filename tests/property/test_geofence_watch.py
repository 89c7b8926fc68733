"""Which zones are watched for whom does not depend on batches, nor on which side of the antimeridian a fix is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import flags
from engine.fixes import Fixes
from engine.trail import Trail, arrange
from geofence.filter import IN, OUT
from geofence.watch import Watch
from geofence.zone import Circle, Zone

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
T0_US = 1_772_000_000_000_000


def fed(watch: Watch, lon: Any, lat: Any, cuts: list[int], seconds: int = 60) -> Trail:
    """A trail of fixes [degrees] of 8 m, fed in pieces."""
    n, trail = len(lon), Trail("w")
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=T0_US + np.arange(n) * seconds * 1_000_000,
        lat_e7=np.round(np.asarray(lat) * 1e7), lon_e7=np.round(np.asarray(lon) * 1e7), accuracy_cm=np.full(n, 800),
        source=np.ones(n),
    )  # fmt: skip
    for start, stop in zip([0, *cuts], [*cuts, n], strict=True):
        if start < stop:
            k = stop - start
            rows, _, _ = arrange(
                fixes.take(slice(start, stop)), np.zeros(k, np.int32), np.full(k, 0.95), np.full(k, 960_000_000)
            )
            watch.feed([trail], [trail.merge(rows)[0]])
    return trail


def square(lon: float, lat: float, half: float = 0.002) -> shapely.Polygon:
    return shapely.box(lon - half, lat - half, lon + half, lat + half)


@pytest.mark.parametrize("side", [179.9995, -179.9995])
@pytest.mark.parametrize("place", [square(180.0, 10.0), square(-180.0, 10.0), Circle(100_000_000, 1_799_999_000, 200.0)])
def test_a_zone_for_everybody_over_the_antimeridian_is_found_from_both_sides(side: float, place: Any) -> None:
    watch = Watch([Zone("z", "z", "exclusion", ("*",), place, "")], [])
    lon = [side - np.sign(side) * 0.02] * 5 + [side] * 5
    fed(watch, lon, [10.0] * 10, [3])
    (slot,) = watch.slots("w")
    assert slot.changes["state"].tolist() == [OUT, IN]
    assert slot.changes["began"].tolist() == [0, 5]


def test_a_walk_over_the_antimeridian_is_in_all_the_way() -> None:
    watch = Watch([Zone("z", "z", "exclusion", ("*",), square(180.0, 10.0, 0.01), "")], [])
    lon = [((179.98 + 0.001 * k) + 180.0) % 360.0 - 180.0 for k in range(40)]
    fed(watch, lon, [10.0] * 40, [])
    (slot,) = watch.slots("w")
    assert slot.changes["state"].tolist() == [OUT, IN, OUT]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 59), max_size=8))
def test_batches_do_not_decide_which_zones_are_watched(seed: int, cuts: list[int]) -> None:
    """Zones near a fix or on the way between two have a slot, and its changes, however the trail was cut."""
    rng = np.random.default_rng(seed)
    zones = [
        Zone(f"z{k}", "", "exclusion", ("*",), square(*rng.uniform(-0.05, 0.05, 2), rng.uniform(0.0005, 0.004)), "")
        for k in range(12)
    ]
    lon, lat = np.cumsum(rng.normal(0.0, 0.006, (2, 60)), axis=1)
    whole, parts = Watch(zones, []), Watch(zones, [])
    fed(whole, lon, lat, [])
    trail = fed(parts, lon, lat, sorted(set(cuts)))
    ours, theirs = ({s.subject.of.id: s.changes.tolist() for s in watch.slots("w")} for watch in (parts, whole))
    assert {k: [c[1:] for c in v] for k, v in ours.items()} == {k: [c[1:] for c in v] for k, v in theirs.items()}
    weighty = (trail.column("flags") & flags.WEIGHTLESS) == 0
    way = np.column_stack([trail.column("lon_e7"), trail.column("lat_e7")])[weighty] / 1e7
    met = {zone.id for zone in zones if len(way) > 1 and shapely.LineString(way).intersects(zone.place)}
    assert met <= ours.keys()


@pytest.mark.parametrize("moved_deg", [0.0, -170.0])
@pytest.mark.parametrize("wearers", [("*",), ("w",)])
def test_a_way_over_the_antimeridian_finds_its_zone(moved_deg: float, wearers: tuple[str, ...]) -> None:
    lon = (
        np.array([179.89, 179.91, 179.93, 179.95, -179.95, -179.93, -179.91, -179.89]) + moved_deg + 180.0
    ) % 360.0 - 180.0
    place = shapely.box(179.995 + moved_deg, 9.999, 180.005 + moved_deg, 10.001)
    watch = Watch([Zone("z", "z", "exclusion", wearers, place, "")], [])
    fed(watch, lon, [10.0] * 8, [3, 5], seconds=300)
    assert len(list(watch.slots("w"))) == 1
