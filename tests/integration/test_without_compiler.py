"""The same source without the compiler gives the same bytes: ledger with every posterior, and matches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, warnings
import numpy as np
warnings.simplefilter("ignore", RuntimeWarning)  # the hash overflows on purpose
from benchmarks.scenes import town
from crime_match.question import Question
from engine.times import SECOND_US
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions
from tagwatch.near import near_from
from tagwatch.replay import replay

scene = town(np.random.default_rng(7), 3, 1440, 3, 12)
for k, feature in enumerate(scene.zones["features"]):  # where the wearer goes by day
    row = k // 3 * 1440 + (590, 710, 830)[k % 3]
    there = np.array([scene.fixes.lon_e7[row], scene.fixes.lat_e7[row]]) / 1e7
    ring = np.array(feature["geometry"]["coordinates"][0])
    feature["geometry"]["coordinates"][0] = np.round(ring - ring.mean(axis=0) + there, 7).tolist()
for feature in scene.zones["features"][1::3]:  # one with a hole, one to stay in, the rest as they are
    ring = np.array(feature["geometry"]["coordinates"][0])
    hole = ring.mean(axis=0) + (ring[::-1] - ring.mean(axis=0)) * 0.4
    feature["geometry"]["coordinates"].append(np.round(hole, 7).tolist())
scene.zones["features"][2]["properties"]["kind"] = "inclusion"
zones = read_zones(scene.zones)
done = replay(scene.fixes, Conditions(zones, read_curfews(scene.curfews, zones)), scene.as_of_us)
for alert in done.alerts:
    print(alert, alert.posterior.hex() if alert.posterior is not None else "")
first = int(scene.fixes.time_us[300])
question = Question(scene.fixes.lat_e7[300] / 1e7, scene.fixes.lon_e7[300] / 1e7, first, first + 3600 * SECOND_US)
for match in near_from(scene.fixes, question):
    print(match)
"""
ROOT = Path(__file__).resolve().parents[2]


def printed(*, compiled: bool) -> str:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0" if compiled else "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_ledger_and_matches_are_the_same_without_the_compiler() -> None:
    plain = printed(compiled=False)
    assert plain.count("Alert(") > 5
    assert plain.count("Match(") == 3
    assert printed(compiled=True) == plain
