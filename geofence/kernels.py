"""Kernels of the check: exact containment, mass of a fix's error over a place, and the in/out filter. Arrays only.

A place is a run of discs and polygons in flat columns (`geofence.places`): coordinates are int32 1e-7 degrees, edges are
straight in longitude and latitude, rings of shells run counter-clockwise and those of holes clockwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel
from engine.kernels import distance_m, metres_per_e7

UNKNOWN, IN, OUT, SINGLE = 0, 1, 2, 3
"""States; SINGLE is one fix deep inside that stayed the last word when silence began to speak."""

CLEAR = 0.0025  # a probability this near to 0 or 1 is as clear as one fix can be
MOST_EVIDENCE = math.log((1.0 - CLEAR) / CLEAR)  # what one fix can say at most, in log odds
MOST_LOGIT = 3.5  # how sure the filter can become: it stays ready to change its mind
LEAST_EVIDENCE = 0.1  # below this a fix says nothing about this place
FAR_SIGMAS = 4.5
COARSE_M = 20.0  # sigma from which on errors last longer than the correlation time: the same mast, the same walls

# numpy's record type: fields are attributes without the compiler too
FILTER_STATE = np.dtype((np.record,
    [("logit", "f8"), ("last_us", "i8"), ("last", "i8"), ("run_sign", "i8"), ("run_length", "i8"), ("run_start", "i8"),
     ("prior", "f8"), ("last_silence_us", "i8"), ("last_in", "i8"), ("last_out", "i8"), ("state", "i8"), ("evidence", "f8")]
))  # fmt: skip
"""What the filter remembers of one (wearer, place): see `filter_places`."""

CHANGE = np.dtype((np.record,
    [("slot", "i8"), ("state", "i8"), ("at", "i8"), ("began", "i8"), ("after", "i8"), ("posterior", "f8"), ("prior", "f8")]
))  # fmt: skip
"""A change of state: decided at fix `at`, of a run that began at `began`; `after` is the last contrary fix before (or -1)."""

# Gauss-Legendre nodes and weights on [0, 1]
_NODES = {n: np.polynomial.legendre.leggauss(n) for n in (10, 12, 32)}
_X10, _X12, _X32 = ((_NODES[n][0] + 1.0) / 2.0 for n in _NODES)
_W10, _W12, _W32 = (_NODES[n][1] / 2.0 for n in _NODES)
_SQRT2 = math.sqrt(2.0)


@kernel
def ring_crossings(x: int, y: int, xs: Any, ys: Any, start: int, stop: int) -> int:
    """Parity of a ray's crossings with a closed ring (first vertex repeated last), or -1 where the point lies on an edge.

    All products are of int64 differences of 1e-7 degrees, so the answer is exact for rings up to 180 degrees wide.
    """
    inside = 0
    for k in range(start, stop - 1):
        ax, ay, bx, by = np.int64(xs[k]) - x, np.int64(ys[k]) - y, np.int64(xs[k + 1]) - x, np.int64(ys[k + 1]) - y
        if (ay > 0) == (by > 0) and ay != 0 and by != 0:
            continue  # wholly above or below the ray, and touching it nowhere
        cross = ax * by - ay * bx
        if cross == 0:
            if min(ax, bx) <= 0 <= max(ax, bx) and min(ay, by) <= 0 <= max(ay, by):
                return -1
        elif (ay > 0) != (by > 0) and (cross > 0) == (by > ay):
            inside ^= 1
    return inside


@kernel
def polygon_contains(x: int, y: int, xs: Any, ys: Any, rings: Any, first: int, last: int) -> bool:
    """Whether a point lies in the polygon of rings first:last, its boundary included (even-odd over shell and holes)."""
    inside = 0
    for r in range(first, last):
        crossings = ring_crossings(x, y, xs, ys, rings[r], rings[r + 1])
        if crossings < 0:
            return True
        inside ^= crossings
    return inside == 1


@kernel
def contains_points(x: Any, y: Any, xs: Any, ys: Any, rings: Any, polygons: Any) -> NDArray[np.bool_]:
    """For each point (n,) whether it lies in any of the polygons (closed); polygons (m + 1,) cuts rings, rings cuts xs, ys."""
    out = np.zeros(len(x), np.bool_)
    for i in range(len(x)):
        for p in range(len(polygons) - 1):
            if polygon_contains(x[i], y[i], xs, ys, rings, polygons[p], polygons[p + 1]):
                out[i] = True
                break
    return out


@kernel
def phi(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / _SQRT2)


@kernel
def owens_t(h: float, a: float) -> float:
    """Owen's T function (Owen 1956, Ann. Math. Stat. 27), to 1e-8: quadrature for |a| <= 1, his identity beyond."""
    h, b = abs(h), abs(a)
    if h > 9.0 or b == 0.0:
        return 0.0
    if b > 1.0:
        other = h * b
        t = 0.5 * (phi(h) + phi(other)) - phi(h) * phi(other) - _owens_t_small(other, 1.0 / b)
    else:
        t = _owens_t_small(h, b)
    return t if a > 0.0 else -t


