"""The lens area of two circles against the field notes' table, shapely and numerical integration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point

from crime_match.kernels import lens_share, lens_shares

VICINITY_M = 100.0

# Greatest centre distance at which exactly half of the fix's circle lies in the vicinity, as the field notes give it.
BOUNDARY = [
    (1, 99.998), (5, 99.958), (10, 99.833), (25, 98.951), (36, 97.807), (50, 95.708), (75, 89.933), (100, 80.795),
    (120, 69.537), (130, 61.281), (140, 47.184), (141, 44.129), (141.42, 41.49),
]  # fmt: skip


@pytest.mark.parametrize(("radius_m", "boundary_m"), BOUNDARY)
def test_half_overlap_boundary_agrees_with_the_field_notes(radius_m, boundary_m):
    step = 0.01 if radius_m == 141.42 else 0.001
    assert lens_share(boundary_m - step, radius_m, VICINITY_M) >= 0.5
    assert lens_share(boundary_m + step, radius_m, VICINITY_M) < 0.5


@pytest.mark.parametrize("radius_m", [142.0, 150.0, 1000.0])
def test_a_circle_of_142_m_or_more_can_never_place(radius_m):
    assert lens_share(0.0, radius_m, VICINITY_M) < 0.5


def test_the_most_that_142_m_can_reach_is_the_noted_share():
    assert lens_share(0.0, 142.0, VICINITY_M) == pytest.approx(0.496, abs=5e-4)


def test_a_radius_of_zero_is_a_point_and_the_rim_counts():
    assert lens_share(100.0, 0.0, VICINITY_M) == 1.0
    assert lens_share(math.nextafter(100.0, 101.0), 0.0, VICINITY_M) == 0.0


@pytest.mark.parametrize(
    ("apart_m", "radius_m", "share"), [(0, 10, 1), (90, 10, 1), (110, 10, 0), (500, 10, 0), (0, 200, 0.25)]
)
def test_nested_and_apart(apart_m, radius_m, share):
    assert lens_share(apart_m, radius_m, VICINITY_M) == share


@given(apart_m=st.floats(0, 400), radius_m=st.floats(0.01, 400), vicinity_m=st.floats(1, 400))
def test_lens_against_polygons_of_shapely(apart_m, radius_m, vicinity_m):
    fix = Point(0, 0).buffer(radius_m, quad_segs=512)
    vicinity = Point(apart_m, 0).buffer(vicinity_m, quad_segs=512)
    expected = fix.intersection(vicinity).area / (math.pi * radius_m**2)
    # An inscribed polygon of 2048 corners lacks 1.6e-6 of a circle; a huge vicinity lacks it at its rim, h = R x 1.2e-6.
    slack = 1e-5 + 2.0 * vicinity_m * 2e-6 / radius_m
    assert lens_share(apart_m, radius_m, vicinity_m) == pytest.approx(expected, abs=slack)


@pytest.mark.parametrize("radius_m", [0.01, 0.5, 3.0, 40.0, 99.0, 130.0])
def test_lens_against_an_integral_over_chords(radius_m):
    for apart_m in np.linspace(abs(VICINITY_M - radius_m) + 1e-3 * radius_m, VICINITY_M + radius_m * 0.999, 7):
        angle = (np.arange(200_000) + 0.5) / 200_000 * math.pi
        y = radius_m * np.cos(angle)  # each chord across the fix's circle, cut with the vicinity's chord at the same y
        half, other = radius_m * np.sin(angle), np.sqrt(np.maximum(VICINITY_M**2 - y**2, 0.0))
        length = np.minimum(half, apart_m + other) - np.maximum(-half, apart_m - other)
        area = np.sum(np.where(np.abs(y) < VICINITY_M, np.maximum(length, 0.0), 0.0) * half) * math.pi / 200_000
        assert lens_share(apart_m, radius_m, VICINITY_M) == pytest.approx(area / (math.pi * radius_m**2), abs=1e-6)


def test_the_batch_is_the_single_one_again():
    apart_m, radius_m = np.linspace(0, 250, 41), np.linspace(0, 200, 41)
    batch = lens_shares(apart_m, radius_m, VICINITY_M)
    assert batch.tolist() == [lens_share(a, r, VICINITY_M) for a, r in zip(apart_m, radius_m, strict=True)]
