"""Ways across places by hand-made scenes: parts, lengths, the antimeridian, which fixes count, what could have been."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from engine.error_model import TAILS
from engine.flags import IMPLAUSIBLE, WEIGHTLESS
from engine.kernels import distance_m, metres_per_e7
from geofence.chord import chord_part
from geofence.crossing import (
    CROSSING,
    STRETCH,
    STRETCH_BOX,
    clear_sigmas,
    crossing_probability,
    find_crossings,
    find_stretches,
)
from geofence.detour import COULD, COULD_NOT, CROSSED, NO_PAIR, classify_gaps, least_way_m
from geofence.filter import Columns
from geofence.places import Places, compile_places
from geofence.zone import Circle

CLEAR = clear_sigmas(TAILS)
WORLD = np.array([-(2**31), -(2**31), 2**31 - 1, 2**31 - 1], np.float64)
LAT_E7, LON_E7 = 530_000_000, -10_000_000
KY, KX = metres_per_e7(float(LAT_E7))


def square(half_m: float = 100.0) -> Places:
    wide, high = half_m / KX / 1e7, half_m / KY / 1e7
    return compile_places([[shapely.box(-1 - wide, 53 - high, -1 + wide, 53 + high)]])


def columns_of(
    east_m: list[float], north_m: float = 0.0, step_s: float = 60, sigma_m: float = 5.0, weightless: Any = ()
) -> Columns:
    n = len(east_m)
    flags = np.zeros(n, np.uint8)
    flags[list(weightless)] = IMPLAUSIBLE
    return Columns(
        (np.arange(n) * step_s * 1e6).astype(np.int64), np.full(n, round(LAT_E7 + north_m / KY), np.int32),
        np.rint(LON_E7 + np.array(east_m) / KX).astype(np.int32), np.full(n, sigma_m), np.zeros(n, np.uint8), flags,
        np.full(n, 960_000_000, np.int64),
    )  # fmt: skip


def found_in(columns: Columns, places: Places, room: int = 8, start: int = 0) -> NDArray[Any]:
    found: NDArray[Any] = np.empty(room, CROSSING)
    n, *_ = find_crossings(
        columns, start, WEIGHTLESS, TAILS, CLEAR, 300.0, 0, places, found, np.empty(0, STRETCH_BOX), WORLD
    )
    return found[:n]


def test_a_hole_is_outside_and_the_parts_beside_it_add_up() -> None:
    shell, hole = shapely.box(-1.004, 52.998, -0.996, 53.002), shapely.box(-1.001, 52.999, -0.999, 53.001)
    places = compile_places([[shell - hole]])
    first, last, share = chord_part(-10_060_000, LAT_E7, -9_940_000, LAT_E7, 0, places)
    assert (first, last) == pytest.approx((20 / 120, 100 / 120))
    assert share == pytest.approx((80 - 20) / 120)
    assert chord_part(-10_005_000, LAT_E7, -9_995_000, LAT_E7, 0, places)[0] > 1  # within the hole
    assert chord_part(-10_005_000, LAT_E7, -9_990_000, LAT_E7, 0, places) == (1.0, 1.0, 0.0)  # touches its rim
    assert chord_part(-10_030_000, LAT_E7, -10_020_000, LAT_E7, 0, places) == (0.0, 1.0, 1.0)  # wholly inside


def test_a_chord_of_no_length_is_a_point() -> None:
    assert chord_part(LON_E7, LAT_E7, LON_E7, LAT_E7, 0, square()) == (0.0, 1.0, 1.0)
    assert chord_part(0, LAT_E7, 0, LAT_E7, 0, square())[0] > 1


def test_a_zone_cut_at_the_antimeridian_is_crossed_the_short_way() -> None:
    parts = shapely.MultiPolygon([shapely.box(179.9, 10, 180, 10.2), shapely.box(-180, 10, -179.9, 10.2)])
    for places in (compile_places([[parts]]), compile_places([[part] for part in parts.geoms])):
        shares = [
            chord_part(1_798_000_000, 101_000_000, -1_798_000_000, 101_000_000, k, places) for k in range(len(places.box))
        ]
        assert sum(share for *_, share in shares) == pytest.approx(0.5)
        assert min(first for first, *_ in shares) == pytest.approx(0.25)
        assert max(last for _, last, _ in shares) == pytest.approx(0.75)
        assert chord_part(-1_790_000_000, 101_000_000, 1_790_000_000 - 20_000_000, 0, 0, places)[0] > 1


def test_a_disc_of_true_metres_is_crossed_over_its_diameter() -> None:
    places = compile_places([[Circle(LAT_E7, LON_E7, 150.0)]])
    ends = round(LON_E7 - 1000 / KX), LAT_E7, round(LON_E7 + 1000 / KX), LAT_E7
    first, last, share = chord_part(*ends, 0, places)
    assert share * distance_m(ends[1], ends[0], ends[3], ends[2]) == pytest.approx(300.0, abs=0.01)
    assert (first, last) == pytest.approx((0.425, 0.575), abs=1e-5)
    north = round(LAT_E7 + 150.0 / KY)
    assert chord_part(ends[0], north - 1, ends[2], north - 1, 0, places)[0] <= 1
    assert chord_part(ends[0], north + 1, ends[2], north + 1, 0, places)[0] > 1


def test_a_way_through_the_middle_is_sure_and_one_past_the_corner_is_not() -> None:
    def probability(north_m: float, sigma_m: float) -> float:
        y = round(LAT_E7 + north_m / KY)
        x1, x2 = round(LON_E7 - 400 / KX), round(LON_E7 + 400 / KX)
        return crossing_probability(x1, y, sigma_m, 0.06, 3.6, x2, y, sigma_m, 0.06, 3.6, 0.8, 0, square())

    assert probability(0.0, 5.0) > 0.999
    assert 0.45 < probability(100.0, 5.0) < 0.55
    assert probability(95.0, 20.0) < 0.65  # five metres of the corner, as a car drives past
    assert probability(150.0, 5.0) < 0.02


def test_the_two_clear_fixes_about_the_zone_are_the_way() -> None:
    (way,) = found_in(columns_of([-900, -500, 500, 900]), square())
    assert [way[name] for name in ("before", "start", "end", "after")] == [0, 1, 2, 3]
    assert (way["first"], way["last"], way["share"]) == pytest.approx((0.4, 0.6, 0.2), abs=1e-5)
    assert way["posterior"] > 0.99


def test_a_fix_too_near_to_say_is_passed_over() -> None:
    for near_m in (-110.0, 0.0, 105.0):
        (way,) = found_in(columns_of([-900, -500, near_m, 500, 900]), square())
        assert (way["start"], way["end"]) == (1, 3)


def test_a_flagged_fix_makes_no_way() -> None:
    assert len(found_in(columns_of([-900, -500, 500, -500, -900], weightless=[2]), square())) == 0
    (way,) = found_in(columns_of([-900, -500, 3000, 500, 900], weightless=[2]), square())
    assert (way["start"], way["end"]) == (1, 3)


def test_there_and_back_by_one_fix_is_no_finding() -> None:
    assert len(found_in(columns_of([-900, -500, 500, -500, -900]), square())) == 0
    assert len(found_in(columns_of([-900, -500, 500, 550, -500, -900]), square())) == 2


def test_two_fixes_are_needed_on_either_side() -> None:
    assert len(found_in(columns_of([-500, 500, 900]), square())) == 0
    assert len(found_in(columns_of([-900, -500, 500]), square())) == 0


def test_a_gap_longer_than_silence_is_no_way() -> None:
    columns = columns_of([-900, -500, 500, 900])
    for first_late in (1, 2, 3):
        time_us = columns.time_us.copy()
        time_us[first_late:] += 960_000_001 - 60_000_000
        assert len(found_in(columns._replace(time_us=time_us), square())) == 0
        time_us[first_late:] -= 1  # the way itself, between 1 and 2, may only last five minutes
        assert len(found_in(columns._replace(time_us=time_us), square())) == (first_late != 2)


def test_little_room_and_a_later_start_change_nothing() -> None:
    rng = np.random.default_rng(3)
    columns, places = columns_of((np.repeat(rng.choice([-1, 1], 60), 2) * rng.uniform(120, 900, 120)).tolist()), square()
    whole = found_in(columns, places, 120)
    assert len(whole) > 10
    pieces: list[Any] = []
    found: NDArray[Any] = np.empty(7, CROSSING)
    start, n = 0, 7
    for stop in (20, 21, 22, 70, 119, 120):
        seen = Columns(*(column[:stop] for column in columns))
        n = 7
        while n == 7:
            stretches = np.empty(stop // STRETCH, STRETCH_BOX)
            find_stretches(seen, WEIGHTLESS, CLEAR, stretches)
            n, *clear = find_crossings(
                seen, start, WEIGHTLESS, TAILS, CLEAR, 300.0, 0, places, found, stretches, places.box[0]
            )
            start = next((row for row in clear if row >= 0), stop)
            pieces += found[:n].tolist()
    assert pieces == whole.tolist()


def test_a_long_way_is_not_taken_for_straight() -> None:
    columns = columns_of([-900, -500, 500, 900])
    for late_us, n_found in ((300_000_000, 1), (300_000_001, 0)):
        time_us = columns.time_us.copy()
        time_us[2:] += late_us - 60_000_000
        assert len(found_in(columns._replace(time_us=time_us), square())) == n_found


@pytest.mark.parametrize("seed", range(20))
def test_passing_over_stretches_that_are_apart_changes_nothing(seed: int) -> None:
    """Stays far off and near, ways across, fixes without weight, silences."""
    rng = np.random.default_rng(seed)
    side = np.repeat(rng.choice([-1, 1], 80), rng.integers(1, 60, 80))
    far = np.repeat(rng.choice([300.0, 5000.0], 80), rng.integers(1, 60, 80))
    n = min(len(side), len(far))
    weightless = np.flatnonzero(rng.random(n) < rng.choice([0.05, 0.9])).tolist()
    columns, places = (
        columns_of((side[:n] * (far[:n] + rng.uniform(-150, 150, n))).tolist(), weightless=weightless),
        square(),
    )
    columns.time_us[:] += np.cumsum(np.where(rng.random(n) < 0.02, 2_000_000_000, 0))
    stretches: NDArray[Any] = np.empty(n // STRETCH, STRETCH_BOX)
    find_stretches(columns, WEIGHTLESS, CLEAR, stretches)
    found: NDArray[Any] = np.empty(n, CROSSING)
    k, *_ = find_crossings(columns, 0, WEIGHTLESS, TAILS, CLEAR, 300.0, 0, places, found, stretches, places.box[0])
    assert found[:k].tolist() == found_in(columns, places, n).tolist()


def test_what_is_known_of_a_gap() -> None:
    """A gap of 10 s beside the zone, one of 60 s, one across it; then a flagged fix and one far away."""
    columns = columns_of([-2000, -2050, -2000, 2000, 0, 9000, 9000], weightless=[4])
    columns.time_us[:] = np.cumsum([0, 10, 120, 60, 1, 200, 10]) * 1_000_000
    kinds, speeds_mps = np.empty(7, np.int8), np.empty(7)
    exclusion_m = np.full(7, 50.0)
    classify_gaps(columns, exclusion_m, 0, WEIGHTLESS, 55.0, 0, square(), kinds, speeds_mps)
    assert kinds.tolist() == [NO_PAIR, COULD_NOT, COULD, CROSSED, NO_PAIR, COULD, COULD_NOT]
    assert speeds_mps[2] == pytest.approx((1950 + 1900 - 100) / 120, rel=1e-3)
    assert speeds_mps[3] == pytest.approx((4000 - 100) / 60, rel=1e-3)
    assert speeds_mps[1] > 55 < speeds_mps[6]
    assert math.isinf(speeds_mps[0])


def test_a_place_that_holds_a_point_best_of_all_needs_no_more_than_the_fixes_do() -> None:
    places = square(5000.0)
    x1, x2 = round(LON_E7 - 400 / KX), round(LON_E7 + 400 / KX)
    assert least_way_m(x1, LAT_E7, 500.0, x2, LAT_E7, 500.0, 0, places) == 0.0
    assert least_way_m(x1, LAT_E7, 100.0, x2, LAT_E7, 100.0, 0, places) == pytest.approx(600.0, rel=3e-3)
    assert least_way_m(x1, LAT_E7, 0.0, x1, LAT_E7, 0.0, 0, places) == 0.0