@kernel
def _owens_t_small(h: float, a: float) -> float:
    if h > 9.0:
        return 0.0
    total = 0.0
    for k in range(10):
        x2 = 1.0 + (a * _X10[k]) ** 2
        total += _W10[k] * math.exp(-0.5 * h * h * x2) / x2
    return total * a / (2.0 * math.pi)


@kernel
def edge_mass(ax: float, ay: float, bx: float, by: float) -> float:
    """Signed mass of a standard normal about the origin over the triangle (origin, a, b), in units of sigma.

    With h the distance of the edge's line and t the positions along it from the foot, it is the angle at the origin over
    2 pi less the difference of Owen's T at (h, t / h); summed over a polygon's edges it is exact.
    """
    dx, dy = bx - ax, by - ay
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0.0:
        return 0.0
    cross = ax * by - ay * bx
    h = abs(cross) / length
    if h < 1e-9:
        return 0.0
    t1, t2 = (ax * dx + ay * dy) / length, (bx * dx + by * dy) / length
    angle = math.atan2(t2, h) - math.atan2(t1, h)
    mass = angle / (2.0 * math.pi) - (owens_t(h, t2 / h) - owens_t(h, t1 / h))
    return mass if cross > 0.0 else -mass


@kernel
def disc_mass(distance: float, radius: float, sigma: float) -> float:
    """Mass of an isotropic normal at `distance` from the centre of a disc, over the disc (all metres), to 5e-6.

    One axis is integrated in closed form, the other by Gauss-Legendre over x = radius sin t, with as many nodes as the
    width in sigmas asks for (each case measured against the non-central chi-square distribution).
    """
    low, high = max(-radius, distance - 6.5 * sigma), min(radius, distance + 6.5 * sigma)
    if low >= high:
        return 0.0
    width = (high - low) / sigma
    if width < 3.0:
        return _disc_mass(distance, radius, sigma, low, high, _X12, _W12)
    return _disc_mass(distance, radius, sigma, low, high, _X32, _W32)


@kernel
def _disc_mass(distance: float, radius: float, sigma: float, low: float, high: float, nodes: Any, weights: Any) -> float:
    t1, t2 = math.asin(low / radius), math.asin(high / radius)
    width, total = t2 - t1, 0.0
    for k in range(len(nodes)):
        t = t1 + width * nodes[k]
        u, c = (radius * math.sin(t) - distance) / sigma, radius * math.cos(t)
        total += weights[k] * math.exp(-0.5 * u * u) * math.erf(c / sigma / _SQRT2) * c
    return min(1.0, total * width / (sigma * math.sqrt(2.0 * math.pi)))


@kernel
def polygon_mass(
    x: int, y: int, sigma: float, kx: float, ky: float, xs: Any, ys: Any, rings: Any, first: int, last: int
) -> float:
    """Mass of an isotropic normal (sigma [m]) at a point over the polygon of rings first:last; kx, ky [m per 1e-7 degree]."""
    total, fx, fy = 0.0, kx / sigma, ky / sigma
    for r in range(first, last):
        bx, by = (xs[rings[r]] - x) * fx, (ys[rings[r]] - y) * fy
        for k in range(rings[r] + 1, rings[r + 1]):
            ax, ay = bx, by
            bx, by = (xs[k] - x) * fx, (ys[k] - y) * fy
            total += edge_mass(ax, ay, bx, by)
    return min(1.0, max(0.0, total))


