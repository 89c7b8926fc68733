"""The receiver's errors: correlated in time, heavier in their tails than the tag admits, worse indoors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from engine.fixes import ABSENT, SOURCES
from engine.times import MINUTE_US
from tagwatch.simulate.journeys import HOME, OUTDOOR, WALK
from tagwatch.simulate.kernels import gauss_markov
from tagwatch.simulate.plane import Plane
from tagwatch.simulate.receiver import RADIUS_PER_SIGMA, Moments, Reception, receive
from tagwatch.simulate.town import Town, build_town

N = 60_000
GPS = SOURCES["gps"]


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town(10, np.random.default_rng(1))


def readings(town: Town, setting: int, reception: Reception, seed: int = 4) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns and error (n, 2) [m] of a tag that stands at the town's middle for N minutes, one fix each."""
    still = Moments(np.arange(N) * MINUTE_US, *np.zeros((2, N)), np.full(N, setting, np.int8), *np.zeros((2, N)))
    columns, heard = receive(still, town, reception, np.random.default_rng(seed))
    x, y = Plane().from_e7(columns["lat_e7"], columns["lon_e7"])
    return {name: values[heard] for name, values in columns.items()}, np.column_stack([x, y])[heard]


def test_gauss_markov_is_the_recursion() -> None:
    rng = np.random.default_rng(1)
    noise, decay = rng.standard_normal((500, 2)), np.full(500, 0.8)
    expected = scipy.signal.lfilter([1.0], [1.0, -0.8], np.vstack([noise[:1], 0.6 * noise[1:]]), axis=0)
    assert np.allclose(gauss_markov(decay, noise), expected, atol=1e-12)
    assert np.array_equal(getattr(gauss_markov, "py_func", gauss_markov)(decay, noise), gauss_markov(decay, noise))


def test_gauss_markov_keeps_unit_variance_through_gaps() -> None:
    rng = np.random.default_rng(2)
    series = gauss_markov(rng.uniform(0, 1, 200_000), rng.standard_normal((200_000, 1)))
    assert series.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("setting", [HOME, OUTDOOR, WALK])
def test_the_circle_holds_the_truth_in_85_to_90_of_100(town: Town, setting: int) -> None:
    columns, error = readings(town, setting, Reception(0.05, 0.1, False))
    gps = columns["source"] == GPS
    held = np.hypot(*error[gps].T) <= columns["accuracy_cm"][gps] / 100
    assert 0.85 < held.mean() < 0.90


def test_errors_are_correlated_over_minutes_and_not_over_an_hour(town: Town) -> None:
    columns, error = readings(town, OUTDOOR, Reception(0.05, 0.1, False))
    scaled = np.clip(error[:, 0] / (columns["accuracy_cm"] / 100), -3, 3)

    def lagged(minutes: int) -> float:
        return float(np.corrcoef(scaled[:-minutes], scaled[minutes:])[0, 1])

    assert 0.55 < lagged(1) < 0.85
    assert 0.15 < lagged(5) < lagged(1) - 0.1
    assert abs(lagged(60)) < 0.05


def test_tails_are_heavier_than_a_normal(town: Town) -> None:
    columns, error = readings(town, OUTDOOR, Reception(0.05, 0.1, False))
    sigma = columns["accuracy_cm"] / 100 / RADIUS_PER_SIGMA
    scaled = np.hypot(*error.T) / sigma
    assert scipy.stats.kurtosis(np.clip(error[:, 0] / sigma, -20, 20)) > 2.0
    normal_999 = np.sqrt(-2 * np.log(0.001))
    assert np.mean(scaled > normal_999) > 0.02  # a normal would have 0.001
    assert 10 < np.sum(np.hypot(*error.T) > 140) < 100  # the wild ones


def test_reported_radii_fit_the_setting(town: Town) -> None:
    for setting, low, high in ((OUTDOOR, 4, 8), (WALK, 8, 20), (HOME, 20, 60)):
        columns, _ = readings(town, setting, Reception(0.05, 0.1, False))
        radius = columns["accuracy_cm"][columns["source"] == GPS] / 100
        assert low <= radius.min() < radius.max() <= high
        assert radius.std() > (high - low) / 10


def test_indoors_fixes_go_missing_or_come_from_elsewhere(town: Town) -> None:
    columns, _ = readings(town, HOME, Reception(0.2, 0.1, False))
    assert 0.7 < len(columns["source"]) / N < 0.9
    for name, low, high in (("gps", 0.7, 0.95), ("lbs", 0.02, 0.12), ("wifi", 0.03, 0.15)):
        assert low < np.mean(columns["source"] == SOURCES[name]) < high
    masts = columns["source"] == SOURCES["lbs"]
    assert columns["accuracy_cm"][masts].min() >= 25_000
    for name in ("speed_cms", "altitude_cm", "hdop_c", "satellites"):
        assert np.array_equal(columns[name] == ABSENT, columns["source"] != GPS), name


def test_a_home_unit_answers_at_home_each_time(town: Town) -> None:
    columns, error = readings(town, HOME, Reception(0.3, 0.1, True))
    assert len(error) == N
    assert np.all(columns["source"] == SOURCES["rf"])
    assert np.hypot(*error.T).max() < 50
