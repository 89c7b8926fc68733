"""Both plans of the match against the match of each wearer by itself: the same verdict of every pair, whatever the trails."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crime_match.batch.matcher import NUMBERS, Matcher
from crime_match.near import match_of
from crime_match.question import Question
from engine.activations import Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import HOUR_US, MINUTE_US, SECOND_US
from tagwatch.matching import trails_of
from tagwatch.simulate.world import simulate

START_US = 1_772_359_200_000_000
EVENTS = ("strap_tamper", "power_off", "power_on", "fault")


def random_trails(rng, lat, lon):
    """A few wearers about a place, with journeys, gaps, wild fixes, wide circles, two devices, and a wearer without fixes."""
    names, columns = [], {key: [] for key in ("device", "time_us", "lat_e7", "lon_e7", "accuracy_cm", "received_s")}
    activations, events = [], []
    for w in range(int(rng.integers(1, 7))):
        for d in range(int(rng.integers(1, 3))):
            names.append(f"d{w}-{d}")
            n = int(rng.choice([0, 1, 2, 40, 200]))
            gap_s = rng.choice([1, 30, 60, 60, 60, 300, 3000], n)
            time_s = rng.integers(0, 7200) // (part := int(rng.choice([1, 60]))) * part + np.cumsum(gap_s)
            step_m = rng.choice([0.0, 1.0, 14.0, 60.0]) * gap_s
            heading = np.cumsum(rng.normal(0, 0.4, n))
            x = rng.normal(0, 3000) + np.cumsum(step_m * np.sin(heading)) + rng.normal(0, 10, n)
            y = rng.normal(0, 3000) + np.cumsum(step_m * np.cos(heading)) + rng.normal(0, 10, n)
            wild = rng.random(n) < 0.03
            x, y = x + wild * rng.normal(0, 20_000, n), y + wild * rng.normal(0, 20_000, n)
            lats = np.clip((lat + y / 111_000) * 1e7, -9e8, 9e8)
            lons = ((lon + x / 111_000 / max(math.cos(math.radians(lat)), 1e-6)) * 1e7 + 1.8e9) % 3.6e9 - 1.8e9
            clock = rng.random(n) < 0.01
            columns["device"] += [len(names) - 1] * n
            columns["time_us"] += (START_US + time_s * SECOND_US).tolist()
            columns["lat_e7"] += np.rint(lats).astype(int).tolist()
            columns["lon_e7"] += np.rint(lons).astype(int).tolist()
            columns["accuracy_cm"] += rng.choice([0, 500, 2000, 2000, 10_000, 150_000], n).tolist()
            columns["received_s"] += ((START_US + time_s * SECOND_US) // SECOND_US - clock * 4000).tolist()
            middle = START_US + int(rng.integers(0, 12)) * HOUR_US
            spans = [(-(2**62), 2**62), (-(2**62), middle), (middle, 2**62)]
            chosen = [spans[0]] if rng.random() < 0.7 else [spans[int(rng.integers(1, 3))]]
            activations += [Activation(names[-1], f"w{w}", *span) for span in chosen]
            events += [
                DeviceEvent(
                    names[-1], START_US + int(rng.integers(0, 10 * 3600)) * SECOND_US, str(rng.choice(EVENTS)), "", 0
                )
                for _ in range(int(rng.integers(0, 2)))
            ]
    activations.append(Activation("unseen", "w9", START_US, START_US + 3 * HOUR_US))
    with_activations = rng.random() < 0.7
    fixes = Fixes.of(names, **{key: np.array(values, np.int64) for key, values in columns.items()})
    return trails_of(fixes, Activations(activations) if with_activations else None, events)


def random_questions(rng, lat, lon):
    """Questions about places near and far, of windows from an instant to a day, in and out of the time of the trails."""
    speed = float(rng.choice([2.0, 55.0, 55.0, 55.0, 300.0]))
    found = []
    for _ in range(int(rng.integers(1, 8))):
        at_us = START_US + int(rng.integers(-3 * 3600, 12 * 3600)) * SECOND_US
        long_us = int(rng.choice([0, 0, 1800, 3600, 6 * 3600, 86_400])) * SECOND_US
        if rng.random() < 0.3:  # on the hour
            at_us = at_us // HOUR_US * HOUR_US
        spread = float(rng.choice([0.002, 0.03, 1.0, 60.0]))
        found.append(Question(
            float(np.clip(lat + rng.normal(0, spread), -90, 90)), float((lon + rng.normal(0, spread) + 180) % 360 - 180),
            at_us, at_us + long_us, radius_m=float(rng.choice([30.0, 100.0, 1000.0])),
            uncertainty_m=float(rng.choice([0.0, 0.0, 250.0])), pad_us=int(rng.choice([0, 10])) * MINUTE_US,
            max_speed_mps=speed, min_fixes=int(rng.choice([1, 1, 3])),
        ))  # fmt: skip
    return found


def verdicts_of(answers, n_wearers):
    """The verdict numbers (n_crimes, n_wearers); those who are not listed are excluded."""
    table = np.full((answers.n_crimes, n_wearers), NUMBERS["excluded"])
    assert len(np.unique(answers.crime.astype(np.int64) * n_wearers + answers.wearer)) == len(answers.crime)
    table[answers.crime, answers.wearer] = answers.verdict
    return table


def assert_same(trails, questions):
    expected = np.full((len(questions), len(trails)), NUMBERS["excluded"])
    for c, question in enumerate(questions):
        for w, trail in enumerate(trails):
            expected[c, w] = NUMBERS[match_of(question, trail).verdict]
    for plan in ("index", "scan"):
        answers = Matcher(trails).answer(questions, plan)
        assert np.array_equal(verdicts_of(answers, len(trails)), expected), plan
        assert np.array_equal(np.lexsort((answers.wearer, answers.crime)), np.arange(len(answers.crime)))
        for number in range(4):
            assert np.array_equal(answers.counts()[:, number], (expected == number).sum(axis=1))


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), place=st.sampled_from([(51.5, -0.1), (51.5, 179.999), (89.99, 10.0), (-89.9995, 0.0), (0.0, 0.0)])
)  # fmt: skip
def test_every_pair_has_the_verdict_of_the_single_match(seed, place):
    rng = np.random.default_rng(seed)
    assert_same(random_trails(rng, *place), random_questions(rng, *place))


def test_a_town_with_its_crimes():
    world = simulate(40, 3, 11)
    trails = trails_of(world.fixes, Activations(world.activations), world.events)
    rng = np.random.default_rng(3)
    fixes = trails.rows.fixes
    questions = []
    for k in rng.integers(0, len(fixes), 60).tolist():
        at_us = int(fixes.time_us[k]) + int(rng.integers(-7200, 7200)) * SECOND_US
        questions.append(Question(fixes.lat_e7[k] / 1e7, fixes.lon_e7[k] / 1e7, at_us, at_us + 40 * MINUTE_US))
    assert_same(trails, questions)


def test_a_window_that_ends_with_a_fix_does_not_ask_of_the_gap_after_it():
    """The last fix tells nothing of where he was, and it is only at the end that nothing else does."""
    fixes = Fixes.of(
        ("d",), device=[0, 0], time_us=[START_US, START_US + 600 * SECOND_US], lat_e7=[0, 0], lon_e7=[0, 0],
        accuracy_cm=[500, 2_000_000_000],
    )  # fmt: skip
    end_us = START_US + 600 * SECOND_US
    question = Question(0.48, 0.0, START_US - 600 * SECOND_US, end_us, radius_m=5000.0, pad_us=0, max_speed_mps=70.0)
    assert_same(trails_of(fixes), [question])


def test_nor_where_that_is_the_first_instant_of_an_hour():
    """The wide circle of the last fix reaches the place, the fix a minute before keeps him from it."""
    times = [START_US + k * 60 * SECOND_US for k in (-3, -2, -1, 0, 50)]
    fixes = Fixes.of(
        ("d",), device=[0] * 5, time_us=times, lat_e7=[3_000_000] * 5, lon_e7=[0] * 5,
        accuracy_cm=[500, 500, 500, 4_000_000, 500],
    )  # fmt: skip
    question = Question(0.0, 0.0, times[0], START_US, pad_us=0)
    assert_same(trails_of(fixes), [question])
    assert Matcher(trails_of(fixes)).answer([question], "index").counts().tolist() == [[0, 0, 1, 0]]


def test_no_crime_and_no_wearer():
    nobody = trails_of(Fixes.empty())
    question = Question(51.5, 0.0, START_US, START_US)
    for plan in ("auto", "index", "scan"):
        assert Matcher(nobody).answer([question], plan).counts().tolist() == [[0, 0, 0, 0]]
        assert len(Matcher(nobody).answer([], plan).counts()) == 0


def test_questions_of_one_batch_share_the_maximum_speed():
    trails = random_trails(np.random.default_rng(1), 51.5, 0.0)
    slow, fast = (Question(51.5, 0.0, START_US, START_US, max_speed_mps=speed) for speed in (10.0, 20.0))
    with pytest.raises(ValueError, match="several maximum speeds"):
        Matcher(trails).answer([slow, fast])


def test_trails_spread_too_far_for_summaries_are_scanned(monkeypatch):
    world = simulate(5, 1, 2)
    far = Fixes.of(("old",), device=[0], time_us=[START_US - 20 * 365 * 24 * HOUR_US], lat_e7=[0], lon_e7=[0])
    trails = trails_of(concat([world.fixes, far]))
    monkeypatch.setattr("engine.hours.MOST_SUMMARIES", 1000)
    assert trails.hours is None
    fixes = trails.rows.fixes
    question = Question(fixes.lat_e7[-1] / 1e7, fixes.lon_e7[-1] / 1e7, int(fixes.time_us[-1]), int(fixes.time_us[-1]))
    assert_same(trails, [question])
