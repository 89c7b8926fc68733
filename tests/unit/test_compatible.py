"""The ministry's binary answer: its exact boundary, its labels, no rules of weight, and in what it differs from ours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from crime_match.compatible import beside, widest_m
from crime_match.near import match_of
from crime_match.question import Question
from crime_match.trails import WearerTrail
from engine.activations import Activation
from engine.fixes import ABSENT, Fixes
from engine.flags import CONTRADICTORY, IMPLAUSIBLE, OVERCONFIDENT, SET_ASIDE
from engine.times import MINUTE_US, SECOND_US, parse_time, to_iso

WGS84 = Geod(ellps="WGS84")
LAT, LON = 52.0, -1.5
FROM_US = parse_time("2026-03-01T10:00:00Z")
KEYS = ["matched", "n_fixes", "labels", "differs", "parameters"]

BOUNDARY_M = [
    (1, 99.998), (5, 99.958), (10, 99.833), (25, 98.951), (36, 97.807), (50, 95.708), (75, 89.933), (100, 80.795),
    (120, 69.537), (130, 61.281), (140, 47.184), (141, 44.129), (141.42, 41.49),
]  # fmt: skip
"""The table of the field notes: circle's radius, greatest distance at which it matches a vicinity of 100 m."""


def question(**changed):
    return Question(**{"lat": LAT, "lon": LON, "from_us": FROM_US, "to_us": FROM_US + 30 * MINUTE_US} | changed)


def trail(rows):
    """Rows of (minute after 10:00, metres east[, accuracy_m[, flags]])."""
    full = [(*row, *(10.0, 0)[len(row) - 2 :]) for row in rows]
    n = len(full)
    lons, lats, _ = WGS84.fwd(np.full(n, LON), np.full(n, LAT), np.full(n, 90.0), [row[1] for row in full])
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=[FROM_US + round(row[0] * 60) * SECOND_US for row in full],
        lat_e7=np.rint(np.multiply(lats, 1e7)), lon_e7=np.rint(np.multiply(lons, 1e7)),
        accuracy_cm=[ABSENT if row[2] is None else round(row[2] * 100) for row in full],
    )  # fmt: skip
    radius_m = np.array([15.0 if row[2] is None else row[2] for row in full], np.float64)
    return WearerTrail(
        "w", ("tag",), fixes, np.array([row[3] for row in full], np.uint8), radius_m / 2.45, radius_m,
        np.maximum(radius_m * 8, 16.0), np.zeros(n, np.uint8), np.full(n, 960_000_000), (Activation("tag", "w", 0),), (),
    )  # fmt: skip


def answer(asked, rows):
    wearer = trail(rows)
    match = beside(asked, wearer, match_of(asked, wearer))
    assert list(match.compatible) == KEYS
    return match


@pytest.mark.parametrize(("radius_m", "farthest_m"), BOUNDARY_M)
def test_the_boundary_is_that_of_the_field_notes(radius_m, farthest_m):
    """Places are kept to 1 cm, so the boundary is met to 2 cm."""
    inside = answer(question(), [(5, farthest_m - 0.02, radius_m)])
    outside = answer(question(), [(5, farthest_m + 0.02, radius_m)])
    assert inside.compatible["matched"] is True
    assert outside.compatible["matched"] is False


@pytest.mark.parametrize("radius_m", [141.43, 142, 150, 200, 1000, 30_000])
def test_a_circle_wider_than_root_two_vicinities_never_matches(radius_m):
    match = answer(question(), [(5, 0, radius_m)])
    assert match.compatible["matched"] is False
    assert match.verdict == "possible"
    assert match.compatible["differs"] == (
        "not matched, possible here: the circle of 1 fix meets the vicinity, but none wider than 141.42 m can match"
    )


@given(st.floats(1.0, 5_000.0), st.floats(0.0, 1.0))
def test_the_widest_circle_is_exact_for_every_vicinity(vicinity_m, share):
    widest = widest_m(vicinity_m)
    assert widest <= math.sqrt(2.0) * vicinity_m < widest + 0.011
    asked = question(radius_m=vicinity_m)
    wider = widest + 0.01 + share * 1000.0
    assert answer(asked, [(5, 0, round(wider, 2))]).compatible["n_fixes"] == (
        round(wider, 2) <= math.sqrt(2.0) * vicinity_m
    )
    assert answer(asked, [(5, 0, widest)]).compatible["matched"]


def test_a_radius_of_zero_is_a_point():
    assert answer(question(), [(5, 99.98, 0)]).compatible["matched"]
    assert not answer(question(), [(5, 100.02, 0)]).compatible["matched"]


