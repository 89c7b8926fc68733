"""The fit of error models finds what is known, and P(inside) is as often true as it says, on simulated truth unseen by the fit."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy import stats

from benchmarks.calibration import dwells, fit_errors, reliability
from benchmarks.calibration.dwells import Observed
from engine.error_model import DEVICE_MODELS, TAG_MODEL, ErrorModel, exclusion_sigmas, tails


def drawn(model: ErrorModel, n: int, seed: int) -> Observed:
    """Errors (n,) of radii between 4 and 100 m that follow a model exactly."""
    rng = np.random.default_rng(seed)
    radius_m = np.round(rng.uniform(4.0, 100.0, n), 2)
    sigma = fit_errors.sigmas(model, radius_m, 0.95)
    sigma *= np.where(rng.random(n) < model.tail_weight, tails(model)[1], 1.0)
    return Observed(*(sigma * rng.standard_normal((2, n))), radius_m, np.full(n, "gps"), np.full(n, "one"))


@pytest.fixture(scope="module")
def town() -> Observed:
    return dwells.simulated([407], wearers=14, days=2)


# --- the fit


@pytest.mark.parametrize("model", [ErrorModel(1.1, 0.06, 3.5, 0.0), ErrorModel(0.8, 0.2, 6.0, 0.0, pivot_m=10.0)])
def test_the_fit_finds_known_parameters(model: ErrorModel) -> None:
    known = drawn(model, 60_000, 1)
    z = known.distance_m / fit_errors.widths(known.radius_m, 0.95, model.pivot_m)
    core, weight, tail = fit_errors.fit(z, np.ones(len(z)))
    assert core == pytest.approx(model.core_scale, rel=0.02)
    assert weight == pytest.approx(model.tail_weight, abs=0.01)
    assert tail == pytest.approx(model.tail_scale, rel=0.05)


def test_a_fit_is_a_maximum_of_the_censored_likelihood() -> None:
    """The oracle is scipy's exponential: no step away from the fit is more likely."""
    rng = np.random.default_rng(2)
    z = np.where(rng.random(4000) < 0.15, 5.0, 1.2) * rng.rayleigh(1.0, 4000)
    weight = rng.uniform(0.5, 1.5, 4000)
    cut = np.quantile(z, fit_errors.CENSORED) ** 2 / 2

    def likelihood(core: float, share: float, tail: float) -> float:
        u = z * z / 2
        parts = [(1 - share, core**2), (share, tail**2)]
        density = sum(w * stats.expon.pdf(u, scale=s) for w, s in parts)
        beyond = sum(w * stats.expon.sf(cut, scale=s) for w, s in parts)
        return float((weight * np.log(np.where(u > cut, beyond, density))).sum())

    found = fit_errors.fit(z, weight)
    best = likelihood(*found)
    for k in range(3):
        for step in (0.99, 1.01):
            assert likelihood(*(value * (step if k == j else 1.0) for j, value in enumerate(found))) < best


def test_one_wild_fix_does_not_move_the_fit_and_the_envelope_minds_many() -> None:
    rng = np.random.default_rng(3)
    z = np.where(rng.random(20_000) < 0.1, 3.0, 1.0) * rng.rayleigh(1.0, 20_000)
    wild = np.where(np.arange(20_000) < 5, 1e5, z)
    calm, moved = (fit_errors.fit(values, np.ones(20_000)) for values in (z, wild))
    assert moved == pytest.approx(calm, rel=0.01)
    z[:200] = 40.0
    model = ErrorModel(*fit_errors.fit(z, np.ones(20_000)))
    wide = fit_errors.with_envelope(model, z, np.ones(20_000))
    assert fit_errors.outside(wide._replace(tail_scale=wide.far_scale), 39.9) >= 0.005
    assert exclusion_sigmas(wide) * wide.core_scale > 40.0 > exclusion_sigmas(model) * model.core_scale


def test_groups_weigh_the_same_however_many_fixes_they_have() -> None:
    weight = fit_errors.equal_weights(np.array(["a"] * 10 + ["b"] * 2))
    assert weight[:10].sum() == pytest.approx(weight[10:].sum())
    assert weight.mean() == pytest.approx(1.0)


def test_wilson_is_that_of_scipy() -> None:
    interval = stats.binomtest(7, 1438).proportion_ci(method="wilson")
    assert fit_errors.wilson(7, 1438) == pytest.approx((7 / 1438, interval.low, interval.high), rel=1e-4)


def test_the_benchmark_derives_the_engines_own_sigmas_and_exclusion_radii(town: Observed) -> None:
    some = town.take(np.arange(0, len(town.radius_m), 997))
    law = reliability.engine_law(some, "tag", 0.95)
    for name in np.unique(some.source):
        model = DEVICE_MODELS["tag"].get(str(name), TAG_MODEL)
        of = some.source == name
        assert law.sigma_m[of].tolist() == fit_errors.sigmas(model, some.radius_m[of], 0.95).tolist()
        assert law.tails[law.row[of]].tolist() == [list(tails(model))] * int(of.sum())


