"""Verdicts against planted truth, in small: who was there is found, who was not is cleared, and nobody who was there is
excluded. The full size is `python -m benchmarks.matching_truth.run`."""

import json
from itertools import islice
from xml.etree import ElementTree

import numpy as np
import pytest
from pyproj import Geod

from benchmarks.matching_truth import picture, tables, text
from benchmarks.matching_truth.pairs import STAYED_S, closest, pairs
from benchmarks.matching_truth.plants import RADIUS_M, committed, far_off, present, where_they_were
from benchmarks.matching_truth.reporting import ERRORS, reported, retold, town
from benchmarks.matching_truth.run import Run, measure, part, plants, results
from crime_match.batch.matcher import Matcher
from crime_match.near import match_of
from crime_match.verdicts import VERDICTS
from engine.error_model import errors
from engine.kernels import distances_m
from tagwatch.simulate.spans import total_us

WGS84 = Geod(ellps="WGS84")
SEED, WEARERS, DAYS = 7, 40, 2
RUNS = (
    Run("town", 20),
    Run("presence", 140),
    Run("presence", 60, interval_s=300),
    Run("presence", 100, "clipped", max_speed_mps=14.0),
    Run("presence", 100, "clipped"),
    *(Run("graze", 200, kind, 10, 14.0) for kind in ("as simulated", "clipped")),
    Run("distance", 90),
    Run("distance", 60, max_speed_mps=20.0),
    Run("distance", 90, "exact"),
)


@pytest.fixture(scope="module")
def world():
    return town(WEARERS, DAYS, SEED, 60)


@pytest.fixture(scope="module")
def measured():
    return measure(RUNS, [SEED], WEARERS, DAYS)


def share(rows):
    return tables.share(rows).rate


def test_the_truth_of_a_pair_agrees_with_a_walk_along_the_path(world):
    for plant in [*islice(committed(world), 6), *islice(where_they_were(world, 8, np.random.default_rng(2)), 8)]:
        question = plant.question
        for wearer in world.truth.wearers[:6]:
            t_us = np.arange(question.start_us, question.end_us + 1, 1_000_000)
            lat, lon = world.truth.plane.degrees(*world.truth.paths[wearer].at(t_us))
            n = len(t_us)
            place = np.full(n, question.lon_e7 / 1e7), np.full(n, question.lat_e7 / 1e7)
            apart = WGS84.inv(*place, lon, lat)[2]
            nearest = closest(world, wearer, question)
            assert nearest - 0.002 * nearest - 0.05 <= apart.min() <= nearest + 15.0 + 0.002 * nearest
            here = total_us(world.truth.near(wearer, *place_of(question), RADIUS_M, (question.start_us, question.end_us)))
            assert abs(here * 1e-6 - np.count_nonzero(apart <= RADIUS_M)) <= 4.0
            assert (here > 0) <= (nearest <= RADIUS_M + 0.05)


def place_of(question):
    return question.lat_e7 / 1e7, question.lon_e7 / 1e7


def test_plants_are_where_they_say(world):
    rng = np.random.default_rng(3)
    for plant in islice(where_they_were(world, 25, rng), 25):
        assert plant.asked
        assert plant.asked == present(world, plant.question)
    done = {presence.reference: presence for presence in world.truth.crimes}
    burgled = [plant for plant in committed(world) if plant.culprit]
    assert len(burgled) > 10
    assert all(world.start_us < p.question.start_us < p.question.end_us < world.end_us for p in committed(world))
    for plant in burgled:
        mine = [p for p in done.values() if p.wearer == plant.culprit]
        assert any(plant.question.from_us <= p.from_us and p.to_us <= plant.question.to_us for p in mine)
    distances = [closest(world, plant.asked[0], plant.question) for plant in islice(far_off(world, 40, 3, rng), 40)]
    assert min(distances) < 1000.0
    assert max(distances) > 8000.0


def test_told_again_at_the_same_interval_the_world_is_the_same(world):
    again = retold(world, SEED, 60)
    assert all(np.array_equal(again.fixes.column(c), world.fixes.column(c)) for c in ("time_us", "lat_e7", "lon_e7"))
    assert again.events == world.events
    slow = town(WEARERS, DAYS, SEED, 60, 300)
    assert slow.crimes == world.crimes
    assert len(world.fixes) * 0.19 < len(slow.fixes) < len(world.fixes) * 0.21


def test_clipped_errors_stay_inside_the_exclusion_radius_and_the_others_do_not(world):
    n = len(world.fixes)
    beyond = {}
    for kind, made in ERRORS.items():
        fixes = made(world)
        said = errors(fixes.accuracy_cm, fixes.source, np.full(n, 0.95), np.zeros(n, np.uint8))
        apart = distances_m(fixes.lat_e7, fixes.lon_e7, world.truth.lat_e7, world.truth.lon_e7)
        beyond[kind] = np.mean(apart > said.exclusion_m)
    assert beyond["clipped"] == beyond["exact"] == 0.0
    assert 1e-4 < beyond["as simulated"] < 2e-3
    assert beyond["doubled"] > 5e-3