def test_the_window_is_padded_and_its_edges_belong_to_it():
    edges = answer(question(), [(-10.02, 0), (-10, 0), (40, 0), (40.02, 0)])
    assert edges.compatible["n_fixes"] == 2
    assert not answer(question(pad_us=0), [(-1, 0), (31, 0)]).compatible["matched"]


@pytest.mark.parametrize(
    ("flag", "name"), [(IMPLAUSIBLE, "implausible"), (CONTRADICTORY, "contradictory"), (SET_ASIDE, "set aside")]
)
def test_flagged_fixes_count_and_the_difference_is_told(flag, name):
    match = answer(question(), [(5, 0, 10, flag), (6, 900)])
    assert match.verdict == "possible"
    assert match.compatible["matched"] is True
    assert match.compatible["differs"] == f"matched, possible here: its one fix carries no weight ({name})"


def test_flags_that_only_inform_make_no_difference():
    match = answer(question(), [(5, 0, 10, OVERCONFIDENT)])
    assert (match.verdict, match.compatible["matched"], match.compatible["differs"]) == ("placed", True, None)


def test_several_flags_are_named_once_each():
    rows = [(5, 0, 10, IMPLAUSIBLE), (6, 0, 10, SET_ASIDE | OVERCONFIDENT), (7, 0)]
    match = answer(question(min_fixes=2), rows)
    assert match.verdict == "possible"
    assert match.compatible["differs"] == (
        "matched, possible here: 2 of its 3 fixes carry no weight (implausible, set aside)"
    )


def test_labels_rise_with_each_exit_and_re_entry():
    rows = [(0, 500), (1, 0), (2, 10), (3, 500), (4, 0), (5, 900), (6, 20), (7, 20)]
    labels = answer(question(), rows).compatible["labels"]
    assert [row["label"] for row in labels] == ["A1", "A2", "B1", "C1", "C2"]
    assert labels[0] == {"time": to_iso(FROM_US + MINUTE_US), "device": "tag", "label": "A1"}


def test_labels_go_on_past_z():
    rows = [(k / 2, 0 if k % 2 else 700) for k in range(56)]
    labels = [row["label"] for row in answer(question(), rows).compatible["labels"]]
    assert labels[25:] == ["Z1", "AA1", "AB1"]


def test_a_flagged_fix_outside_splits_their_visit_and_not_ours():
    match = answer(question(), [(1, 0), (2, 5000, 10, IMPLAUSIBLE), (3, 0)])
    assert [row["label"] for row in match.compatible["labels"]] == ["A1", "B1"]
    assert [visit["label"] for visit in match.visits] == ["A"]


def test_single_fixes_are_a_setting():
    one = answer(question(min_fixes=2), [(5, 0)])
    assert (one.compatible["matched"], one.compatible["n_fixes"]) == (False, 1)
    assert one.compatible["differs"] == "not matched, possible here: 1 of the 2 fixes that it takes"
    assert answer(question(min_fixes=2), [(5, 0), (6, 0)]).compatible["matched"]


def test_what_the_binary_answer_cannot_say():
    silent = answer(question(), [(-60, 0), (90, 0)])
    assert silent.verdict == "unmonitored"
    assert "silent tag" in silent.compatible["differs"]
    passing = answer(question(), [(k, 5_000.0) for k in range(0, 30, 10)])
    assert passing.verdict == "possible"
    assert passing.compatible["differs"] == "not matched, possible here: the rule does not look between fixes"
    far = answer(question(), [(k, 90_000.0) for k in range(-20, 60)])
    assert (far.verdict, far.compatible["matched"], far.compatible["differs"]) == ("excluded", False, None)


def test_the_parameters_are_told():
    told = answer(question(radius_m=50.0, pad_us=MINUTE_US, min_fixes=3), [(5, 0)]).compatible["parameters"]
    assert told == {"radius_m": 50.0, "overlap": 0.5, "pad_s": 60.0, "min_fixes": 3, "widest_m": 70.71}


def test_it_stands_last_in_the_record_and_only_where_asked_for():
    wearer = trail([(5, 0)])
    plain = match_of(question(), wearer)
    assert "compatible" not in plain.record()
    assert list(beside(question(), wearer, plain).record())[-1] == "compatible"


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 300), st.integers(0, 200), st.sampled_from([0, 1, 2, 8])), max_size=8)
)
def test_whoever_is_placed_is_matched(rows):
    match = answer(question(), sorted(rows))
    if match.verdict == "placed":
        assert match.compatible["matched"]
        assert match.compatible["n_fixes"] >= match.n_fixes
    assert match.compatible["n_fixes"] == sum(fix["share"] >= 0.5 for fix in match.fixes)
    assert (match.compatible["differs"] is None) == (
        match.compatible["matched"] == (match.verdict == "placed") and match.verdict in ("placed", "excluded")
    )
