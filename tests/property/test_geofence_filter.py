"""The forward filter against plain Python without any shortcut: no box test for far fixes, no skipping of sure ones.

Masses come from the kernels, which have their own oracles; everything that happens over time is written out here.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import flags
from engine.error_model import PHONE_MODEL, TAILS, number_of
from engine.errors import InputError
from engine.fixes import Fixes
from engine.kernels import metres_per_e7
from engine.trail import CHECKPOINT_EVERY, Trail, arrange
from geofence.check import FilterSettings
from geofence.episodes import OPEN_US, episodes, probabilities, without_strongest
from geofence.evidence import LEAST_EVIDENCE, evidence_of
from geofence.filter import COARSE_M, IN, MOST_LOGIT, OUT, SINGLE, UNKNOWN, Columns
from geofence.masses import inside_mass, most_mass
from geofence.presence import presence
from geofence.watch import Slot, Watch
from geofence.zone import Circle, Place, Zone

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
T0_US = 1_772_000_000_000_000
SILENCE_US = 960_000_000
LON_E7 = -10_000_000


def logit(p: float) -> float:
    return math.log(p / (1.0 - p))


def plain_says(watch: Watch, place: int, x: int, y: int, sigma: float, model: int, kind: str = "inclusion") -> float:
    area, width = watch.places.size[place, :2]
    mass = inside_mass(x, y, sigma, *TAILS[model], place, watch.places)
    absent = min(100.0, 2 * math.pi * 250.0**2 / area) if kind != "exclusion" else 0.0
    return evidence_of(mass, most_mass(sigma, *TAILS[model], area, width), absent)


def plain_filter(watch: Watch, zone: Zone, place: int, trail: Trail) -> list[tuple[Any, ...]]:
    """Changes (state, at, began, after, posterior, prior) of one slot, from the docstrings and the semantics."""
    s = watch.settings
    base = s.base_exclusion if zone.kind == "exclusion" else s.base_stay
    value, state, sign, length, start = logit(base), UNKNOWN, 0, 0, -1
    prior, last, last_in, last_out, said = value, -1, -1, -1, 0.0
    changes: list[tuple[Any, ...]] = []

    def change(new: int, at: int, began: int, after: int) -> None:
        changes.append((new, at, began, after, 1.0 / (1.0 + math.exp(-value)), prior))

    models = trail.column("model").tolist()
    times, bits, sigmas = (trail.column(name).tolist() for name in ("time_us", "flags", "sigma_m"))
    xs, ys, silence = (trail.column(name).tolist() for name in ("lon_e7", "lat_e7", "silence_us"))
    for k, time_us in enumerate(times):
        if bits[k] & flags.WEIGHTLESS:
            continue
        says = plain_says(watch, place, xs[k], ys[k], sigmas[k], models[k], zone.kind)
        if abs(says) < LEAST_EVIDENCE:
            continue
        dt_s = (time_us - times[last]) * 1e-6 if last >= 0 else 0.0
        if last >= 0 and time_us - times[last] > silence[last]:
            if zone.kind == "exclusion" and length == 1 and sign > 0 and said >= logit(s.raise_at) and state != IN:
                change(SINGLE, last, start, last_out)
            elif state != UNKNOWN:
                change(UNKNOWN, last, last, -1)
            value, state, sign, length = logit(base), UNKNOWN, 0, 0
        elif last >= 0:
            p = 1.0 / (1.0 + math.exp(-value))
            value = logit(base + (p - base) * math.exp(-dt_s / s.relax_s))
        if (says > 0) == (sign > 0) and sign != 0:
            length += 1
            weight = -math.expm1(-dt_s / (s.correlation_s * max(1.0, sigmas[k] / COARSE_M)))
        else:
            sign, length, start, prior, weight, said = (1 if says > 0 else -1), 1, k, value, 1.0, 0.0
        # what is not news counts as far as it is clearer than the clearest of the run
        gain = weight * says + (1.0 - weight) * sign * max(0.0, abs(says) - said)
        value = min(MOST_LOGIT, max(-MOST_LOGIT, value + gain))
        last, said = k, max(said, abs(says))
        if sign > 0:
            last_in = k
            if length >= 2 and value >= logit(s.raise_at) and state != IN:
                state = IN
                change(IN, k, start, last_out)
        else:
            last_out = k
            if length >= 2 and value <= logit(s.clear_at) and state != OUT:
                state = OUT
                change(OUT, k, start, last_in)
    return changes


def trail_of(rng: np.random.Generator, lat_e7: int, n: int, model: str, reach_m: float) -> Trail:
    """A random walk in and out of the scene's middle: gaps, coarse and wide fixes, wild ones, several at one instant."""
    seconds = np.cumsum(rng.choice([0, 0.25, 1, 5, 60, 300, 950, 3600], n, p=[0.04, 0.04, 0.1, 0.2, 0.5, 0.08, 0.02, 0.02]))
    level = np.repeat(rng.choice([0.0, 0.8, 1.0, 1.2, 4.0, 20.0], n // 4 + 1), 4)[:n] * reach_m
    angle = np.cumsum(rng.normal(0, 0.3, n))
    accuracy = rng.choice([0.0, 8.0, 30.0, 200.0, 4000.0], n, p=[0.05, 0.6, 0.2, 0.1, 0.05])
    error = rng.normal(0, 1, (2, n)) * accuracy / 2
    ky, kx = metres_per_e7(float(lat_e7))
    lat = np.clip(lat_e7 + (level * np.cos(angle) + error[0]) / ky, -899_999_999, 899_999_999)
    lon = np.clip(LON_E7 + (level * np.sin(angle) + error[1]) / kx, -1_799_999_999, 1_799_999_999)
    time_us = T0_US + (seconds * 1_000_000).astype(np.int64)
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=time_us, lat_e7=np.round(lat), lon_e7=np.round(lon),
        accuracy_cm=np.round(accuracy * 100), source=np.ones(n),
    )  # fmt: skip
    rows, _, _ = arrange(
        fixes, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, SILENCE_US), np.full(n, number_of(model), np.uint8)
    )
    trail = Trail("w")
    trail.merge(rows)
    flagged = trail.column("flags")
    flagged[rng.random(len(trail)) < 0.05] |= flags.IMPLAUSIBLE
    return trail