@kernel
def ring_distance_m(x: int, y: int, kx: float, ky: float, xs: Any, ys: Any, start: int, stop: int) -> float:
    """Distance [m] of a point to a ring, in the plane that touches at the point."""
    best = np.inf
    bx, by = (xs[start] - x) * kx, (ys[start] - y) * ky
    for k in range(start + 1, stop):
        ax, ay = bx, by
        bx, by = (xs[k] - x) * kx, (ys[k] - y) * ky
        dx, dy = bx - ax, by - ay
        length2 = dx * dx + dy * dy
        t = min(1.0, max(0.0, -(ax * dx + ay * dy) / length2)) if length2 > 0.0 else 0.0
        px, py = ax + t * dx, ay + t * dy
        best = min(best, px * px + py * py)
    return math.sqrt(best)


@kernel
def beyond(distance: float, sigma: float, tail_weight: float, tail_ratio: float) -> float:
    """Mass of the error mixture farther than `distance` [m] from the fix: bounds what can lie across a boundary."""
    u = 0.5 * (distance / sigma) ** 2
    return (1.0 - tail_weight) * math.exp(-u) + tail_weight * math.exp(-u / (tail_ratio * tail_ratio))


@kernel
def inside_mass(
    x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float,
    place: int, parts: Any, disc: Any, xs: Any, ys: Any, rings: Any, polygons: Any,
) -> float:  # fmt: skip
    """P(inside): mass of a fix's error mixture over a place (parts are disjoint), within 0.01 of exact, mostly 1e-6."""
    ky, kx = metres_per_e7(float(y))
    total = 0.0
    for p in range(parts[place], parts[place + 1]):
        if disc[p, 2] > 0.0:
            d = distance_m(y, x, np.int64(disc[p, 1]), np.int64(disc[p, 0]))
            core = disc_mass(d, disc[p, 2], sigma)
            tail = disc_mass(d, disc[p, 2], sigma * tail_ratio)
        else:
            first, last = polygons[p], polygons[p + 1]
            core = polygon_mass(x, y, sigma, kx, ky, xs, ys, rings, first, last)
            tail = polygon_mass(x, y, sigma * tail_ratio, kx, ky, xs, ys, rings, first, last)
        total += (1.0 - tail_weight) * core + tail_weight * tail
    return min(1.0, total)


@kernel
def inside_masses(
    x: Any, y: Any, sigma: Any, tail_weight: float, tail_ratio: float,
    place: int, parts: Any, disc: Any, xs: Any, ys: Any, rings: Any, polygons: Any,
) -> NDArray[np.float64]:  # fmt: skip
    """`inside_mass` of fixes (n,) for one place."""
    out = np.empty(len(x), np.float64)
    for i in range(len(x)):
        out[i] = inside_mass(
            x[i], y[i], sigma[i], tail_weight, tail_ratio, place, parts, disc, xs, ys, rings, polygons
        )  # fmt: skip
    return out


@kernel
def most_mass(sigma: float, tail_weight: float, tail_ratio: float, area: float, width: float) -> float:
    """Upper bound of the mass a place of this area [m2] and width [m] could hold for a fix at its best spot."""
    total = 0.0
    for k in range(2):
        s = sigma if k == 0 else sigma * tail_ratio
        weight = 1.0 - tail_weight if k == 0 else tail_weight
        total += weight * min(-math.expm1(-area / (2.0 * math.pi * s * s)), math.erf(width / (2.0 * _SQRT2 * s)))
    return max(total, 1e-12)


@kernel
def evidence_of(p: float, most: float) -> float:
    """What a fix with P(inside) p says for `inside`, in log odds, clipped to MOST_EVIDENCE.

    Above one half it is log p / (1 - p). Below, p counts beside the most that any fix of this accuracy could reach there, so
    that a circle of kilometres says nothing about a small zone in its middle instead of `outside`.
    """
    if p >= 0.5:
        return min(MOST_EVIDENCE, math.log(p / max(1.0 - p, 1e-12)))
    return max(-MOST_EVIDENCE, min(0.0, math.log(max(p, 1e-12) / (most * (1.0 - p)))))


