"""Shuffled crimes: does chance place as many wearers as we say, and are the p-values of a series what they claim to be?

`python -m benchmarks.calibration.chance` prints the tables and writes benchmarks/results/chance.json. Crimes lie within 60 m
of where wearers stayed, at times drawn evenly over the period, their windows as long as those of real burglaries where such
data are present. As nothing ties a time to a wearer, whoever is placed is placed by chance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.calibration.dwells import DATA
from benchmarks.calibration.one_town import Town, real_town, simulated_town, zone_of
from benchmarks.rounds import machine
from crime_match.question import Question
from crime_match.strength.series import series
from crime_match.strength.shifts import Calendar, is_weekend
from crime_match.strength.survey import Survey, survey
from engine.times import DAY_US, HOUR_US, MINUTE_US, to_datetime

ROOT = Path(__file__).resolve().parents[2]
N_CRIMES, N_BATCHES, N_IN_BATCH, N_PLANTED = 4000, 300, 10, 3
NEAR_M = 60.0
_LENGTHS_MIN = (0, 5, 20, 60, 180, 480)
_BINS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, np.inf)


class Line(NamedTuple):
    """Crimes of one kind: wearers placed, how many chance was said to place, their ratio with its 95 % interval (days drawn
    again), pairs of a crime and a wearer monitored."""

    kind: str
    n_crimes: int
    placed: int
    expected: float
    ratio: float
    low: float
    high: float
    pairs: int


def lengths_us() -> NDArray[np.int64]:
    """Lengths of real windows of at most a day, else a few that are usual."""
    path = DATA / "crimes_windows" / "dc_burglaries_2016h1.csv"
    if not path.exists():
        return np.array(_LENGTHS_MIN, np.int64) * MINUTE_US
    rows = pd.read_csv(path)
    start, end = (pd.to_datetime(rows[name], utc=True, errors="coerce") for name in ("start_utc", "end_utc"))
    length = (end - start).dt.total_seconds()
    return (length[(length >= 0) & (length <= 86_400 - 1200)].to_numpy() * 1e6).astype(np.int64)


def shuffled(town: Town, n: int, rng: Generator) -> list[tuple[str, Question]]:
    """Crimes near stays at times drawn evenly over the period."""
    lengths, found = lengths_us(), []
    while len(found) < n:
        lat, lon = town.stays[rng.integers(len(town.stays))]
        north_m, east_m = rng.uniform(-NEAR_M, NEAR_M, 2)
        length = int(rng.choice(lengths))
        from_us = int(rng.integers(town.first_us, town.last_us)) // MINUTE_US * MINUTE_US
        if from_us - 10 * MINUTE_US >= town.first_us and from_us + length + 10 * MINUTE_US <= town.last_us:
            place = lat + north_m / 111_200.0, lon + east_m / (111_200.0 * np.cos(np.radians(lat)))
            found.append((f"{len(found):05d}", Question(*place, from_us, from_us + length)))
    return found


def surveyed(town: Town, crimes: Sequence[tuple[str, Question]], by_class: bool = True) -> Survey:
    """The survey of a batch of crimes; a vicinity apart makes each crime an event, so that nothing is joined."""
    calendar = Calendar(town.first_us, town.last_us, town.timezone, by_class)
    return survey(town.trails.tracks, crimes, calendar, town.trails.hours)


def calibration(town: Town, seed: int = 1) -> dict[str, Any]:
    """Placed by chance against the figure, for all crimes, by class of weekday, by hour and by the figure itself; and how the
    figure would do if weekdays and weekends were thrown together."""
    crimes = shuffled(town, N_CRIMES, np.random.default_rng(seed))
    found, mixed = surveyed(town, crimes), surveyed(town, crimes, by_class=False)
    zone = zone_of(town)
    local = [to_datetime(q.from_us).astimezone(zone) for _, q in crimes]
    weekend = np.array([is_weekend(q, 0, town.timezone) for _, q in crimes])
    hour, day = np.array([t.hour for t in local]), np.array([t.toordinal() for t in local])
    kinds = {"all": np.ones(len(crimes), bool), "monday to friday": ~weekend, "saturday to sunday": weekend}
    kinds |= {f"from {h:02d} to {h + 8:02d}": (hour >= h) & (hour < h + 8) for h in (0, 8, 16)}
    lines = [_line(kind, found, where, day) for kind, where in kinds.items()]
    expected = np.array([np.nan if c["expected"] is None else c["expected"] for c in found.chance])
    for low, high in pairwise(_BINS):
        lines.append(_line(f"expected {low:g} to {high:g}", found, (expected >= low) & (expected < high), day))
    apart = [_line(f"{kind}, days mixed", mixed, where, day) for kind, where in list(kinds.items())[:3]]
    return {
        "town": town.name, "wearers": len(town.trails), "fixes": town.trails.tracks.n_fixes,
        "days": (town.last_us + 1 - town.first_us) / DAY_US, "crimes": len(crimes),
        "without_figure": int(np.isnan(expected).sum()),
        "lines": [line._asdict() for line in [*lines, *apart] if line.n_crimes],
    }  # fmt: skip


def _line(kind: str, found: Survey, where: NDArray[np.bool_], day: NDArray[np.int64]) -> Line:
    rows = [k for k in np.flatnonzero(where).tolist() if found.chance[k]["expected"] is not None]
    placed = np.array([len(found.placed[k]) for k in rows], float)
    expected = np.array([found.chance[k]["expected"] for k in rows], float)
    pairs = sum(found.chance[k]["monitored"] for k in rows)
    _, group = np.unique(day[rows], return_inverse=True)
    by_day = np.array([np.bincount(group, column) for column in (placed, expected)]) if rows else np.zeros((2, 1))
    rng = np.random.default_rng(2)
    drawn = by_day[:, rng.integers(by_day.shape[1], size=(2000, by_day.shape[1]))].sum(axis=2)
    ratios = drawn[1] / np.maximum(drawn[0], 0.5)
    total = float(expected.sum())
    ratio = total / max(placed.sum(), 0.5)
    low, high = (round(float(np.quantile(ratios, q)), 3) for q in (0.025, 0.975))
    return Line(kind, len(rows), int(placed.sum()), round(total, 2), round(ratio, 3), low, high, int(pairs))


def null_series(town: Town, seed: int = 3) -> dict[str, Any]:
    """Batches of shuffled crimes: how often is a wearer's p, or the least adjusted p of a batch, at most alpha?"""
    rng = np.random.default_rng(seed)
    single: list[float] = []
    least: list[float] = []
    for number in range(N_BATCHES):
        crimes = shuffled(town, N_IN_BATCH, rng)
        ranked = series(surveyed(town, crimes), crimes, town.trails.wearers, seed=number, least_crimes=1)["ranked"]
        single += [row["p"] for row in ranked]
        least.append(min((row["p_adjusted"] for row in ranked), default=1.0))
    n_wearers = len(town.trails) * N_BATCHES
    return {
        "town": town.name, "batches": N_BATCHES, "crimes": N_IN_BATCH,
        "wearers_p_at_most": {f"{a:g}": round(sum(p <= a for p in single) / n_wearers, 5) for a in (0.01, 0.05, 0.1)},
        "batches_p_adjusted_at_most": {f"{a:g}": round(sum(p <= a for p in least) / N_BATCHES, 4) for a in (0.05, 0.1, 0.2)},
    }  # fmt: skip