def place_of(name: str, lat_e7: int) -> tuple[Place, float]:
    """A place about the scene's middle, and its size [m]."""
    ky, kx = metres_per_e7(float(lat_e7))
    if name == "disc":
        return Circle(lat_e7, LON_E7, 150.0), 150.0
    if name == "wide disc":
        return Circle(lat_e7, LON_E7, 5000.0), 5000.0
    half_e, half_n = (400.0, 10.0) if name == "corridor" else (300.0, 300.0)
    ring = [(-half_e, -half_n), (half_e, -half_n), (half_e, half_n), (-half_e, half_n)]
    shell = [((LON_E7 + e / kx) / 1e7, (lat_e7 + n / ky) / 1e7) for e, n in ring]
    hole = [((LON_E7 + e / 3 / kx) / 1e7, (lat_e7 + n / 3 / ky) / 1e7) for e, n in ring]
    return (shapely.Polygon(shell, [hole]) if name == "ring" else shapely.Polygon(shell)), half_e


def watched(zone: Zone, trail: Trail, setting: FilterSettings) -> tuple[Watch, Slot | None]:
    watch = Watch([zone], [], setting)
    watch.feed([trail], [0])
    return watch, next(iter(watch.slots("w")), None)


def assert_same(changes: np.ndarray, expected: list[tuple[Any, ...]]) -> None:
    assert [tuple(c)[1:5] for c in changes.tolist()] == [c[:4] for c in expected]
    ours = [tuple(c)[5:] for c in changes.tolist()]
    assert np.allclose(np.array(ours).reshape(-1, 2), np.array([c[4:] for c in expected]).reshape(-1, 2), rtol=0, atol=1e-9)


KINDS = st.sampled_from(["exclusion", "inclusion"])
NAMES = st.sampled_from(["disc", "wide disc", "corridor", "square", "ring"])


@settings(max_examples=120)
@given(
    st.integers(0, 2**32), st.integers(1, 150), NAMES, KINDS, st.sampled_from([0.0, 53.0, -35.0, 78.0, 84.0]), st.booleans()
)
def test_the_filter_equals_plain_python(seed: int, n: int, name: str, kind: str, lat_deg: float, phone: bool) -> None:
    rng, model = np.random.default_rng(seed), "phone" if phone else "tag"
    lat_e7 = round(lat_deg * 1e7)
    place, size_m = place_of(name, lat_e7)
    zone = Zone("z", "z", kind, ("*",), place, "")
    trail = trail_of(rng, lat_e7, n, model, size_m)
    watch, slot = watched(zone, trail, FilterSettings())
    expected = plain_filter(watch, zone, 0, trail)
    if slot is None:  # an exclusion zone that no fix came near gets no slot: nothing but `out` may have come of it
        assert kind == "exclusion"
        assert not {c[0] for c in expected} & {IN, SINGLE}
    else:
        assert_same(slot.changes, expected)