@kernel
def place_evidence(
    x: int, y: int, sigma: float, tail_weight: float, tail_ratio: float, size: Any,
    place: int, parts: Any, disc: Any, xs: Any, ys: Any, rings: Any, polygons: Any,
) -> float:  # fmt: skip
    """`evidence_of` a fix for a place: by bounds where the answer is clear, by the exact mass elsewhere."""
    ky, kx = metres_per_e7(float(y))
    nearest, within, deepest = np.inf, False, 0.0
    for p in range(parts[place], parts[place + 1]):
        if disc[p, 2] > 0.0:
            margin = distance_m(y, x, np.int64(disc[p, 1]), np.int64(disc[p, 0])) - disc[p, 2]
        else:
            margin = np.inf
            for r in range(polygons[p], polygons[p + 1]):
                margin = min(margin, ring_distance_m(x, y, kx, ky, xs, ys, rings[r], rings[r + 1]))
            if polygon_contains(x, y, xs, ys, rings, polygons[p], polygons[p + 1]):
                margin = -margin
        if margin <= 0.0:
            within, deepest = True, max(deepest, -margin)
        nearest = min(nearest, margin)
    if within:
        if beyond(deepest, sigma, tail_weight, tail_ratio) <= CLEAR:
            return MOST_EVIDENCE
    elif beyond(nearest, sigma, tail_weight, tail_ratio) <= 0.99 * CLEAR * most_mass(
        sigma, tail_weight, tail_ratio, size[place, 0], size[place, 1]
    ):
        return -MOST_EVIDENCE
    p_inside = inside_mass(x, y, sigma, tail_weight, tail_ratio, place, parts, disc, xs, ys, rings, polygons)
    return evidence_of(p_inside, most_mass(sigma, tail_weight, tail_ratio, size[place, 0], size[place, 1]))


@kernel
def relaxed(logit: float, base: float, dt_s: float, relax_s: float) -> float:
    """Log odds after dt without a fix: the probability goes back to the base rate exponentially."""
    p = 1.0 / (1.0 + math.exp(-logit))
    p = base + (p - base) * math.exp(-dt_s / relax_s)
    return math.log(p / (1.0 - p))