def planted_series(town: Town, seed: int = 4) -> dict[str, Any]:
    """Batches in which three of ten crimes are where and when one wearer was, at a place that is not his routine."""
    rng = np.random.default_rng(seed)
    first = found_at = n = 0
    while n < N_BATCHES // 3:
        wearer = int(rng.integers(len(town.trails)))
        planted = _burglaries(town, wearer, rng)
        if planted is None:
            continue
        n += 1
        crimes = planted + [(f"other {k}", q) for k, q in shuffled(town, N_IN_BATCH - N_PLANTED, rng)]
        ranked = series(surveyed(town, crimes), crimes, town.trails.wearers, seed=n)["ranked"]
        row = next((row for row in ranked if row["wearer"] == town.trails.wearers[wearer]), None)
        first += bool(row) and ranked[0] is row
        found_at += bool(row) and row["p_adjusted"] <= 0.05
    return {"town": town.name, "batches": n, "ranked_first": first, "p_adjusted_at_most_0.05": found_at}


def _burglaries(town: Town, wearer: int, rng: Generator) -> list[tuple[str, Question]] | None:
    """Three short windows on days of their own at fixes of a wearer where he is on at most one comparable day in ten; None
    where so few are found."""
    tracks = town.trails.tracks
    rows = range(int(tracks.start[wearer]), int(tracks.start[wearer + 1]))
    found: list[tuple[str, Question]] = []
    days: set[int] = set()
    for row in rng.choice(len(rows), min(60, len(rows)), replace=False) + rows.start if rows else ():
        at_us = tracks.base_us + int(tracks.tick[row]) * tracks.tick_us
        day = (at_us - town.first_us) // DAY_US
        circle_cm = int(tracks.radii_cm[tracks.error[row], 0])
        inside = town.first_us + HOUR_US < at_us < town.last_us - HOUR_US
        if day in days or circle_cm > 5000 or not inside:
            continue
        question = Question(
            int(tracks.lat_e7[row]) / 1e7, int(tracks.lon_e7[row]) / 1e7, at_us - 10 * MINUTE_US, at_us + 20 * MINUTE_US
        )
        rows_of = surveyed(town, [("", question)]).rows
        mine = rows_of.wearer == wearer
        if not mine.any() or int(rows_of.placed[mine][0]).bit_count() > max(
            1, int(rows_of.monitored[mine][0]).bit_count() // 10
        ):
            continue
        days.add(day)
        found.append((f"planted {len(found)}", question))
        if len(found) == N_PLANTED:
            return found
    return None


def main() -> None:
    """Measure, print, write."""
    started = time.perf_counter()
    real = real_town()
    towns = [town for town in (real, simulated_town(seed=5)) if town]
    if real is None:
        print("shared/data is not here: the real trails are left out")
    results: dict[str, Any] = {"machine": machine(), "calibration": [], "null": [], "planted": []}
    for town in towns:
        results["calibration"].append(found := calibration(town))
        print(
            "{town}: {wearers} wearers, {fixes:,} fixes, {days:.0f} days, {crimes} crimes, {without_figure} without".format(
                **found
            )
        )
        for line in found["lines"]:
            print(
                "  {kind:34}{n_crimes:6}{placed:8}{expected:10.1f}{ratio:8.3f}  {low:.2f} to {high:.2f}{pairs:9}".format(
                    **line
                ),
                flush=True,
            )
        results["null"].append(null_series(town))
        results["planted"].append(planted_series(town))
        print(" ", results["null"][-1], "\n ", results["planted"][-1], flush=True)
    (ROOT / "benchmarks/results/chance.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
