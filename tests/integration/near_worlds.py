"""Random worlds for "who was near": wearers whose tags send, fall silent, jump, lie and are swapped, and what is asked of them.

A world is plain data. Of a number it is always the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crime_match.question import Question
from engine.activations import FOREVER_US, Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import ABSENT, Fixes, concat
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US

START_US = 1_780_272_000_000_000
PLACES = ((51.5, -0.12), (51.5, -0.12), (52.9, 179.9), (-16.5, -179.95), (86.0, 40.0), (89.6, 10.0), (0.0, 0.0))
"""A city twice as often as the antimeridian, a pole and the equator."""
Rng = np.random.Generator


class World(NamedTuple):
    """What is stored before the summaries are made up to until_s, and what comes after; whose fixes are erased then, in which
    span [us], and whether the summaries are made once more; who wore what (none: a device is its wearer); questions."""

    fixes: Fixes
    late: Fixes
    until_s: int
    erased: tuple[tuple[str, int, int], ...]
    again: bool
    events: tuple[DeviceEvent, ...]
    worn: Activations
    questions: tuple[Question, ...]
    is_local: bool
    """Nobody is ever farther than 500 km from the place: all that is stored, and what is read, give the same answer."""


def world(seed: int) -> World:
    """The world of a number."""
    rng = np.random.default_rng(seed)
    place = PLACES[rng.integers(0, len(PLACES))]
    is_long, is_local = rng.random() < 0.15, rng.random() < 0.7
    days = 36 if is_long else int(rng.integers(1, 4))
    names = [f"T{k}" for k in range(int(rng.integers(3, 10)))]
    tidy = rng.random()  # so many of the tags have no faults of their own
    trails = [_trail(rng, name, place, days, is_long, is_local, rng.random() < tidy) for name in names]
    fixes = concat(trails)
    came = rng.random(len(fixes)) < rng.choice([1.0, 1.0, 1.0, 0.999])
    until_us = START_US + int(rng.choice([days * DAY_US + 2 * DAY_US, days * DAY_US * 2 // 3, 0], p=[0.8, 0.15, 0.05]))
    erased = tuple(
        (str(rng.choice(names)), at_us, at_us + int(rng.choice([MINUTE_US, 2 * HOUR_US, DAY_US])))
        for at_us in rng.integers(START_US, START_US + days * DAY_US, rng.choice([0, 0, 0, 1, 3])).tolist()
    )
    worn = _worn(rng, names, days) if rng.random() < 0.75 else ()
    questions = tuple(_question(rng, place, days, is_long) for _ in range(3))
    return World(
        fixes.take(came), fixes.take(~came), until_us // SECOND_US, erased, bool(rng.random() < 0.3),
        tuple(_events(rng, names, days)), Activations(worn), questions, is_local,
    )  # fmt: skip


def _trail(
    rng: Rng, name: str, place: tuple[float, float], days: int, is_long: bool, is_local: bool, is_tidy: bool
) -> Fixes:  # fmt: skip
    """The fixes of one tag: it stays, walks or drives about a home somewhere near or far, with the faults of its own."""
    step_s = float(rng.choice([600, 1200] if is_long else [60, 60, 60, 120, 300]))
    n = int(days * 86_400 / step_s)
    time_s = np.cumsum(np.full(n, step_s) + rng.choice([0.0, 0.25, 1.0], n))
    x_m, y_m = _way(rng, time_s) + rng.normal(0, rng.choice([3.0, 30.0]), (2, n))
    wild = rng.random(n) < (0.0 if is_tidy else rng.choice([0, 0.0005, 0.01]))
    x_m[wild] += rng.choice([600.0, 9_000.0, 90_000.0])
    if not is_local and rng.random() < 0.3:
        away = slice(*np.sort(rng.integers(0, n, 2)).tolist())
        x_m[away] += float(rng.choice([900e3, 2_000e3, 7_000e3]))
    mast = rng.random(n) < rng.choice([0.0, 0.02, 0.3])
    accuracy_cm = np.where(mast, 200_000, rng.choice([300, 1_000, 4_000, ABSENT], n, p=[0.4, 0.4, 0.15, 0.05]))
    lat, lon = _degrees(place, x_m, y_m)
    received_s = (START_US // SECOND_US + time_s).astype(np.int64) + rng.integers(0, 600, n)
    received_s -= np.where(rng.random(n) < (0 if is_tidy else rng.choice([0, 0.001])), 4_000, 0)
    fixes = Fixes.of(
        (name,), device=np.zeros(n), time_us=START_US + (time_s * 1e6).astype(np.int64), lat_e7=np.round(lat * 1e7),
        lon_e7=np.round(lon * 1e7), accuracy_cm=accuracy_cm, source=np.where(mast, 5, rng.choice([1, 1, 1, 6, 0], n)),
        received_s=received_s,
    )  # fmt: skip
    heard = fixes.take(_heard(rng, n))
    return heard if is_tidy else _with_twins(rng, heard)


def _way(rng: Rng, time_s: np.ndarray) -> np.ndarray:
    """Metres east and north (2, n): stays at a home and elsewhere, and ways between them that nobody hurries on."""
    home_m = rng.choice([0, 300, 1_700, 3_000, 12_000, 30_000, 80_000, 250_000]) * np.exp(2j * np.pi * rng.random())
    radius_m = rng.choice([50, 2_000, 10_000])
    at_s, knots_s, knots_m = time_s[0], [time_s[0]], [home_m]
    while at_s < time_s[-1]:
        goal_m = [home_m, home_m + radius_m * np.exp(2j * np.pi * rng.random()), 30 * np.exp(2j * np.pi * rng.random())]
        to_m = goal_m[rng.choice(3, p=[0.5, 0.35, 0.15])]
        for lasts_s, m in (
            (rng.exponential(6 * 3600), knots_m[-1]),
            (abs(to_m - knots_m[-1]) / rng.uniform(1, 25) + 1, to_m),
        ):
            at_s += lasts_s
            knots_s.append(at_s)
            knots_m.append(m)
    return np.array([np.interp(time_s, knots_s, np.real(knots_m)), np.interp(time_s, knots_s, np.imag(knots_m))])


def _degrees(place: tuple[float, float], x_m: np.ndarray, y_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres about a place as latitude and longitude, over the pole and across the antimeridian too."""
    lat = place[0] + y_m / 111_195
    over = lat > 90.0
    lat = np.where(over, 180.0 - lat, lat)
    aside = x_m / (111_195 * np.maximum(np.cos(np.radians(lat)), 0.004))
    lon = place[1] + aside + np.where(over, 180.0, 0.0)
    return np.clip(lat, -90, 90), (lon + 180.0) % 360.0 - 180.0


