"""Hourly summaries in plain Python, and what is trusted of those in a database."""

from __future__ import annotations

import itertools
from collections import defaultdict
from math import hypot, inf
from typing import Any, cast

from engine.fixes import ABSENT, CONTENT
from engine.store.hours import Hours, HourSummaries
from tests.integration.store_world import Kept

_AT = {name: k for k, name in enumerate(CONTENT)}
FIELDS = (
    "n_fixes", "n_minutes", "first_s", "last_s", "south", "west", "north", "east", "first_lat_e7", "first_lon_e7",
    "last_lat_e7", "last_lon_e7", "widest_cm", "n_unsaid", "sources", "gap_s", "ahead_s", "fastest",
)  # fmt: skip
Summaries = dict[tuple[str, int], dict[str, Any]]


def summaries_of(kept: Kept) -> Summaries:
    """What each hour of each device says, from all stored fixes."""
    hours: dict[tuple[str, int], list[tuple[int, int, int, int, int, int]]] = defaultdict(list)
    for (device, time_us, content), received_s in kept.items():
        lat, lon, accuracy, source = (content[_AT[name]] for name in ("lat_e7", "lon_e7", "accuracy_cm", "source"))
        hours[device, time_us // 3_600_000_000 * 3600].append((time_us, lat, lon, accuracy, source, received_s))
    return {key: _summary(sorted(rows)) for key, rows in hours.items()}


def _summary(rows: list[tuple[int, int, int, int, int, int]]) -> dict[str, Any]:
    time_us, lats, lons, accuracies, sources, received_s = zip(*rows, strict=True)
    times_s = [t // 1_000_000 for t in time_us]
    steps = list(itertools.pairwise(rows))
    said = [a for a in accuracies if a != ABSENT]
    return {
        "n_fixes": len(rows), "n_minutes": len({t // 60 for t in times_s}), "first_s": times_s[0], "last_s": times_s[-1],
        "south": min(lats), "west": min(lons), "north": max(lats), "east": max(lons),
        "first_lat_e7": lats[0], "first_lon_e7": lons[0], "last_lat_e7": lats[-1], "last_lon_e7": lons[-1],
        "widest_cm": max(said, default=ABSENT), "n_unsaid": len(rows) - len(said),
        "sources": sum(1 << s for s in set(sources)),
        "gap_s": max((-((a[0] - b[0]) // 1_000_000) for a, b in steps), default=0),
        "ahead_s": max(t - r for t, r in zip(times_s, received_s, strict=True)),
        "fastest": max((_speed(a, b) for a, b in steps), default=0.0),
    }  # fmt: skip


def _speed(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    away = hypot(b[1] - a[1], b[2] - a[2])
    return 0.0 if not away else inf if a[0] == b[0] else away * 1e6 / (b[0] - a[0])


def as_summaries(hours: Hours) -> Summaries:
    """Hours that were read, in the oracle's form."""
    rows = zip(*(getattr(hours, name).tolist() for name in FIELDS), strict=True)
    keys = zip(hours.device.tolist(), hours.hour_s.tolist(), strict=True)
    found = {(hours.devices[d], h): dict(zip(FIELDS, row, strict=True)) for (d, h), row in zip(keys, rows, strict=True)}
    assert len(found) == len(hours)
    return found


def same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two summaries say the same; speeds but for the last bits."""
    if one is None or other is None:
        return one is other
    speeds = cast(tuple[float, float], (one["fastest"], other["fastest"]))
    close = speeds[0] == speeds[1] or abs(speeds[0] - speeds[1]) <= 1e-12 * abs(speeds[1])
    return close and all(one[name] == other[name] for name in FIELDS[:-1])


def wrongly_trusted(summaries: HourSummaries, kept: Kept) -> list[tuple[str, int]]:
    """Hours that may be believed and are not what the fixes say; in one transaction. Stale ones are asked first."""
    with summaries.connection.transaction():
        stale = summaries.stale(0, 2**40)
        until_s = summaries.until_s
        found = as_summaries(summaries.read(0, 2**40))
    right = {key: row for key, row in summaries_of(kept).items() if key[1] + 3600 <= until_s}
    assert all(hour_s + 3600 <= until_s for _, hour_s in found)
    return [key for key in found.keys() | right.keys() if key not in stale and not same(found.get(key), right.get(key))]
