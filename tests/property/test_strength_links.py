"""Links between crimes, and the company of two wearers: against plain Python, and in scenes whose answer is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from crime_match.passage import passage_of
from crime_match.strength.company import companions, company, together
from crime_match.strength.links import groups, pairs
from crime_match.strength.survey import Rows, Survey, survey
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time
from tests.property.strength_worlds import (
    FOUR_WEEKS,
    MONDAY_US,
    asked_at,
    both,
    days_at,
    question,
    still,
    trails_of,
    walk,
)  # fmt: skip

WGS84 = Geod(ellps="WGS84")


def a_survey(placed, rows=()):
    """A survey of crimes that are each an event; rows of (event, wearer, days monitored, days placed)."""
    numbers = [(e, w, 2**m - 1, 2**p - 1, 1) for e, w, m, p in rows]
    return Survey(
        [{}] * len(placed), [(k,) for k in range(len(placed))], [10] * len(placed),
        Rows(*np.array(numbers, np.int64).reshape(-1, 5).T), np.zeros(9, np.int64), [np.array(w, np.int64) for w in placed],
    )  # fmt: skip


CRIMES = [(f"c{k}", asked_at(k, 0.0, 0.0)) for k in range(12)]
WEARERS = [f"w{k}" for k in range(9)]


def test_pairs_carry_the_wearers_they_share_and_what_chance_would_share():
    found = a_survey(
        [[1, 2], [2, 5], [1, 2], []], [(0, 1, 10, 1), (0, 2, 10, 5), (1, 2, 4, 1), (2, 2, 10, 10), (1, 7, 4, 4)]
    )
    told = list(pairs(found, CRIMES, WEARERS))
    assert [(row["crimes"], row["wearers"]) for row in told] == [
        (["c0", "c1"], ["w2"]), (["c0", "c2"], ["w1", "w2"]), (["c1", "c2"], ["w2"]),
    ]  # fmt: skip
    assert [row["expected"] for row in told] == [0.125, 0.5, 0.25]
    assert not any(row["same_event"] for row in told)


@given(placed=st.lists(st.lists(st.integers(0, 8), max_size=3, unique=True), max_size=12))
def test_pairs_and_groups_agree_with_plain_sets(placed):
    found = a_survey(placed)
    told = {tuple(row["crimes"]): set(row["wearers"]) for row in pairs(found, CRIMES, WEARERS)}
    sets = [{WEARERS[w] for w in each} for each in placed]
    expected = {(f"c{i}", f"c{j}"): sets[i] & sets[j] for i, j in itertools.combinations(range(len(placed)), 2)}
    assert told == {both: shared for both, shared in expected.items() if shared}
    parts = [set(both) for both in told]
    merged = True
    while merged:
        merged = False
        for one, two in itertools.combinations(parts, 2):
            if one & two:
                parts.remove(one)
                parts.remove(two)
                parts.append(one | two)
                merged = True
                break
    got = groups(found, CRIMES, WEARERS)
    assert sorted(map(sorted, parts)) == sorted(sorted(group["crimes"]) for group in got)
    assert [len(group["crimes"]) for group in got] == sorted((len(part) for part in parts), reverse=True)
    for group in got:
        several = {w for w in WEARERS if sum(w in sets[int(c[1:])] for c in group["crimes"]) > 1}
        assert set(group["wearers"]) == several


def test_crimes_of_one_event_are_linked_but_not_surprising():
    trails = trails_of([both(days_at([7], 14), days_at([d for d in range(14) if d != 7], 14, north=5000.0))])
    crimes = [("a", asked_at(7, 0.0, 0.0)), ("b", asked_at(7, 90.0, 0.0))]
    (row,) = pairs(survey(trails.tracks, crimes, FOUR_WEEKS), crimes, trails.wearers)
    assert (row["crimes"], row["wearers"], row["same_event"], row["expected"]) == (["a", "b"], ["w0"], True, None)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_company_agrees_with_every_pair_of_fixes(seed):
    rng = np.random.default_rng(seed)
    trails = trails_of([walk(rng, int(rng.integers(1, 120)), step_s=90.0) for _ in range(2)])
    asked = question(MONDAY_US + 600 * SECOND_US, MONDAY_US + 7200 * SECOND_US)
    found = company(asked, trails[0], trails[1])
    weighty = []
    for trail in (trails[0], trails[1]):
        passage = passage_of(asked, trail)
        weighty.append(passage.fix_indices[passage.has_weight].tolist())
    least = math.inf
    for i, j in itertools.product(*weighty):
        one, two = trails[0].fixes, trails[1].fixes
        if abs(int(one.time_us[i]) - int(two.time_us[j])) <= 150 * SECOND_US:
            apart_m = WGS84.inv(one.lon_e7[i] / 1e7, one.lat_e7[i] / 1e7, two.lon_e7[j] / 1e7, two.lat_e7[j] / 1e7)[2]
            least = min(least, apart_m)
    if math.isinf(least):
        assert (found["closest_m"], found["closest_at"]) == (None, None)
    else:
        assert found["closest_m"] == pytest.approx(least, abs=2e-3)
        times_us = [parse_time(text) for text in found["closest_at"]]
        assert abs(times_us[0] - times_us[1]) <= 150 * SECOND_US
    swapped = company(asked, trails[1], trails[0])
    assert (swapped["closest_m"], swapped["together_s"]) == (found["closest_m"], found["together_s"])


def minutes(first, last, **where):
    """A fix a minute from one minute of the Monday to another."""
    return still([MONDAY_US + m * MINUTE_US for m in range(first, last + 1)], **where)


def test_together_at_a_crime_is_where_visits_overlap():
    """One is there from 10:00 to 10:20, one from 10:10 to 10:30, one passes at 10:05 30 s after the first's fix."""
    away = {"north": 4000.0}
    trails = trails_of([
        both(minutes(590, 599, **away), minutes(600, 620), minutes(621, 640, **away)),
        both(minutes(590, 609, **away), minutes(610, 630, north=30.0), minutes(631, 640, **away)),
        still([MONDAY_US + 605 * MINUTE_US + 30 * SECOND_US], east=7.0),
    ])  # fmt: skip
    asked = question(MONDAY_US + 600 * MINUTE_US, MONDAY_US + 630 * MINUTE_US)
    first, second, third = companions(asked, list(trails))
    assert [c["wearers"] for c in (first, second, third)] == [["w0", "w1"], ["w0", "w2"], ["w1", "w2"]]
    assert (first["together_s"], second["together_s"]) == (600.0, 0.0)
    assert first["closest_m"] == pytest.approx(0.0, abs=1.0)  # both were at the far place at one time
    assert second["closest_m"] == pytest.approx(7.0, abs=0.1)
    assert second["closest_at"][1] == "2026-02-02T10:05:30.000Z"


