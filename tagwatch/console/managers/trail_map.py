"""What the map draws of a trail: fixes, ways, gaps, zones and home. A long trail is thinned, by a rule that is told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from crime_match.evidence.rows import local_text
from crime_match.geojson import track
from engine.times import MINUTE_US, SECOND_US, to_iso
from tagwatch.console.geo_features import Feature, feature, fix_feature, place_geometry, zone_feature
from tagwatch.console.managers.nights import length_words
from tagwatch.console.managers.trail_reading import WornTrail
from tagwatch.console.managers.trail_window import Window
from tagwatch.console.managers.trail_words import fix_rows, fix_sentence
from tagwatch.monitor import Conditions

MOST_DRAWN = 5_000
STEPS, MOST_GAPS = 1_500, 300


class Drawn(NamedTuple):
    """The rows that are drawn, ascending; by which rule, in words; and how long after a drawn fix a playback may say that
    nothing was known [us]."""

    rows: NDArray[np.int64]
    rule: str
    silent_us: int


def chosen(trail: WornTrail, scenery: Sequence[Feature]) -> Drawn:
    """Which fixes are drawn: all of a short trail; of a long one what the rule says."""
    n, silent_us = len(trail), int(trail.silence_us.max(initial=0))
    if n <= MOST_DRAWN:
        return Drawn(np.arange(n), f"All {n:,} fixes are drawn.", silent_us)
    at, step_us = trail.fixes.time_us, _step_us(trail)
    step = (at - at[0]) // step_us
    best = np.lexsort((at, trail.radius_m, step))
    gaps = trail.gaps
    longest = gaps[np.argsort(at[gaps[:, 0]] - at[gaps[:, 1]], kind="stable")[:MOST_GAPS]]
    of_each = [best[trail.weighs[best]], np.flatnonzero(~trail.weighs), *_wrong(trail, scenery)]
    rows = np.unique(np.concatenate([*(_first_of(step, some) for some in of_each), longest.ravel(), [0, n - 1]]))
    told = f"{step_us // SECOND_US} s" if step_us < 2 * MINUTE_US else length_words(step_us)
    return Drawn(rows.astype(np.int64), (
        f"{len(rows):,} of {n:,} fixes are drawn. The time is cut into steps of {told}. Of each step there are drawn: of the "
        "fixes that carry weight the one with the smallest circle, the first inside an exclusion zone and the first outside an "
        f"inclusion zone; and the first without weight. Besides: the ends of the {MOST_GAPS} longest gaps, the first fix and "
        "the last. The table and the files hold them all."
    ), silent_us + 2 * step_us)  # fmt: skip


def features(trail: WornTrail, drawn: Drawn, scenery: Sequence[Feature], window: Window) -> Iterator[Feature]:
    """The features in the order in which they are drawn: zones and home, ways, gaps, fixes."""
    yield from scenery
    yield from _ways(trail, drawn.rows)
    yield from _gaps(trail, drawn.rows, window.timezone)
    for row in fix_rows(trail, drawn.rows, window.timezone):
        told = fix_sentence(row)
        yield fix_feature(row["lat"], row["lon"], row["time"], row["radius_m"], title=told, weight=row["weight"])


def scenery_of(conditions: Conditions, wearer: str, window: Window) -> list[Feature]:
    """The zones and the curfew's places that held for a wearer at some moment of a window."""
    found = [zone_feature(z) for z in conditions.zones if z.concerns(wearer) and _meets(z.holds, window)]
    found += [
        feature("home", place_geometry(place), label="Curfew", title=f"Place of curfew {curfew.id}")
        for curfew in conditions.curfews
        if curfew.wearer == wearer and _meets(curfew.holds, window)
        for place in curfew.places
    ]
    there = {str(one): one for one in found if one["geometry"] is not None}  # versions that changed nothing here are one
    return list(there.values())


