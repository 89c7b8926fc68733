"""A trail is the same whatever the order and the batches in which its fixes came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import error_model, flags
from engine.fixes import ABSENT, NAMES, SOURCES, Fixes, concat
from engine.trail import CHECKPOINT_EVERY, Trail, arrange

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
DERIVED = ("content", "silence_us", "radius_m", "sigma_m", "exclusion_m", "model", "flags")
DEVICES = ("tag-b", "tag-a")  # the names decide the order between devices, not their index
T0_US = 1_772_000_000_000_000


def fixes_of(rows: list[tuple[int, int, int, int, int]]) -> Fixes:
    """Rows of (device, second, metres north, accuracy cm, seconds until received)."""
    device, second, north, accuracy, delay = (np.array(c) for c in zip(*rows, strict=True))
    time_us = T0_US + second * 1_000_000
    return Fixes.of(
        DEVICES, device=device, time_us=time_us, lat_e7=530_000_000 + north * 90, lon_e7=np.full(len(rows), -1_000_000),
        accuracy_cm=accuracy, source=np.ones(len(rows)), received_s=time_us // 1_000_000 + delay,
    )  # fmt: skip


def merge(trail: Trail, fixes: Fixes) -> int:
    """Merge a batch as the monitor does; returns how many duplicates there were."""
    n = len(fixes)
    batch, _, n_again = arrange(fixes, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, 960_000_000))
    return n_again + trail.merge(batch)[1]


def columns(trail: Trail) -> dict[str, list]:
    return {name: trail.column(name).tolist() for name in (*NAMES, *DERIVED)}


ROW = st.tuples(
    st.integers(0, 1), st.integers(0, 40), st.sampled_from([0, 10, 200, 5000]), st.sampled_from([500, 2000, ABSENT]),
    st.integers(-400, 90),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(ROW, min_size=1, max_size=40), st.data())
def test_any_order_and_batching_gives_the_same_trail(rows: list, data: st.DataObject) -> None:
    whole = Trail("w")
    n_again = merge(whole, fixes_of(rows))
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    parts, n_parts_again = Trail("w"), 0
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        if start < stop:
            n_parts_again += merge(parts, fixes_of(shuffled[start:stop]))
    assert columns(parts) == columns(whole)
    assert n_parts_again == n_again
    expected: dict[tuple, int] = {}
    for device, second, north, accuracy, delay in rows:
        key = (second, DEVICES[device], north, accuracy)
        expected[key] = min(delay + second, expected.get(key, 10**9))
    assert len(whole) == len(expected) == len(rows) - n_again
    got = whole.fixes(DEVICES)
    for k in range(len(got)):
        second = int(got.time_us[k] - T0_US) // 1_000_000
        key = (second, DEVICES[got.device[k]], (int(got.lat_e7[k]) - 530_000_000) // 90, int(got.accuracy_cm[k]))
        assert got.received_s[k] - T0_US // 1_000_000 == expected[key]
        assert bool(whole.column("flags")[k] & flags.CLOCK_WRONG) == (second > expected[key] + 300)


def test_the_order_is_time_then_device_name_then_content() -> None:
    trail = Trail("w")
    merge(trail, fixes_of([(0, 5, 0, 500, 0), (1, 5, 0, 500, 0), (0, 5, 10, 500, 0), (0, 1, 0, 500, 0)]))
    got = trail.fixes(DEVICES)
    assert [DEVICES[d] for d in got.device] == ["tag-b", "tag-a", "tag-b", "tag-b"]
    assert np.all(np.diff(trail.column("content")[2:]) > 0)


def test_a_merge_says_where_it_changed_the_trail() -> None:
    trail = Trail("w")
    one = fixes_of([(0, k, k, 500, 0) for k in range(10)])
    n = len(one)
    batch, _, _ = arrange(one, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, 1))
    assert trail.merge(batch) == (0, 0)
    assert trail.merge(batch.take(slice(4, 7))) == (10, 3)  # nothing new: nothing changed
    assert trail.merge(batch.take(slice(0, 0))) == (10, 0)
    late = fixes_of([(0, 4, 99, 500, 0)])
    batch, _, _ = arrange(late, np.zeros(1, np.int32), np.full(1, 0.95), np.full(1, 1))
    assert trail.merge(batch) == (4, 0)
    assert len(trail) == 11


def test_a_duplicate_that_was_received_earlier_is_a_change_and_can_take_a_clock_flag() -> None:
    trail = Trail("w")
    merge(trail, fixes_of([(0, 400, 0, 500, 0)]))
    assert trail.column("flags").tolist() == [0]
    assert merge(trail, fixes_of([(0, 400, 0, 500, -301)])) == 1
    assert trail.column("flags").tolist() == [flags.CLOCK_WRONG]


@pytest.mark.parametrize("at", [0, 1, CHECKPOINT_EVERY - 1, CHECKPOINT_EVERY, CHECKPOINT_EVERY + 1, 1100])
def test_a_late_fix_flags_again_from_the_last_checkpoint(at: int) -> None:
    """A wild pair confirms itself only where no fix lies between: the late one takes the confirmation back."""
    rows = [(0, 60 * k, 40_000 * (k // 100 % 2), 500, 0) for k in range(1200)]
    whole, parts = Trail("w"), Trail("w")
    merge(whole, fixes_of(rows))
    merge(parts, fixes_of(rows[:at] + rows[at + 1 :]))
    merge(parts, fixes_of(rows[at : at + 1]))
    assert columns(parts) == columns(whole)
    assert (whole.column("flags") & flags.IMPLAUSIBLE).sum() == 11


def test_an_empty_trail_has_empty_columns() -> None:
    trail = Trail("w")
    assert len(trail) == 0
    assert all(len(trail.column(name)) == 0 for name in (*NAMES, *DERIVED))
    assert len(concat([Fixes.empty()])) == 0


def test_two_wearers_in_one_batch_keep_their_own_rows() -> None:
    both = fixes_of([(0, 5, 0, 500, 0), (1, 5, 0, 500, 0), (0, 5, 0, 500, 0), (1, 4, 0, 500, 0)])
    wearer = np.array([1, 0, 1, 0], np.int32)
    rows, wearers, n_again = arrange(both, wearer, np.full(4, 0.95), np.full(4, 1))
    assert wearers.tolist() == [0, 0, 1]
    assert rows.fixes.time_us.tolist() == [T0_US + 4_000_000, T0_US + 5_000_000, T0_US + 5_000_000]
    assert n_again == 1


# --- the error model


def errors_of(accuracy_cm: list[int], percentile: float, source: int = 1, model: str = "tag") -> error_model.Errors:
    n = len(accuracy_cm)
    device = np.full(n, error_model.number_of(model), np.uint8)
    return error_model.errors(np.array(accuracy_cm, np.int32), np.full(n, source, np.int32), np.full(n, percentile), device)


def test_sigma_is_the_rayleigh_scale_of_the_percentile() -> None:
    assert errors_of([10_000], 0.95).sigma_m[0] == pytest.approx(100 / 2.4477 * error_model.TAG_MODEL.core_scale, rel=1e-4)
    assert errors_of([10_000], 0.68).sigma_m[0] == pytest.approx(100 / 1.5096 * error_model.TAG_MODEL.core_scale, rel=1e-4)
    assert errors_of([0], 0.95).sigma_m[0] == error_model.TAG_MODEL.floor_m


@pytest.mark.parametrize("name", sorted(error_model.DEVICE_MODELS))
def test_the_exclusion_radius_leaves_out_one_in_a_thousand(name: str) -> None:
    model = error_model.DEVICE_MODELS[name][""]
    rng = np.random.default_rng(5)
    n = 400_000
    scale = np.where(rng.random(n) < model.tail_weight, max(model.tail_scale, model.far_scale) / model.core_scale, 1.0)
    distance = scale * rng.rayleigh(1.0, n)
    assert (distance > error_model.exclusion_sigmas(model)).mean() == pytest.approx(0.001, abs=0.0002)
    assert errors_of([10_000_000], 0.99999, model=name).exclusion_m[0] >= 1e5


def test_a_missing_accuracy_takes_the_default_of_its_source() -> None:
    assert errors_of([ABSENT, 1234, 0], 0.95, source=1).radius_m.tolist() == [15.0, 12.34, 0.0]
    assert errors_of([ABSENT], 0.95, source=5).radius_m.tolist() == [1000.0]


def test_every_device_model_and_source_has_its_row() -> None:
    for name, by_source in error_model.DEVICE_MODELS.items():
        for source, code in SOURCES.items():
            found, model = errors_of([10_000], 0.95, code, name), by_source.get(source, by_source[""])
            assert error_model.TAILS[found.model[0]].tolist() == list(error_model.tails(model))
            width = (100 / 2.4477 * model.pivot_m) ** 0.5 if model.pivot_m else 100 / 2.4477
            assert found.sigma_m[0] == pytest.approx(max(width * model.core_scale, model.floor_m), rel=1e-4)
            assert found.exclusion_m[0] >= 100 * model.least_radii


@pytest.mark.parametrize(("source", "own"), [("gps", True), ("unknown", True), ("wifi", False), ("lbs", False)])
def test_a_satellite_fix_without_a_radius_has_a_model_of_its_own(source: str, own: bool) -> None:
    by_source, code = error_model.DEVICE_MODELS["tag"], SOURCES[source]
    silent, said = errors_of([ABSENT], 0.95, code), errors_of([1500], 0.95, code)
    model = by_source[error_model.NO_RADIUS] if own else by_source.get(source, by_source[""])
    assert error_model.TAILS[silent.model[0]].tolist() == list(error_model.tails(model))
    assert (silent.model[0] == said.model[0]) == (not own)
    assert silent.sigma_m[0] == pytest.approx(error_model.DEFAULT_ACCURACY_M[source] / 2.4477 * model.core_scale, rel=1e-4)


def test_the_root_law_meets_the_linear_one_at_its_pivot() -> None:
    at_pivot = 10.0 * (-2 * np.log(0.32)) ** 0.5
    assert error_model.width_m(at_pivot, 0.68, 10.0) == pytest.approx(error_model.width_m(at_pivot, 0.68, 0.0))
    assert error_model.width_m(4 * at_pivot, 0.68, 10.0) == pytest.approx(2 * error_model.width_m(at_pivot, 0.68, 10.0))


def test_no_model_excludes_closer_than_the_first_ones_did() -> None:
    """The phones' 99.9 % radius was 13.6 radii, the tags' 4.34: no fit to few data makes them smaller."""
    for source in ("unknown", "gps", "wifi", "lbs"):
        for metres in (1, 3, 10, 50, 400, 20_000):
            assert errors_of([metres * 100], 0.95, SOURCES[source]).exclusion_m[0] >= 4.34 * metres
            assert errors_of([metres * 100], 0.68, SOURCES[source], "phone").exclusion_m[0] >= 13.6 * metres - 1e-6