def test_the_exclusion_radius_holds_the_simulated_truth(town: Observed) -> None:
    of = town.take(town.source == "gps")
    n_beyond = int((of.distance_m > fit_errors.excluded_m(TAG_MODEL, of.radius_m, 0.95)).sum())
    assert fit_errors.wilson(n_beyond, len(of.radius_m))[0] <= 0.0015


# --- the reliability


def test_p_inside_is_as_often_true_as_it_says(town: Observed) -> None:
    """The bound is the issue's; the plain normal and the hard answer are worse on the same pairs."""
    overall = reliability.report("simulated", town, "tag", 0.95, 2, 5)[0]
    ours, plain, hard = overall.error
    assert overall.n_fixes >= 10_000
    assert ours <= 0.02
    assert ours < plain < hard
    assert overall.brier[0] < min(overall.brier[1:])
    said = [said for said, _ in overall.bins]
    assert said == sorted(said)


def test_a_wrong_model_is_found_out() -> None:
    """Errors that are twice what is said of them: the calibration error is large, so a small one means something."""
    honest = drawn(TAG_MODEL, 8000, 6)
    doubled = honest._replace(east_m=2 * honest.east_m, north_m=2 * honest.north_m)
    right, wrong = (reliability.report("", each, "tag", 0.95, 4, 7)[0].error[0] for each in (honest, doubled))
    assert right < 0.015
    assert wrong > 0.05


def test_fixes_about_the_zone_or_truths_about_the_zone_are_the_same_question() -> None:
    """The truth uniform over a window far wider than any error gives the frequencies that the fix in a small window gives."""
    n, half, rng = 400_000, 60.0, np.random.default_rng(8)
    east, north = 12.0 * np.where(rng.random(n) < 0.1, 4.0, 1.0) * rng.standard_normal((2, n))
    x, y = rng.uniform(-400.0, 400.0, (2, n))  # the true places
    near = (np.abs(x + east) < 110.0) & (np.abs(y + north) < 110.0)
    ring = (np.abs(x + east) > half - 10.0) & near
    by_truth = ((np.abs(x) < half) & (np.abs(y) < half))[ring]
    u, v = rng.uniform(-110.0, 110.0, (2, n))  # the fixes
    ring = np.abs(u) > half - 10.0
    by_fix = ((np.abs(u - east) < half) & (np.abs(v - north) < half))[ring]
    error = np.sqrt(0.25 / len(by_truth) + 0.25 / len(by_fix))
    assert by_truth.mean() == pytest.approx(by_fix.mean(), abs=4 * error)


def test_the_calibration_error_of_a_known_case() -> None:
    said = np.repeat([0.2, 0.8], 500)
    truth = np.concatenate([np.arange(500) % 5 == 0, np.arange(500) % 2 == 0])
    assert reliability.calibration_error(said, truth) == pytest.approx(0.15)


def test_the_zones_are_what_their_names_say() -> None:
    areas = {name: shape.area for name, shape in reliability.zones() if not isinstance(shape, float)}
    assert areas["square 100 m"] == pytest.approx(100.0**2)
    assert areas["corridor 30 x 500 m"] == pytest.approx(15_000.0)
    assert areas["ring 120 m"] == pytest.approx(240.0**2 - 140.0**2)
    assert all(shapely.is_valid(shape) for _, shape in reliability.zones() if not isinstance(shape, float))


# --- the truth of stays


def test_the_centre_withstands_a_fifth_of_wild_positions() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.normal(0.0, 10.0, (2, 200))
    x[:40] += 900.0
    assert np.hypot(*dwells.centre(x, y, np.ones(200))) < 6.0


def test_absent_data_are_told_apart_from_empty_ones(tmp_path: Path) -> None:
    assert dwells.phones(tmp_path / "none") is None
    assert dwells.receivers(tmp_path / "none") is None


def test_the_truth_of_a_stay_does_not_lean_on_the_hour_it_judges(tmp_path: Path) -> None:
    """Six hours about one place, the third hour 300 m off: its errors are 300 m, those of the others stay small."""
    rng = np.random.default_rng(10)
    lines = ["user,ts,lat,lon,accuracy_m,altitude_m"]
    for k in range(360):
        north = rng.normal(0.0, 8.0) + (300.0 if k // 60 == 2 else 0.0)
        lat, lon = -23.5 + north / 110_764.0, -46.6 + rng.normal(0.0, 8.0) / 102_100.0
        lines.append(f"a,{3600 * 400_000 + 60 * k},{lat:.7f},{lon:.7f},10.0,700.0")
    (tmp_path / "fixes.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "places.csv").write_text(f"user,enter_ts,exit_ts\na,{3600 * 400_000 - 600},{3600 * 400_006 + 600}\n")
    (tmp_path / "motion_activity.csv.gz").write_bytes(gzip.compress(b"user,ts,type,confidence\nb,1,3,100\n"))
    stay = dwells.phones(tmp_path)
    assert stay is not None
    assert len(stay.radius_m) == 360
    assert np.median(stay.distance_m[120:180]) == pytest.approx(300.0, abs=8.0)
    assert np.quantile(np.delete(stay.distance_m, np.s_[120:180]), 0.95) < 30.0
    assert set(stay.source) == {"gps"}