def test_nobody_who_was_there_is_excluded(measured):
    rows = tables.wrong_exclusions(measured)
    by_kind = {(r["errors"], r["interval_s"], r["max_speed_mps"]): r for r in rows}
    assert by_kind["clipped", 60, 55.0]["n"] > 100
    assert by_kind["clipped", 60, 14.0]["n"] > 100
    assert by_kind["as simulated", 60, 55.0]["n"] > 180
    assert by_kind["as simulated", 10, 14.0]["n"] > 180
    assert by_kind["clipped", 10, 14.0]["n"] > 180
    assert all(row["k"] == 0 for row in rows)


def test_the_proof_is_hard_enough_to_tell():
    """With the reported circles in the place of the exclusion radii some of those who were there would be excluded."""
    world = town(WEARERS, DAYS, SEED, 60, 10)
    said = reported(world)
    said.trails.rows.exclusion_m[:] = said.trails.rows.radius_m
    found = pairs(said, islice(plants("graze", world, SEED), 400), 14.0)
    assert sum(pair.verdict == "excluded" for pair in found) >= 2


def test_who_was_there_for_long_enough_is_placed(measured):
    minute = tables.present(part(measured, ["presence", "town"]))
    assert share(minute[minute.dwell_s >= STAYED_S].verdict == "placed") > 0.9
    assert share(minute[minute.dwell_s >= 300.0].verdict == "placed") > 0.95
    assert share(minute[minute.dwell_s >= 300.0].support == "strong") > 0.75
    passing = minute[minute.dwell_s < 60.0]
    assert len(passing) > 30
    assert 0.05 < share(passing.verdict == "placed") < 0.8
    assert passing.verdict.isin(["placed", "possible", "unmonitored"]).all()
    slow = tables.present(part(measured, ["presence"], interval_s=300))
    assert share(slow[slow.dwell_s >= 1200.0].verdict == "placed") > 0.9
    short = slow.dwell_s < STAYED_S
    assert share(slow[short].verdict == "placed") < share(minute[minute.dwell_s < STAYED_S].verdict == "placed")


def test_burglars_are_placed_and_those_far_away_are_not(measured):
    roles = {row["role"]: row for row in tables.by_role(part(measured, ["town"]))}
    assert roles["burglar"]["n"] >= 5
    assert roles["burglar"]["strong"] >= 0.8 * roles["burglar"]["n"]
    assert roles["away"]["n"] > 300
    assert roles["away"]["placed"] == roles["far"]["placed"] == 0
    rows = tables.false_placements(part(measured, ["town"]))
    assert 1000.0 * rows[0]["placed"] / rows[0]["n"] < 10.0
    assert rows[0]["strong"] <= 2
    assert sum(row["placed"] for row in rows if row["from_m"] >= 300.0) == 0


def test_the_absent_are_excluded_the_farther_and_the_better_seen_the_more(measured):
    usual, exact = part(measured, ["distance"]), part(measured, ["distance"], errors="exact")
    absent = tables.absent(usual)
    seen = absent[(absent.gap_s <= 75.0) & ~absent.masts]
    far = seen.closest_m >= 3000.0
    assert far.sum() > 30
    assert share(seen[far].verdict == "excluded") > 0.95
    assert share(seen[seen.closest_m < 1500.0].verdict == "excluded") == 0.0
    assert tables.goal(usual)["share"] > 0.8
    assert tables.goal(exact, 3500.0)["share"] == 1.0
    assert (tables.absent(exact).verdict == "excluded").sum() >= (absent.verdict == "excluded").sum()
    slow = tables.absent(part(measured, ["distance"], max_speed_mps=20.0))
    within = slow[(slow.gap_s <= 120.0) & ~slow.masts & (slow.closest_m > 2000.0)]
    assert share(within.verdict == "excluded") > 0.95


def test_a_whole_batch_says_the_same_as_one_pair_at_a_time(world):
    for kind in ("as simulated", "clipped"):
        trails = reported(world, kind).trails
        matcher = Matcher(trails)
        laid = [plant.question for scene in ("town", "distance") for plant in islice(plants(scene, world, SEED), 10)]
        alone = np.array([[VERDICTS.index(match_of(q, trail).verdict) for trail in trails] for q in laid])
        for plan in ("index", "scan"):
            answers = matcher.answer(laid, plan)
            found = np.full_like(alone, VERDICTS.index("excluded"))
            found[answers.crime, answers.wearer] = answers.verdict
            assert np.array_equal(found, alone)


def test_intervals_of_rates_are_those_of_clopper_and_pearson():
    none, all_of = tables.share(np.zeros(5000, bool)), tables.share(np.ones(10, bool))
    assert none[:3] == (0, 5000, 0.0)
    assert none.high == pytest.approx(1.0 - 0.025 ** (1 / 5000))
    assert all_of.low == pytest.approx(0.025 ** (1 / 10))
    assert np.isnan(tables.share([]).rate)


def test_tables_and_picture_can_be_made(measured):
    found = {"pairs": len(measured), "towns": 1, **results(measured)}
    json.dumps(found)
    assert "### Wrong exclusions" in text.tables(found)
    drawn = ElementTree.fromstring(picture.draw(found))
    assert len([each for each in drawn.iter() if each.tag.endswith("polyline")]) > 2
