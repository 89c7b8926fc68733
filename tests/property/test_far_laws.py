"""What the hourly summaries tell of a device is what all of its fixes tell: far is far, and what meets can have been there."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crime_match import far
from crime_match.passage import passage_of
from crime_match.pieces import UNTOLD, verdicts_of
from crime_match.question import Question
from crime_match.trails import WearerTrail
from crime_match.verdicts import VERDICTS, verdict_of
from engine.activations import Activation
from engine.error_model import errors
from engine.fixes import ABSENT, SOURCES, Fixes
from engine.store.hours import Hours
from engine.store.pieces import PieceRows
from engine.times import HOUR_US, SECOND_US
from tagwatch.matching import trails_of

HOUR_S = 3600
START_US = 1_780_272_000_000_000
WORN = Activation("T", "W", START_US - 10**12)


def summarised(fixes: Fixes) -> Hours:
    """The hours of one device, fix after fix."""
    rows: list[list[float]] = []
    hour = fixes.time_us // HOUR_US
    for h in np.unique(hour).tolist():
        k = np.flatnonzero(hour == h)
        lat, lon, at_us = (column[k].astype(np.int64) for column in (fixes.lat_e7, fixes.lon_e7, fixes.time_us))
        step_us, apart = np.diff(at_us), np.hypot(np.diff(lat), np.diff(lon))
        fast = [0.0 if d == 0 else np.inf if t == 0 else d / t * 1e6 for d, t in zip(apart, step_us, strict=True)]
        said = fixes.accuracy_cm[k]
        second_s = at_us // SECOND_US
        rows.append([
            h * HOUR_S, len(k), len(np.unique(second_s // 60)), second_s[0], second_s[-1], lat.min(), lon.min(), lat.max(),
            lon.max(), lat[0], lon[0], lat[-1], lon[-1], said.max(), (said == ABSENT).sum(),
            np.bitwise_or.reduce(1 << fixes.source[k]), -(-int(step_us.max(initial=0)) // SECOND_US), max(fast, default=0.0),
            (second_s - fixes.received_s[k]).max(),
        ])  # fmt: skip
    columns = [np.array(column, np.int64) for column in zip(*[[*row[:17], 0, row[18]] for row in rows], strict=True)]
    columns[17] = np.array([row[17] for row in rows])
    return Hours(("T",), np.zeros(len(rows), np.int64), *columns)


def cut(pieces: far.Pieces, fixes: Fixes) -> PieceRows:
    """The fixes of the pieces."""
    second_s = fixes.time_us // SECOND_US
    found = [np.flatnonzero((second_s >= a) & (second_s <= b)) for a, b in zip(pieces.from_s, pieces.to_s, strict=True)]
    k = np.concatenate([np.empty(0, np.int64), *found]).astype(np.int64)
    piece = np.repeat(np.arange(len(found)), [len(f) for f in found])
    return PieceRows(piece, fixes.time_us[k], fixes.lat_e7[k], fixes.lon_e7[k], fixes.accuracy_cm[k], fixes.source[k])


def walk(seed: int) -> tuple[Fixes, Question]:
    """A way over some hours about a place somewhere, with gaps, and a question about it."""
    rng = np.random.default_rng(seed)
    lat0, lon0 = [(51.5, -0.1), (0.0, 0.0), (-33.0, 179.999), (88.9, 10.0)][rng.integers(0, 4)]
    n = int(rng.integers(100, 700))
    step_s = (
        rng.choice([1.0, 20, 60, 60, 60, 300], n) if rng.random() < 0.2 else np.full(n, float(rng.choice([60, 61.5, 180])))
    )
    step_s = step_s + np.where(rng.random(n) < rng.choice([0.0, 0.01, 0.1]), rng.choice([300, 1_500, 5_000], n), 0.0)
    speed_mps = rng.choice([0.2, 3.0, 20.0, 50.0, 90.0], p=[0.3, 0.35, 0.3, 0.03, 0.02])
    angle = np.cumsum(rng.normal(0, 0.4, n))
    start_m = rng.choice([0.0, 150.0, 2_000.0, 9_000.0, 60_000.0]) * np.exp(2j * np.pi * rng.random())
    at_m = start_m + np.cumsum(np.exp(1j * angle) * step_s * speed_mps * rng.uniform(0, 0.9, n))
    lat = np.clip(lat0 + np.imag(at_m) / 111_195, -90, 90)
    lon = lon0 + np.real(at_m) / (111_195 * max(np.cos(np.radians(lat0)), 1e-3))
    fixes = Fixes.of(
        ("T",), device=np.zeros(n), time_us=START_US + (np.cumsum(step_s) * 1e6).astype(np.int64), lat_e7=np.round(lat * 1e7),
        lon_e7=np.round(((lon + 180) % 360 - 180) * 1e7), source=rng.choice([0, 1, SOURCES["lbs"]], n, p=[0.1, 0.85, 0.05]),
        accuracy_cm=rng.choice([0, 500, 3_000, 150_000, ABSENT], n, p=[0.05, 0.5, 0.38, 0.02, 0.05]),
    )  # fmt: skip
    part = rng.uniform(-0.05, 1.0) if rng.random() < 0.2 else rng.uniform(0.2, 0.7)
    from_us = int(fixes.time_us[0] + part * (fixes.time_us[-1] - fixes.time_us[0]))
    length_us = int(rng.choice([0, 60, 1_800, 7_200])) * SECOND_US
    speed = float(rng.choice([55, 55, 55, 55, 25, 4, 500]))
    return fixes, Question(
        lat0, lon0, from_us, from_us + length_us, float(rng.choice([20, 100, 3_000])), float(rng.choice([0, 0, 900])),
        int(rng.choice([0, 600])) * SECOND_US, speed, int(rng.choice([1, 1, 5])),
    )  # fmt: skip


@settings(max_examples=300)
@given(seed=st.integers(0, 2**40))
def test_what_the_hours_tell_is_what_the_fixes_tell(seed: int) -> None:
    fixes, question = walk(seed)
    hours = summarised(fixes)
    exclusion_m = far.exclusion_m(hours, np.full(len(hours), 0.95), np.zeros(len(hours), np.uint8))
    box = [(fixes.lat_e7.min(), fixes.lon_e7.min(), fixes.lat_e7.max(), fixes.lon_e7.max())]
    found = far.sifted(question, hours, exclusion_m, np.array(box, np.int64), np.ones(1, np.bool_))
    pieces = far.pieces_of(question, hours, found)
    told = int(verdicts_of(question, found, pieces, cut(pieces, fixes), np.full(1, 0.95), np.zeros(1, np.uint8))[0])
    if told != UNTOLD:
        assert VERDICTS[told] == of_all(question, fixes)
    if found.state[0] in {far.FAR, far.MEETS}:
        assert (of_all(question, fixes) == "excluded") == (found.state[0] == far.FAR)


def of_all(question: Question, fixes: Fixes) -> str:
    """The verdict of everything read."""
    trail: WearerTrail = trails_of(fixes, events=(), plan=None)[0]
    return verdict_of(question, trail, passage_of(question, trail), None).name


@given(
    accuracy_cm=st.lists(st.sampled_from([ABSENT, 0, 3, 721, 5_000, 200_000]), min_size=1, max_size=6),
    source=st.sampled_from(sorted(SOURCES.values())), percentile=st.sampled_from([0.5, 0.68, 0.95, 0.999]), model=st.integers(0, 1),
)  # fmt: skip
def test_no_exclusion_radius_of_an_hour_is_above_its_bound(
    accuracy_cm: list[int], source: int, percentile: float, model: int
) -> None:
    n = len(accuracy_cm)
    fixes = Fixes.of(
        ("T",), device=np.zeros(n), time_us=START_US + np.arange(n) * SECOND_US, lat_e7=np.zeros(n), lon_e7=np.zeros(n),
        source=np.full(n, source), accuracy_cm=accuracy_cm,
    )  # fmt: skip
    bound_m = far.exclusion_m(summarised(fixes), np.array([percentile]), np.array([model], np.uint8))
    each = errors(fixes.accuracy_cm, fixes.source, np.full(n, percentile), np.full(n, model, np.uint8))
    assert bound_m[0] >= each.exclusion_m.max()
