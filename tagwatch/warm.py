"""Compile every kernel once, on a tiny scene, so that no first command waits: `make setup` and `tagwatch doctor` do it."""

from __future__ import annotations

import numpy as np

from crime_match.question import Question
from engine.fixes import Fixes
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions
from tagwatch.near import near_from
from tagwatch.replay import replay

_START_US = 1_780_000_000_000_000


def warm() -> int:
    """Run check and match on a walk through a square and a disc and on a ride past them; returns how many alerts there are."""
    n = 240
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
    done = replay(fixes, Conditions(zones, curfews), _START_US + n * 60_000_000)
    question = Question(53.203, -0.5, _START_US + 3_600_000_000, _START_US + 7_200_000_000)
    near_from(fixes, question)
    return len(done.alerts)


if __name__ == "__main__":
    warm()
