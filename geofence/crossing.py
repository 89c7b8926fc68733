"""Kernels of what lies between fixes: the ways between consecutive clear fixes that cross a place, and how probably they do.

Arrays only. Ways are straight in longitude and latitude (`geofence.chord`); coordinates are 1e-7 degrees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, kernel_part
from engine.kernels import metres_per_e7
from geofence.chord import chord_part
from geofence.evidence import side_beyond
from geofence.filter import COARSE_M
from geofence.masses import margin_sigmas
from geofence.polygon_mass import short_way

CROSSING = np.dtype((np.record,
    [("before", "i8"), ("start", "i8"), ("end", "i8"), ("after", "i8"), ("first", "f8"), ("last", "f8"), ("share", "f8"),
     ("posterior", "f8")]
))  # fmt: skip
"""A way from row `start` to row `end` that meets a place, with the clear fixes before and after it that confirm it; first and
last are where on the way the place is met [0 to 1], share is how much of it lies inside."""

DEEP = 0.002
"""A way so deep in a place that either error takes it out with no more than this probability is not integrated over: that it
meets the place has a probability of at least 1 - 2 DEEP, and that is what is said of it."""
LONGEST_US = 300_000_000
"""A way that takes longer is not taken for straight."""
STRETCH = 32
STRETCH_BOX = np.dtype((np.record, [("west", "f8"), ("south", "f8"), ("east", "f8"), ("north", "f8"), ("tail", "i8")]))
"""Of STRETCH rows of a trail: a box of all ways that lead to them and all circles of clear fixes [1e-7 degree], and the row
from which on four of them, or all, carry weight."""
CLEAR_SHARE = 0.95
"""A fix is clear of a place that a circle about it which holds the truth with at least this probability does not touch."""
_N_DRAWS, _N_DRAWS_TAIL = 2048, 512


def _draws() -> Any:
    """Standard normals (2048, 4): the additive recurrence of the root of x^5 = x + 1 (Roberts 2018, "The unreasonable
    effectiveness of quasirandom sequences"), by Box and Muller 1958."""
    root = 1.1673039782614187
    normals = np.empty((_N_DRAWS, 4))
    for n in range(_N_DRAWS):
        u = [(0.5 + (n + 1) * root ** -(k + 1)) % 1.0 for k in range(4)]
        for k in (0, 2):
            out, turn = math.sqrt(-2.0 * math.log(u[k])), 2.0 * math.pi * u[k + 1]
            normals[n, k], normals[n, k + 1] = out * math.cos(turn), out * math.sin(turn)
    return normals


_DRAWS = _draws()


@kernel
def crossing_probability(
    x1: Any, y1: Any, sigma1_m: float, weight1: float, ratio1: float,
    x2: Any, y2: Any, sigma2_m: float, weight2: float, ratio2: float, likeness: float, place: int, places: Any,
) -> float:  # fmt: skip
    """Probability that the straight way between the true places of two fixes meets a place, within 0.01.

    Both errors are core-and-tail mixtures (weight and ratio of the tail). `likeness` [0 to 1] is how alike they are: the
    correlation of the normals, and the probability that core or tail is common to both. Quadrature over the four
    dimensions, at 2048 fixed points for two cores and 512 for each pair with a tail.
    """
    ky1, kx1 = metres_per_e7(float(y1))
    ky2, kx2 = metres_per_e7(float(y2))
    kx1, kx2, rest = max(kx1, 1e-4), max(kx2, 1e-4), math.sqrt(1.0 - likeness * likeness)
    both_tails = likeness * min(weight1, weight2) + (1.0 - likeness) * weight1 * weight2
    total = 0.0
    for pair in range(4):
        tail1, tail2 = pair // 2, pair % 2
        s1 = sigma1_m * ratio1 if tail1 else sigma1_m
        s2 = sigma2_m * ratio2 if tail2 else sigma2_m
        n_met, n_draws = 0, _N_DRAWS_TAIL if tail1 or tail2 else _N_DRAWS
        for n in range(n_draws):
            ex, ey, fx, fy = _DRAWS[n, 0], _DRAWS[n, 1], _DRAWS[n, 2], _DRAWS[n, 3]
            first, last, _ = chord_part(
                np.int64(math.floor(x1 + s1 * ex / kx1 + 0.5)), np.int64(math.floor(y1 + s1 * ey / ky1 + 0.5)),
                np.int64(math.floor(x2 + s2 * (likeness * ex + rest * fx) / kx2 + 0.5)),
                np.int64(math.floor(y2 + s2 * (likeness * ey + rest * fy) / ky2 + 0.5)), place, places,
            )  # fmt: skip
            n_met += first <= last
        only1, only2 = weight1 - both_tails, weight2 - both_tails
        one_core = only1 if tail1 else only2
        share = both_tails if tail1 and tail2 else (one_core if tail1 or tail2 else 1.0 - only1 - only2 - both_tails)
        total += share * n_met / n_draws
    return total


def clear_sigmas(tails: NDArray[np.float64]) -> NDArray[np.float64]:
    """A radius that holds at least CLEAR_SHARE of each error mixture [core sigmas]; tails (n_models, 2) to (n_models,)."""
    return np.array([margin_sigmas(1.0 - CLEAR_SHARE, weight, ratio) for weight, ratio in tails])


@kernel_part
def is_clear_of(x: Any, y: Any, radius_m: float, place: int, places: Any) -> bool:
    """Whether the circle about a fix keeps off a place: the distance to its box first."""
    box, size = places.box, places.size
    x = short_way(x, box[place, 0], box[place, 2])
    dx = max(box[place, 0] - x, x - box[place, 2], 0.0) * size[place, 2]
    dy = max(box[place, 1] - y, y - box[place, 3], 0.0) * size[place, 3]
    return dx * dx + dy * dy > radius_m * radius_m or side_beyond(x, y, radius_m, place, places) == 0


@kernel
def find_stretches(columns: Any, weightless: int, clear: Any, stretches: Any) -> None:
    """Fill the boxes of a trail's whole stretches (STRETCH_BOX), from its beginning on."""
    before = -1
    for n in range(len(stretches)):
        s = stretches[n]
        s.west = s.south = 4e9
        s.east = s.north = -4e9
        first, n_weighty = before, 0
        for i in range(n * STRETCH, (n + 1) * STRETCH):
            if columns.flags[i] & weightless:
                continue
            if first >= 0:  # the way from the fix before the stretch
                _widen(s, columns, first, clear)
                first = -1
            _widen(s, columns, i, clear)
            before = i
        s.tail = (n + 1) * STRETCH
        while n_weighty < 4 and s.tail > n * STRETCH:
            s.tail -= 1
            n_weighty += int(columns.flags[s.tail] & weightless == 0)


@kernel_part
def _widen(s: Any, columns: Any, i: int, clear: Any) -> None:
    high = columns.sigma_m[i] * clear[columns.model[i]] * 91.0  # a metre is at most 90.5 units of 1e-7 degree of latitude
    wide = high / max(0.01, math.cos(min(abs(columns.lat_e7[i]) * 1e-7 + 0.5, 89.0) * math.pi / 180.0))
    s.west, s.east = min(s.west, columns.lon_e7[i] - wide), max(s.east, columns.lon_e7[i] + wide)
    s.south, s.north = min(s.south, columns.lat_e7[i] - high), max(s.north, columns.lat_e7[i] + high)


@kernel_part
def _is_apart(s: Any, outer: Any) -> bool:
    return bool(s.west > outer[2] or s.east < outer[0] or s.south > outer[3] or s.north < outer[1])


@kernel
def find_crossings(
    columns: Any, start: int, weightless: int, tails: Any, clear: Any, correlation_s: float,
    place: int, places: Any, found: Any, stretches: Any, outer: Any,
) -> tuple[int, int, int, int]:  # fmt: skip
    """The ways between consecutive clear fixes that cross a place, from a row of a trail on; fills `found` (CROSSING).

    columns: `geofence.filter.Columns` of the whole trail. Clear: it carries weight and `is_clear_of` the place with the radius
    of `clear_sigmas`. A way counts when a clear fix on either side of it confirms it: there and back by one fix alone is none.
    No gap among the four may be longer than silence, nor the way's than LONGEST_US. Returns how many were found and the last
    three clear fixes, oldest first (-1: none). Where `found` is full it is to be emptied and the search to go on from the first
    of them; else, when more fixes have come, from the first that there is.

    stretches: those of `find_stretches`, as many as there are; of one that is apart from `outer` (4,), a box that holds the
    place, only the first three fixes with weight are looked at, which may confirm a way before, and the last four.
    """
    n_found, h, i, j = 0, -1, -1, -1  # the last three clear fixes
    k, n_ahead, tail = start - 1, 0, 0
    while k + 1 < len(columns.time_us):
        k += 1
        if k % STRETCH == 0:
            n_ahead, stretch = 0, k // STRETCH
            if stretch < len(stretches) and _is_apart(stretches[stretch], outer):
                n_ahead, tail = 4, stretches[stretch].tail
        if columns.flags[k] & weightless:
            continue
        if n_ahead > 0:
            n_ahead -= 1
            if n_ahead == 0 and k < tail:
                k, h, i, j = tail - 1, -1, -1, -1
                continue
        if not is_clear_of(
            columns.lon_e7[k], columns.lat_e7[k], columns.sigma_m[k] * clear[columns.model[k]], place, places
        ):
            continue
        if j >= 0 and columns.time_us[k] - columns.time_us[j] > columns.silence_us[j]:
            h, i, j = -1, -1, -1
        if h >= 0 and 0 < columns.time_us[j] - columns.time_us[i] <= LONGEST_US:
            first, last, share = _way(columns, i, j, place, places)
            if first <= last and _is_confirmed(columns, h, i, j, k, place, places):
                if n_found == len(found):
                    return n_found, h, i, j
                c = found[n_found]
                c.before, c.start, c.end, c.after, c.first, c.last, c.share = h, i, j, k, first, last, share
                c.posterior = _way_probability(columns, i, j, tails, correlation_s, place, places)
                n_found += 1
        h, i, j = i, j, k
    return n_found, h, i, j


@kernel
def may_cross(
    cuts: Any, lon_e7: Any, lat_e7: Any, reach_m: Any, weight: Any, parts: Any, roster: Any, exclusion: Any, place: Any,
    outer: Any, found: Any,
) -> None:  # fmt: skip
    """Set found (n,) where the box of a wearer's latest fixes, with their reach, meets one of his exclusion zones' boxes.

    Wearer p has the rows cuts[p]:cuts[p + 1] of the columns, of which those with weight count, and the slots
    parts[p, 0]:parts[p, 1] of the roster; exclusion and place are by slot, outer by place [1e-7 degree].
    """
    for p in range(len(found)):
        west = south = 4e9
        east = north = -4e9
        for i in range(cuts[p], cuts[p + 1]):
            if weight[i]:
                high = reach_m[i] * 91.0  # a metre is at most 90.5 units of 1e-7 degree of latitude
                wide = high / max(0.01, math.cos(min(abs(lat_e7[i]) * 1e-7 + 0.5, 89.0) * math.pi / 180.0))
                west, east = min(west, lon_e7[i] - wide), max(east, lon_e7[i] + wide)
                south, north = min(south, lat_e7[i] - high), max(north, lat_e7[i] + high)
        found[p] = False
        for k in range(parts[p, 0], parts[p, 1]):
            box = place[roster[k]]
            if exclusion[roster[k]] and west <= outer[box, 2] and east >= outer[box, 0]:
                found[p] = found[p] or (south <= outer[box, 3] and north >= outer[box, 1])


@kernel_part
def _way(columns: Any, i: int, j: int, place: int, places: Any) -> tuple[float, float, float]:
    return chord_part(columns.lon_e7[i], columns.lat_e7[i], columns.lon_e7[j], columns.lat_e7[j], place, places)


@kernel_part
def _meets(columns: Any, i: int, j: int, place: int, places: Any) -> bool:
    first, last, _ = _way(columns, i, j, place, places)
    return first <= last


@kernel_part
def _is_confirmed(columns: Any, h: int, i: int, j: int, k: int, place: int, places: Any) -> bool:
    """Not there and back by one fix alone: where the next way crosses again, the one that leaves the fix out must cross."""
    if _meets(columns, j, k, place, places) and not _meets(columns, i, k, place, places):
        return False
    return not _meets(columns, h, i, place, places) or _meets(columns, h, j, place, places)


@kernel_part
def _way_probability(columns: Any, i: int, j: int, tails: Any, correlation_s: float, place: int, places: Any) -> float:
    """`crossing_probability` of two rows; errors stay alike over the filter's correlation time."""
    a, b = columns.model[i], columns.model[j]
    if _is_deep(columns, i, j, tails, place, places):
        return 1.0 - 2.0 * DEEP
    coarse = max(1.0, columns.sigma_m[i] / COARSE_M, columns.sigma_m[j] / COARSE_M)
    likeness = math.exp(-((columns.time_us[j] - columns.time_us[i]) * 1e-6) / (correlation_s * coarse))
    return crossing_probability(
        np.int64(columns.lon_e7[i]), np.int64(columns.lat_e7[i]), columns.sigma_m[i], tails[a, 0], tails[a, 1],
        np.int64(columns.lon_e7[j]), np.int64(columns.lat_e7[j]), columns.sigma_m[j], tails[b, 0], tails[b, 1],
        likeness, place, places,
    )  # fmt: skip


@kernel_part
def _is_deep(columns: Any, i: int, j: int, tails: Any, place: int, places: Any) -> bool:
    """Whether the middle of the way's part in the place is so deep that both errors keep it inside with 1 - DEEP.

    No point of the way moves farther than the larger of the errors of its ends.
    """
    first, last, _ = _way(columns, i, j, place, places)
    x1, y1 = np.int64(columns.lon_e7[i]), np.int64(columns.lat_e7[i])
    middle, x2 = 0.5 * (first + last), short_way(columns.lon_e7[j], x1, x1)
    x: Any = x1 + np.int64(middle * (x2 - x1))
    y: Any = y1 + np.int64(middle * (np.int64(columns.lat_e7[j]) - y1))
    a, b = columns.model[i], columns.model[j]
    depth_m = max(
        columns.sigma_m[i] * margin_sigmas(DEEP, tails[a, 0], tails[a, 1]),
        columns.sigma_m[j] * margin_sigmas(DEEP, tails[b, 0], tails[b, 1]),
    )
    return bool(side_beyond(x, y, depth_m, place, places) == 1)