def gap_rows(trail: WornTrail, window: Window, now_us: int) -> list[dict[str, str]]:
    """Every stretch of the window up to now without a fix that carries weight, for the table beside the map."""
    at, zone = trail.fixes.time_us, window.timezone
    window = window._replace(to_us=max(window.from_us, min(window.to_us, now_us)))
    spans = [(int(at[a]), int(at[b])) for a, b in trail.gaps.tolist()]
    weighty = at[trail.weighs]
    if not len(weighty):
        spans = [(window.from_us, window.to_us)]
    else:
        silence_us = int(trail.silence_us.max())
        ends = [(window.from_us, int(weighty[0])), (int(weighty[-1]), window.to_us)]
        spans = [span for span in (ends[0], *spans, ends[1]) if span not in ends or span[1] - span[0] > silence_us]
    return [{"from": local_text(a, zone), "to": local_text(b, zone), "length": length_words(b - a)} for a, b in spans]


def _ways(trail: WornTrail, rows: NDArray[np.int64]) -> Iterator[Feature]:
    """Lines through the drawn fixes with weight, from gap to gap."""
    weighty = rows[trail.weighs[rows]]
    cuts = np.unique(np.searchsorted(weighty, trail.gaps[:, 1])) if len(trail.gaps) else np.empty(0, np.int64)
    fixes = trail.fixes
    for part in np.split(weighty, cuts):
        lonlat = list(zip((fixes.lon_e7[part] / 1e7).tolist(), (fixes.lat_e7[part] / 1e7).tolist(), strict=True))
        line = track(lonlat) if len(lonlat) > 1 else None
        if line is not None:
            yield feature("way", line, title="Joins positions in the order of time; it is not the path that was taken")


def _gaps(trail: WornTrail, rows: NDArray[np.int64], timezone: str) -> Iterator[Feature]:
    fixes, there = trail.fixes, set(rows.tolist())
    for a, b in trail.gaps.tolist():
        if a not in there or b not in there:
            continue
        ends = [(int(fixes.lon_e7[k]) / 1e7, int(fixes.lat_e7[k]) / 1e7) for k in (a, b)]
        line = track(ends)
        if line is not None:
            start, end = int(fixes.time_us[a]), int(fixes.time_us[b])
            told = (
                f"No position for {length_words(end - start)}: {local_text(start, timezone)} to {local_text(end, timezone)}"
            )
            yield feature("gap", line, time=to_iso(end), title=told)


def _step_us(trail: WornTrail) -> int:
    """The length of the steps of a long trail: whole seconds, or minutes where it is long."""
    at = trail.fixes.time_us
    least_us = int(at[-1] - at[0] + 1) / STEPS
    unit_us = SECOND_US if least_us <= MINUTE_US else MINUTE_US
    return max(1, math.ceil(least_us / unit_us)) * unit_us


def _wrong(trail: WornTrail, scenery: Sequence[Feature]) -> Iterator[NDArray[np.int64]]:
    """The fixes with weight that lie inside an exclusion zone, and those that lie outside an inclusion zone."""
    rows = np.flatnonzero(trail.weighs)
    lon, lat = trail.fixes.lon_e7[rows] / 1e7, trail.fixes.lat_e7[rows] / 1e7
    for kind in ("exclusion", "inclusion"):
        wrong = np.zeros(len(rows), np.bool_)
        for one in scenery:
            if one["properties"].get("kind") == kind and one["properties"]["role"] == "zone":
                inside = shapely.contains_xy(shapely.geometry.shape(one["geometry"]), lon, lat)
                wrong |= inside == (kind == "exclusion")
        yield rows[wrong]


def _first_of(step: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first of these rows in each step, in their order."""
    _, first = np.unique(step[rows], return_index=True)
    chosen_rows: NDArray[np.int64] = rows[first]
    return chosen_rows


def _meets(holds: tuple[int, int], window: Window) -> bool:
    return holds[0] <= window.to_us and holds[1] > window.from_us