def test_together_over_a_day_finds_the_stretches_and_nothing_else():
    """Side by side from 10:00 to 11:00 and from 15:00 to 15:40, four kilometres apart otherwise; far from it before noon only."""
    beside, off = {"north": 10.0}, {"north": 4000.0}
    trails = trails_of([
        minutes(0, 1439),
        both(minutes(0, 599, **off), minutes(600, 660, **beside), minutes(661, 899, **off), minutes(900, 940, **beside),
             minutes(941, 1439, **off)),
        minutes(0, 1439, **off),
    ])  # fmt: skip
    day = (MONDAY_US, MONDAY_US + DAY_US)
    found = together(trails[0], trails[1], 100.0, *day)
    starts = [(parse_time(row["from"]) - MONDAY_US) / MINUTE_US for row in found]
    ends = [(parse_time(row["to"]) - MONDAY_US) / MINUTE_US for row in found]
    assert [round(m) for m in starts] == pytest.approx([600, 900], abs=2)
    assert [round(m) for m in ends] == pytest.approx([661, 941], abs=2)
    assert all(row["posterior"] >= 0.95 and row["closest_m"] == pytest.approx(10.0, abs=0.1) for row in found)
    assert together(trails[0], trails[2], 100.0, *day) == []
    (part,) = together(trails[0], trails[1], 100.0, MONDAY_US + 10 * HOUR_US + 30 * MINUTE_US, MONDAY_US + 12 * HOUR_US)
    assert part["from"] == "2026-02-02T10:30:00.000Z"
    assert part["seconds"] == pytest.approx(31 * 60, abs=120)