@kernel
def filter_places(
    jobs: Any, states: Any, places: Any, bases: Any, singles: Any, changes: Any, checkpoints: Any,
    time_us: Any, lat_e7: Any, lon_e7: Any, sigma_m: Any, flags: Any, silence_us: Any, weightless: int,
    tail_weight: float, tail_ratio: float, raise_logit: float, clear_logit: float, relax_s: float, correlation_s: float,
    box: Any, size: Any, parts: Any, disc: Any, xs: Any, ys: Any, rings: Any, polygons: Any,
) -> tuple[int, int]:  # fmt: skip
    """The forward filter in event time: for every job, feed its fixes to its slot, and write the changes of state.

    jobs (n_jobs, 5) int64: slot, first row and last row + 1 in the fix columns (n,), the trail index of row 0 of the trail
    (row + offset = index), first row of `checkpoints` for it. A slot is one (wearer, place): states[slot] (FILTER_STATE) is
    read and left as after the last fix; places, bases (base rate) and singles (n_slots,) belong to it. silence_us (n,) is how
    long after a fix silence speaks.
    changes (CHANGE) is filled from the start; returns how many were written and how many jobs were done: fewer than
    n_jobs where there was no room left, then the last job's state is as before it. A copy of the state is written to
    `checkpoints` after each trail index that is a multiple of 512 (512, 1024, ...).
    """
    n_changes = 0
    for j in range(len(jobs)):
        slot, first, last, offset, kept = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3], jobs[j, 4]
        if n_changes + 2 * (last - first) + 2 > len(changes):
            return n_changes, j
        s = states[slot]
        place, base = places[slot], bases[slot]
        base_logit = math.log(base / (1.0 - base))
        west, south, east, north = box[place, 0], box[place, 1], box[place, 2], box[place, 3]
        area = size[place, 0]
        for i in range(first, last):
            index = i + offset
            if flags[i] & weightless == 0:
                # --- what this fix says: bounds from the box first, so that a far fix costs next to nothing
                x, y, sigma = lon_e7[i], lat_e7[i], sigma_m[i]
                dx, dy = max(west - x, x - east, 0.0), max(south - y, y - north, 0.0)
                far = False
                if dx > 0.0 or dy > 0.0:
                    kx, ky = size[place, 2], size[place, 3]
                    reach = FAR_SIGMAS * tail_ratio * sigma
                    far = (dx * kx) ** 2 + (dy * ky) ** 2 > reach * reach and area > 0.03 * reach * reach / (
                        FAR_SIGMAS * FAR_SIGMAS
                    )
                if far:
                    says = -MOST_EVIDENCE
                else:
                    says = place_evidence(
                        x, y, sigma, tail_weight, tail_ratio, size, place, parts, disc, xs, ys, rings, polygons
                    )
                if abs(says) >= LEAST_EVIDENCE:
                    sign = 1 if says > 0.0 else -1
                    dt_us = time_us[i] - s.last_us
                    if s.run_length > 0 and dt_us > s.last_silence_us:
                        # --- silence spoke between the last fix and this one
                        if singles[slot] and s.run_length == 1 and s.evidence >= raise_logit and s.state != IN:
                            _write(changes, n_changes, slot, SINGLE, s.last, s.run_start, s.last_out, s.logit, s.prior)
                            n_changes += 1
                        elif s.state != UNKNOWN:
                            _write(changes, n_changes, slot, UNKNOWN, s.last, s.last, -1, s.logit, s.prior)
                            n_changes += 1
                        s.state, s.run_length, s.run_sign, s.logit = UNKNOWN, 0, 0, base_logit
                    elif s.last < 0:
                        s.logit = base_logit
                    elif not (
                        far and s.logit == -MOST_LOGIT and s.state == OUT and dt_us >= 1_000_000 and sigma <= COARSE_M
                    ):
                        s.logit = relaxed(s.logit, base, dt_us * 1e-6, relax_s)
                    weight = 1.0
                    if sign == s.run_sign:
                        # errors of neighbouring fixes are alike: the nearer in time and the coarser, the less is new. A far
                        # fix on top of a sure `out` ends at the bound whatever its weight (tested), so that needs no exp
                        s.run_length += 1
                        if not (far and s.logit == -MOST_LOGIT):
                            weight = -math.expm1(-dt_us * 1e-6 / (correlation_s * max(1.0, sigma / COARSE_M)))
                    else:
                        s.run_sign, s.run_length, s.run_start, s.prior = sign, 1, index, s.logit
                    s.logit = min(MOST_LOGIT, max(-MOST_LOGIT, s.logit + weight * says))
                    s.last_us, s.last, s.evidence, s.last_silence_us = time_us[i], index, says, silence_us[i]
                    if sign > 0:
                        s.last_in = index
                        if s.run_length >= 2 and s.logit >= raise_logit and s.state != IN:
                            s.state = IN
                            _write(changes, n_changes, slot, IN, index, s.run_start, s.last_out, s.logit, s.prior)
                            n_changes += 1
                    else:
                        s.last_out = index
                        if s.run_length >= 2 and s.logit <= clear_logit and s.state != OUT:
                            s.state = OUT
                            _write(changes, n_changes, slot, OUT, index, s.run_start, s.last_in, s.logit, s.prior)
                            n_changes += 1
            if (index + 1) % 512 == 0:
                checkpoints[kept] = s
                kept += 1
    return n_changes, len(jobs)


@kernel
def _write(
    changes: Any, k: int, slot: int, state: int, at: int, began: int, after: int, logit: float, prior: float
) -> None:
    c = changes[k]
    c.slot, c.state, c.at, c.began, c.after = slot, state, at, began, after
    c.posterior, c.prior = 1.0 / (1.0 + math.exp(-logit)), prior