def _heard(rng: Rng, n: int) -> np.ndarray:
    """Which fixes are taken: with gaps, some of hours, and perhaps nothing before or after some time."""
    heard = rng.random(n) < rng.choice([1.0, 0.99, 0.8])
    for _ in range(rng.choice([0, 0, 1, 3, 6])):
        at = int(rng.integers(0, n))
        heard[at : at + int(rng.choice([5, 20, 90, 400]))] = False
    if rng.random() < 0.15:
        heard[int(rng.integers(0, n)) :] = False
    if rng.random() < 0.1:
        heard[: int(rng.integers(0, n))] = False
    return heard


def _with_twins(rng: Rng, fixes: Fixes) -> Fixes:
    """With a few more fixes of the same instants that say something else, or the same less accurately."""
    some = np.flatnonzero(rng.random(len(fixes)) < rng.choice([0, 0, 0, 0.001]))
    twins = fixes.take(some)
    twins.lat_e7[:] -= rng.choice([0, 0, 900, 90_000], len(some)).astype(np.int32)
    twins.accuracy_cm[:] = rng.choice([500, 20_000], len(some)).astype(np.int32)
    return concat([fixes, twins])


def _worn(rng: Rng, names: list[str], days: int) -> tuple[Activation, ...]:
    """Most tags on one wearer for ever; some swapped, ended, begun late, two on one wearer, or on nobody."""
    rows = []
    for k, name in enumerate(names):
        percentile = float(rng.choice([0.95, 0.95, 0.68]))
        cut_us = START_US + int(rng.integers(0, days * DAY_US))
        kind = rng.choice(
            ["plain", "swapped", "ended", "begun", "second", "stock", "old"], p=[0.6, *[0.08] * 4, 0.04, 0.04]
        )
        wearer = f"W{max(0, k - 1)}" if kind == "second" else f"W{k}"
        if kind in ("plain", "second"):
            rows.append(Activation(name, wearer, START_US - 90 * DAY_US, percentile=percentile))
        if kind in ("swapped", "ended"):
            rows.append(Activation(name, wearer, START_US - 90 * DAY_US, cut_us, percentile))
        if kind in ("swapped", "begun"):
            rows.append(Activation(name, f"W{k + 20}", cut_us, FOREVER_US, percentile))
        if kind == "old":
            rows.append(Activation(name, wearer, START_US - 90 * DAY_US, START_US - 40 * DAY_US))
            rows.append(Activation(f"{name}b", f"W{k}", START_US - 30 * DAY_US))
    return tuple(rows)


def _events(rng: Rng, names: list[str], days: int) -> list[DeviceEvent]:
    kinds = ["battery", "heartbeat", "strap_tamper", "power_off", "power_on", "fault", "case_tamper"]
    return [
        DeviceEvent(str(rng.choice(names)), at_s * SECOND_US, str(rng.choice(kinds)), "", at_s + 60)
        for at_s in (START_US // SECOND_US + rng.integers(-9 * 86_400, days * 86_400, rng.choice([0, 3, 12]))).tolist()
    ]


def _question(rng: Rng, place: tuple[float, float], days: int, is_long: bool) -> Question:
    length_us = int(rng.choice([0, 10 * MINUTE_US, HOUR_US, 5 * HOUR_US, DAY_US, *[31 * DAY_US] * (3 * is_long)]))
    from_us = START_US + int(rng.integers(-HOUR_US, max(1, days * DAY_US - length_us)))
    if rng.random() < 0.3:
        from_us = from_us // HOUR_US * HOUR_US
    lat, lon = _degrees(place, *rng.normal(0, 500, (2, 1)))
    return Question(
        float(lat[0]), float(lon[0]), from_us, from_us + length_us, radius_m=float(rng.choice([50, 100, 100, 2_000])),
        uncertainty_m=float(rng.choice([0, 0, 300, 5_000])), pad_us=int(rng.choice([0, 10])) * MINUTE_US,
        max_speed_mps=float(rng.choice([55, 55, 55, 55, 30, 12, 3, 300])), min_fixes=int(rng.choice([1, 1, 3])),
    )  # fmt: skip