def test_long_trails_with_checkpoints_equal_plain_python() -> None:
    """Several thousand fixes, more than one piece of the filter's work, mostly far away: the skipping counts here."""
    rng = np.random.default_rng(3)
    place, size_m = place_of("disc", 530_000_000)
    for kind in ("exclusion", "inclusion"):
        zone = Zone("z", "z", kind, ("*",), place, "")
        trail = trail_of(rng, 530_000_000, 5000, "tag", size_m)
        watch, slot = watched(zone, trail, FilterSettings())
        assert slot is not None
        expected = plain_filter(watch, zone, 0, trail)
        assert len(expected) > 100
        assert_same(slot.changes, expected)


@pytest.mark.parametrize("base", [0.02, 0.1, 0.5, 0.8])
def test_a_far_fix_on_a_sure_out_ends_at_the_bound_whatever_the_wait(base: float) -> None:
    """Why the filter may skip it: without the shortcut the log odds come back to -MOST_LOGIT from every wait of a second
    or more, here to the default silence. Holds for base rates to 0.8 with the default time constants."""
    setting = FilterSettings()
    for dt_s in [1.0, 1.5, *np.geomspace(2, 960, 200)]:
        p = 1.0 / (1.0 + math.exp(MOST_LOGIT))
        relaxed = logit(base + (p - base) * math.exp(-dt_s / setting.relax_s))
        said = evidence_of(0.0, 1.0)
        assert relaxed + -math.expm1(-dt_s / setting.correlation_s) * said <= -MOST_LOGIT


