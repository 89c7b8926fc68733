"""Compile every kernel once, on a tiny scene, so that no first command waits: `make setup` and `tagwatch doctor` do it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numba
import numpy as np
import shapely

from crime_match.crimes.crime import Crime
from crime_match.question import Parameters, Question
from crime_match.runs.results_links import lines_of
from engine.errors import StoreError
from engine.fixes import Fixes
from engine.store.columns import WIDTHS, rows_of
from engine.store.image import TRAILER, image_of, rows_in
from engine.store.image_kernels import ascends
from geofence.curfew import read_curfews
from geofence.proximity import read_proximities
from geofence.zone import Circle, read_zones
from geofence.zone_index import ZoneIndex
from ingest.parquet_trail import write_parquet
from tagwatch.matching import match_crimes, run_of, trails_of
from tagwatch.monitor import Conditions, Monitor
from tagwatch.near import near_from
from tagwatch.replay import replay, replay_file

_START_US = 1_780_000_000_000_000


def warm() -> int:
    """Run check and match on a walk through a square and a disc and on a ride past them; returns how many alerts there are.

    StoreError where what is compiled cannot be kept: a full disk.
    """
    try:
        return _run()
    except OSError as fault:
        folder = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        hint = "make room there, or let TAGWATCH_CACHE name another folder"
        raise StoreError(f"compiled kernels cannot be kept in {folder} ({fault.strerror}): {hint}") from None


def _run() -> int:
    n = 360
    step = np.arange(n)
    fixes = Fixes.of(
        ["warm", "ride"], device=np.repeat([0, 1], n), time_us=np.tile(_START_US + step * 60_000_000, 2),
        lat_e7=np.concatenate([532_000_000 + step * 300, 530_005_000 + step * 60_000]), lon_e7=np.full(2 * n, -5_000_000),
        accuracy_cm=np.full(2 * n, 800),
    )  # fmt: skip
    square = [[-0.501, 53.202], [-0.499, 53.202], [-0.499, 53.204], [-0.501, 53.204], [-0.501, 53.202]]
    zones = read_zones({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"id": "square", "kind": "exclusion", "wearers": "*"},
         "geometry": {"type": "Polygon", "coordinates": [square]}},
    ]})  # fmt: skip
    curfews = read_curfews([{
        "id": "home", "wearer": "warm", "place": {"lat": 53.2, "lon": -0.5, "radius_m": 80}, "timezone": "UTC",
        "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "00:00", "end": "24:00"}],
    }])  # fmt: skip
    conditions, end_us = Conditions(zones, curfews), _START_US + n * 60_000_000
    done = replay(fixes, conditions, end_us)
    with TemporaryDirectory() as folder:
        write_parquet(fixes, Path(folder) / "warm.parquet")
        replay_file(str(Path(folder) / "warm.parquet"), conditions)
    apart = read_proximities([{"id": "apart", "wearer": "warm", "protected": "ride", "radius_m": 100}])
    replay(fixes, Conditions(proximities=apart), end_us)
    monitor = Monitor(conditions)
    for k in range(8):  # as they come live, some late
        monitor.take(fixes.take(np.arange(2 * n) % 8 == k * 3 % 8), end_us)
    ZoneIndex({0: shapely.Polygon(square), 1: Circle(532_000_000, -5_000_000, 80.0)}).containing(fixes.lat_e7, fixes.lon_e7)
    question = Question(53.203, -0.5, _START_US + 3_600_000_000, _START_US + 7_200_000_000)
    near_from(fixes, question)
    crime = Crime("warm", "1", "", question.from_us, question.to_us, question.lat, question.lon)
    trails = trails_of(fixes)
    for plan in ("index", "scan"):
        list(match_crimes(trails, [crime], Parameters(), plan=plan))
    list(lines_of(run_of([crime], trails, Parameters()), trails, [crime], Parameters()))
    rows = rows_of(fixes, fixes.device)
    assert ascends(fixes.device, fixes.time_us)
    assert np.array_equal(rows_in(bytes(image_of(rows, WIDTHS)) + TRAILER, len(rows)), rows)
    return len(done.alerts)


if __name__ == "__main__":
    warm()
