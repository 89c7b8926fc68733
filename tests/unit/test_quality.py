"""The quality benchmark's own pieces: what is an alarm, what is false, how late; its scenes; and the filter's goals in small."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from benchmarks.calibration import picture
from benchmarks.calibration.absences import absences
from benchmarks.calibration.quality import SEED, Score, delays_s, false_alarms, our_alarms, scores
from benchmarks.calibration.rivals import FIFTH, LIMIT, PLAIN, Alarm, Rule, inside_zone
from benchmarks.calibration.stays import trails_of
from benchmarks.calibration.visits import RADIUS_PER_SIGMA, SECOND_US, Errors, Visit, draw_scene, remembering, seen
from engine.kernels import distances_m
from geofence.zone import Circle

MINUTE_US = 60 * SECOND_US
TIMES = np.arange(10) * MINUTE_US
RADII = np.full(10, 10.0)


def hits(text: str) -> np.ndarray:
    return np.array([letter == "i" for letter in text])


def visit(entered_min: int, left_min: int, wearer: int = 0) -> Visit:
    return Visit(wearer, entered_min * MINUTE_US, left_min * MINUTE_US, 50.0, 10.0)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (PLAIN, [(1, 1, 2), (3, 3, 9)]),
        (Rule("two", 2), [(4, 3, 9)]),
        (FIFTH, [(7, 3, 9)]),
        (Rule("seven", 7), []),
    ],
)
def test_a_rival_raises_at_its_number_of_fixes_in_a_row(rule: Rule, found: list[tuple[int, int, int]]) -> None:
    alarms = rule.alarms(5, TIMES, hits("oioiiiiiio"), RADII)
    assert alarms == [Alarm(5, *(minute * MINUTE_US for minute in each)) for each in found]


def test_a_cut_off_by_accuracy_does_not_look_at_coarse_fixes() -> None:
    radii = RADII.copy()
    radii[1] = 31.0
    alarms = Rule("cut", most_radius_m=30.0).alarms(0, TIMES, hits("oioiiiiiii"), radii)
    assert alarms == [Alarm(0, 3 * MINUTE_US, 3 * MINUTE_US, 9 * MINUTE_US)]


def test_alarms_near_in_time_are_one_and_a_true_presence_within_makes_them_true() -> None:
    alarms = [Alarm(0, m * MINUTE_US, m * MINUTE_US, (m + 2) * MINUTE_US) for m in (0, 20, 51, 100)]
    assert false_alarms(alarms, []) == 2
    assert false_alarms(alarms, [visit(21, 22)]) == 1
    assert false_alarms(alarms, [visit(21, 22, wearer=1)]) == 2
    assert false_alarms([*alarms, alarms[0]._replace(wearer=1)], []) == 3


def test_the_delay_counts_from_the_true_entry_to_the_raising() -> None:
    alarms = [Alarm(0, 12 * MINUTE_US, 11 * MINUTE_US, 30 * MINUTE_US)]
    assert delays_s(alarms, [visit(10, 20), visit(15, 20), visit(40, 50)]) == [120.0, 0.0, math.inf]


def test_a_scene_is_the_same_for_its_seed_and_its_truth_agrees_with_shapely() -> None:
    one, two = (draw_scene(3, 6, Errors(180.0)) for _ in range(2))
    assert all(
        np.array_equal(one.fixes.column(c), two.fixes.column(c)) for c in ("time_us", "lat_e7", "lon_e7", "accuracy_cm")
    )
    exact = draw_scene(3, 6, Errors(180.0))
    for k, zone in enumerate(exact.zones):
        mine = exact.fixes.device == k
        visits = [(v.entered_us, v.left_us) for v in exact.visits if v.wearer == k]
        time_us = exact.fixes.time_us[mine]
        within = np.zeros(len(time_us), bool)
        for entered, left in visits:
            within |= (time_us >= entered - 5 * SECOND_US) & (time_us <= left + 5 * SECOND_US)
        assert not (exact.inside[mine] & ~within).any()
        fixes = exact.fixes.take(mine)
        if isinstance(zone.place, Circle):
            centre = (np.full(len(fixes), c, np.int32) for c in (zone.place.lat_e7, zone.place.lon_e7))
            expected = distances_m(fixes.lat_e7, fixes.lon_e7, *centre) <= zone.place.radius_m
        else:
            expected = shapely.contains(zone.place, shapely.points(fixes.lon_e7 / 1e7, fixes.lat_e7 / 1e7))
        assert np.array_equal(inside_zone(zone, fixes), expected)


def test_errors_remember_as_long_as_they_say() -> None:
    series = remembering(40_000, 60.0, 180.0, np.random.default_rng(1))
    assert np.std(series) == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(series[:-3], series[3:])[0, 1] == pytest.approx(math.exp(-1.0), abs=0.03)
    white = remembering(40_000, 60.0, 0.0, np.random.default_rng(1))
    assert abs(np.corrcoef(white[:-1], white[1:])[0, 1]) < 0.02


def test_circles_of_a_scene_hold_the_truth_less_often_than_they_say() -> None:
    rng, radius = np.random.default_rng(5), np.full(60_000, 12.0)
    zero = np.zeros(len(radius))
    x, y = seen(zero, zero, radius, Errors(0.0), rng)
    assert 0.82 < np.mean(np.hypot(x, y) <= radius) < 0.92
    assert pytest.approx(math.sqrt(-2.0 * math.log(0.05)), abs=1e-4) == RADIUS_PER_SIGMA


def test_far_fewer_false_alarms_than_a_plain_test_and_half_as_late_as_five_in_a_row() -> None:
    rows = {row.rule: row for row in scores(Errors(180.0), 50, SEED, (0.8, 0.95))}
    plain, fifth, ours, limit = (rows[name] for name in (PLAIN.name, FIFTH.name, "(d) ours at 0.95", LIMIT.name))
    assert plain.n_false >= 20
    assert 20 * ours.n_false <= plain.n_false
    assert ours.n_missed <= 1
    assert ours.median_s < fifth.median_s / 2
    assert limit.n_false == 0
    assert limit.median_s <= ours.median_s
    thresholds = [row for row in rows.values() if row.rule.startswith("(d)")]
    assert [row.n_false for row in thresholds] == sorted((row.n_false for row in thresholds), reverse=True)


def test_our_alarms_are_those_of_the_watch_with_their_threshold() -> None:
    scene = draw_scene(9, 8, Errors(0.0))
    trails = trails_of(scene.fixes)
    early, late = (our_alarms(trails, scene.zones, at) for at in (0.7, 0.95))
    assert early
    assert {a.wearer for a in late} <= {a.wearer for a in early}
    assert min(a.raised_us - a.began_us for a in early) >= 0
    assert len(early) >= len(late)


def test_hardly_any_absence_is_raised_that_never_was() -> None:
    found = absences((5,), wearers=20, days=3)
    assert found.n_windows > 40
    assert found.n_false <= 1
    assert found.n_found >= found.n_true - 1


def test_the_picture_is_svg_with_a_panel_for_each_memory() -> None:
    def row(rule: str, memory_s: float, n_false: int, median_s: float) -> Score:
        return Score(rule, memory_s, 60.0, n_false, 100.0, 10, 0, median_s, median_s, 5, 2)

    rows = [
        row(rule, memory_s, n, s)
        for memory_s in (0.0, 180.0)
        for rule, n, s in (
            (PLAIN.name, 50, 30.0),
            (FIFTH.name, 1, 270.0),
            (LIMIT.name, 0, 88.0),
            ("(d) ours at 0.95", 0, 95.0),
        )
    ]
    root = ElementTree.fromstring(picture.draw(rows))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}polyline")) == 2
    dots = [c for c in root.findall(f"{space}circle") if "rival" in c.get("class", "")]
    assert len(dots) == 4
    assert all(0.0 <= float(c.get("cy", "-1")) <= float(root.get("height", "0")) for c in dots)