@pytest.mark.parametrize("lat_deg", [0.0, 60.0, 80.0])
@pytest.mark.parametrize("east", [0.1, 0.3, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("area_m2", [1e4, 1e7])
def test_far_is_far_along_the_parallel_too(lat_deg: float, east: float, area_m2: float) -> None:
    """Degrees of longitude shrink towards the poles: a fix east of a zone must not count as farther than it is."""
    lat_e7, sigma = round(lat_deg * 1e7), 100.0
    ky, kx = metres_per_e7(float(lat_e7))
    half = math.sqrt(area_m2) / 2
    ring = [(-half, -half), (half, -half), (half, half), (-half, half)]
    place = shapely.Polygon([((LON_E7 + e / kx) / 1e7, (lat_e7 + n / ky) / 1e7) for e, n in ring])
    away_m = half + east * 4.5 * sigma * PHONE_MODEL.tail_scale
    fixes = Fixes.of(
        ("tag",), device=[0, 0], time_us=[T0_US, T0_US + 60_000_000], lat_e7=[lat_e7] * 2,
        lon_e7=[round(LON_E7 + away_m / kx)] * 2, accuracy_cm=[round(sigma * 2.4477 * 100)] * 2, source=[1, 1],
    )  # fmt: skip
    rows, _, _ = arrange(
        fixes, np.zeros(2, np.int32), np.full(2, 0.95), np.full(2, SILENCE_US), np.full(2, number_of("phone"), np.uint8)
    )
    trail = Trail("w")
    trail.merge(rows)
    zone = Zone("z", "z", "inclusion", ("*",), place, "")
    watch, slot = watched(zone, trail, FilterSettings())
    assert slot is not None
    assert_same(slot.changes, plain_filter(watch, zone, 0, trail))
    state = watch.state(slot)
    said = state["run_sign"] * state["evidence"]
    x, y, sigma_m, model = (trail.column(name)[0].item() for name in ("lon_e7", "lat_e7", "sigma_m", "model"))
    assert said == pytest.approx(plain_says(watch, 0, x, y, sigma_m, model), abs=2e-3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (FilterSettings(raise_at=0.985), "raise_at is 0.985: expected over 0.5 and at most 0.9802"),
        (FilterSettings(raise_at=0.4), "raise_at is 0.4"),
        (FilterSettings(raise_at=math.nan), "raise_at is nan"),
        (FilterSettings(clear_at=0.01), "clear_at is 0.01: expected at least 0.0198 and under 0.5"),
        (FilterSettings(clear_at=0.6), "clear_at is 0.6"),
    ],
)
def test_thresholds_that_no_posterior_reaches_are_refused(setting: FilterSettings, message: str) -> None:
    """With one of these nothing would ever be raised, or cleared, and nobody would know."""
    with pytest.raises(InputError, match=message):
        Watch([], [], setting)
    assert Watch([], [], FilterSettings(raise_at=0.97, clear_at=0.03))


# --- late fixes


@settings(max_examples=40)
@given(st.integers(0, 2**32), KINDS, st.sampled_from([600, 1100]))
def test_late_fixes_leave_the_same_changes_and_states(seed: int, kind: str, n: int) -> None:
    """Any order of arrival across the checkpoints: changes, states and what is kept to rewind to are the same."""
    rng = np.random.default_rng(seed)
    place, size_m = place_of("disc", 530_000_000)
    zone = Zone("z", "z", kind, ("*",), place, "")
    source = trail_of(rng, 530_000_000, n, "tag", size_m).fixes(("tag",))
    n = len(source)
    late = np.zeros(n, np.bool_)
    for _ in range(3):  # blocks that come late, some of them about a checkpoint
        start = int(rng.choice([rng.integers(0, n), CHECKPOINT_EVERY - rng.integers(0, 12)]))
        late[start : start + int(rng.integers(1, 25))] = True
    batches = [np.flatnonzero(~late), *np.array_split(rng.permutation(np.flatnonzero(late)), 4)]
    watch, trail = Watch([zone], []), Trail("w")
    for batch in [b for b in batches if len(b)]:
        k = len(batch)
        rows, _, _ = arrange(source.take(batch), np.zeros(k, np.int32), np.full(k, 0.95), np.full(k, SILENCE_US))
        first, _ = trail.merge(rows)
        watch.feed([trail], [first])
    whole_watch, whole = watched(zone, trail, FilterSettings())
    slot = next(iter(watch.slots("w")), None)
    if whole is None or slot is None:
        assert whole is slot is None
        return
    assert (
        slot.changes[list(slot.changes.dtype.names[1:])].tolist()
        == whole.changes[list(whole.changes.dtype.names[1:])].tolist()
    )
    assert watch.state(slot).tolist() == whole_watch.state(whole).tolist()
    assert [k.tolist() for k in slot.kept] == [k.tolist() for k in whole.kept]
    assert_same(slot.changes, plain_filter(watch, zone, 0, trail))


@pytest.mark.parametrize("n", [CHECKPOINT_EVERY - 1, CHECKPOINT_EVERY, CHECKPOINT_EVERY + 1, 2 * CHECKPOINT_EVERY])
def test_a_late_upload_fills_a_silence_that_began_at_a_checkpoint(n: int) -> None:
    """The change to unknown is dated before the checkpoint but was written after it: it must go when the gap is filled."""
    zone = Zone("z", "z", "exclusion", ("*",), Circle(530_000_000, LON_E7, 150.0), "")
    minutes = [*range(n), *range(n + 100, n + 105), *range(n, n + 100, 5)]
    watch, trail = Watch([zone], []), Trail("w")
    for piece in (slice(0, n), slice(n, n + 5), slice(n + 5, None)):
        some = np.array(minutes[piece])
        k = len(some)
        fixes = Fixes.of(
            ("tag",), device=np.zeros(k), time_us=T0_US + some * 60_000_000, lat_e7=np.full(k, 530_000_000),
            lon_e7=np.full(k, LON_E7), accuracy_cm=np.full(k, 800), source=np.ones(k),
        )  # fmt: skip
        rows, _, _ = arrange(fixes, np.zeros(k, np.int32), np.full(k, 0.95), np.full(k, SILENCE_US))
        first, _ = trail.merge(rows)
        watch.feed([trail], [first])
        states = next(iter(watch.slots("w"))).changes["state"].tolist()
        assert states == ([IN, UNKNOWN, IN] if piece.start == n else [IN])


# --- episodes and what is told of them


@settings(max_examples=60)
@given(st.integers(0, 2**32), KINDS)
def test_episodes_cut_time_into_states_without_gaps(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    place, size_m = place_of("disc", 530_000_000)
    zone = Zone("z", "z", kind, ("*",), place, "")
    trail = trail_of(rng, 530_000_000, 100, "tag", size_m)
    watch, slot = watched(zone, trail, FilterSettings())
    if slot is None:
        return
    newest = int(trail.column("time_us")[-1])
    for as_of_us in (newest, newest + 2 * SILENCE_US):
        found = episodes(slot, trail, watch, as_of_us)
        assert found[0].start_us == trail.column("time_us")[0]
        assert found[-1].end_us == OPEN_US
        for one, two in itertools.pairwise(found):
            assert one.start_us < one.end_us == two.start_us
        for episode in found:
            if episode.state in (IN, OUT):
                assert episode.start_us == trail.column("time_us")[episode.began_row]
                assert episode.posterior >= 0.95 - 1e-12
                assert episode.decided_row > episode.began_row > episode.after_row
                assert 0.0 <= (without_strongest(slot, trail, watch, episode) or 0.0) <= 1.0
    assert found[-1].state in (UNKNOWN, SINGLE)


@pytest.mark.parametrize(("accuracy_m", "raise_at"), [(40.0, 0.95), (60.0, 0.84)])
def test_the_posterior_without_the_strongest_fix_is_the_run_without_it(accuracy_m: float, raise_at: float) -> None:
    """The others of the deciding run, from the same prior and with their own distances in time; fine and coarse fixes."""
    zone = Zone("z", "z", "exclusion", ("*",), Circle(530_000_000, LON_E7, 100.0), "")
    ky, _ = metres_per_e7(530_000_000.0)
    n = 12
    fixes = Fixes.of(
        ("tag",), device=[0] * n, time_us=[T0_US + k * 60_000_000 for k in range(n)],
        lat_e7=[530_000_000 + round((65 - 9 * (k == 1)) / ky) for k in range(n)], lon_e7=[LON_E7] * n,
        accuracy_cm=[accuracy_m * 100] * n,
    )  # fmt: skip
    rows, _, _ = arrange(fixes, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, SILENCE_US))
    trail = Trail("w")
    trail.merge(rows)
    watch, slot = watched(zone, trail, FilterSettings(raise_at=raise_at))
    assert slot is not None
    episode = next(e for e in episodes(slot, trail, watch, int(trail.column("time_us")[-1])) if e.state == IN)
    run = range(episode.began_row, episode.decided_row + 1)
    assert len(run) > 3
    columns = [trail.column(name).tolist() for name in ("lon_e7", "lat_e7", "sigma_m", "model")]
    says = [plain_says(watch, 0, *row, "exclusion") for row in zip(*columns, strict=True)]
    strongest = max(run, key=lambda k: says[k])
    value, before, clearest = logit(0.1), None, 0.0
    for k in (k for k in run if k != strongest):
        weight = 1.0
        if before is not None:
            dt_s = 60.0 * (k - before)
            p = 1.0 / (1.0 + math.exp(-value))
            value = logit(0.1 + (p - 0.1) * math.exp(-dt_s / 2400))
            weight = -math.expm1(-dt_s / (300 * max(1.0, columns[2][k] / COARSE_M)))
        gain = weight * says[k] + (1 - weight) * max(0.0, says[k] - clearest)
        value, before, clearest = min(MOST_LOGIT, value + gain), k, max(clearest, says[k])
    assert without_strongest(slot, trail, watch, episode) == pytest.approx(1.0 / (1.0 + math.exp(-value)))


def test_probabilities_are_the_exact_masses() -> None:
    place, size_m = place_of("disc", 530_000_000)
    trail = trail_of(np.random.default_rng(4), 530_000_000, 20, "tag", size_m)
    watch, slot = watched(Zone("z", "z", "inclusion", ("*",), place, ""), trail, FilterSettings())
    assert slot is not None
    got = probabilities(slot, trail, watch, [3, 5])
    columns = [trail.column(name)[[3, 5]].tolist() for name in ("lon_e7", "lat_e7", "sigma_m")]
    assert got == [inside_mass(*row, *TAILS[0], 0, watch.places) for row in zip(*columns, strict=True)]


def test_presence_is_the_filter_fix_by_fix() -> None:
    """The posterior after each fix of a window equals that of the zone's own filter fed to just that fix."""
    circle = Circle(530_000_000, LON_E7, 150.0)
    zone = Zone("z", "z", "exclusion", ("w",), circle, "")  # named for the wearer: always has a slot
    trail = trail_of(np.random.default_rng(5), 530_000_000, 60, "tag", 150.0)
    got = presence({name: trail.column(name) for name in Columns._fields}, circle, 20, 60)
    everything = trail.fixes(("tag",))
    for k in range(20, len(trail)):
        part = Trail("w")
        rows, _, _ = arrange(everything.take(slice(0, k + 1)), *(np.zeros(k + 1, np.int32), np.full(k + 1, 0.95)),
                             np.full(k + 1, SILENCE_US))  # fmt: skip
        part.merge(rows)
        part.column("flags")[:] = trail.column("flags")[: k + 1]
        watch, slot = watched(zone, part, FilterSettings())
        assert slot is not None
        if trail.column("flags")[k] & flags.WEIGHTLESS:
            assert math.isnan(got[k - 20])
        else:
            assert got[k - 20] == pytest.approx(1.0 / (1.0 + math.exp(-float(watch.state(slot)["logit"]))), abs=1e-12)
