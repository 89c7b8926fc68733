"""How long strength takes: chance for one crime, its routine, a survey of many crimes, and the permutation test.

`python -m benchmarks.bench_strength [n_wearers n_days n_crimes]` (default 2000 30 500), on the city of `match_scenes`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.match_scenes import burglaries, city
from crime_match.strength.chance import chance, period_of
from crime_match.strength.placements import mark
from crime_match.strength.routine import routines
from crime_match.strength.series import series
from crime_match.strength.shifts import Calendar, within_block
from crime_match.strength.survey import survey
from engine.hours import summarise


def timed_ms(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1e3


def main(n_wearers: int = 2000, n_days: int = 30, n_crimes: int = 500) -> None:
    """Measure and print."""
    tracks = city(n_wearers, n_days)
    hours = summarise(tracks)
    calendar = Calendar(*period_of(tracks))
    crimes = [(f"{k:05d}", question) for k, question in enumerate(burglaries(n_crimes, n_days, cities=tracks))]
    print(f"{n_wearers:,} wearers, {n_days} days, {tracks.n_fixes:,} fixes, {n_crimes} crimes")
    for hour_index, name in ((hours, "with hours"), (None, "without")):
        some = crimes[: 60 if hour_index is not None else 10]
        chance(tracks, some[0][1], calendar, hour_index)
        taken = sorted(timed_ms(lambda q=q, h=hour_index: chance(tracks, q, calendar, h)) for _, q in some)
        print(f"chance of one crime, {name}: median {statistics.median(taken):.2f} ms, most {taken[-1]:.1f} ms")
    windows = [within_block(q, calendar) for _, q in crimes]
    print(
        f"windows of one crime alone: {timed_ms(lambda: [within_block(q, calendar) for _, q in crimes]) / n_crimes:.2f} ms"
    )
    marks = [mark(tracks, q, w, hours) for (_, q), w in zip(crimes[:20], windows, strict=False)]
    placed = [np.flatnonzero(m.placed)[:3].tolist() for m in marks]
    routines(tracks, crimes[0][1], [0])
    each = [timed_ms(lambda q=q, p=p: routines(tracks, q, p)) for (_, q), p in zip(crimes, placed, strict=False)]
    print(f"routine of up to three wearers: median {statistics.median(each):.2f} ms")
    started = time.perf_counter()
    found = survey(tracks, crimes, calendar, hours)
    surveyed_s = time.perf_counter() - started
    print(
        f"survey of {n_crimes} crimes: {surveyed_s:.2f} s, {surveyed_s / n_crimes * 1e3:.2f} ms a crime, "
        f"{len(found.rows.event):,} rows"
    )
    names = [f"w{k}" for k in range(n_wearers)]
    series(found, crimes, names, 9)
    print(f"999 permutations: {timed_ms(lambda: series(found, crimes, names)) / 1e3:.2f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
