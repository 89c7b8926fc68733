"""The law of the four verdicts in plain words of geometry, beside the engine: pyproj for places, areas by integration, the
reachable set by a search for a common point of three discs at an instant. Slow, and nothing of it is the engine's."""

from itertools import combinations, pairwise
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from pyproj import Geod
from scipy.integrate import quad
from scipy.optimize import minimize

from engine.flags import CONTRADICTORY, IMPLAUSIBLE

WGS84 = Geod(ellps="WGS84")
UNSURE_M = 0.05
"""Two shapes that miss or overlap each other by less are not judged: the plane here is drawn about the crime."""
AHEAD, BESIDE, MOST_DOUBTS, LONG_RUN = 32, 41, 12, 8
"""The engine compares each fix with so many after it; so many on each side of the window can matter; where more fixes contradict
others, or a longer run does, the engine may leave all of them out, and the law is not asked."""


class Fix(NamedTuple):
    """A fix that carries weight: time [s], metres east and north of the crime, true distance from it, both radii [m]."""

    t: float
    x: float
    y: float
    apart: float
    circle: float
    exclusion: float
    lat: float
    lon: float


def fixes_of(trail, question):
    """The weighty fixes of the window and some on each side, with times counted from its start, in the plane about the crime
    in which distances and bearings from it are true."""
    kept = np.flatnonzero(trail.carries_weight())
    time_us = trail.fixes.time_us[kept]
    first, last = np.searchsorted(time_us, (question.start_us, question.end_us))
    kept = kept[max(0, first - BESIDE) : last + BESIDE]
    lat, lon = trail.fixes.lat_e7[kept] / 1e7, trail.fixes.lon_e7[kept] / 1e7
    n = len(kept)
    azimuth, _, apart = WGS84.inv(np.full(n, question.lon_e7 / 1e7), np.full(n, question.lat_e7 / 1e7), lon, lat)
    x, y = apart * np.sin(np.radians(azimuth)), apart * np.cos(np.radians(azimuth))
    t = (trail.fixes.time_us[kept] - question.start_us) / 1e6
    columns = np.column_stack([t, x, y, apart, trail.radius_m[kept], trail.exclusion_m[kept], lat, lon])
    return [Fix(*row) for row in columns.tolist()]


def share_inside(apart, circle, vicinity):
    """Share of a circle that lies in the vicinity, by summing up chords."""
    if circle == 0:
        return float(apart <= vicinity)

    def chord(x):
        return 2 * sqrt(max(0.0, min(circle**2 - x**2, vicinity**2 - (x - apart) ** 2)))

    low, high = max(-circle, apart - vicinity), min(circle, apart + vicinity)
    if low >= high:
        return 0.0
    meet = (circle**2 - vicinity**2 + apart**2) / (2 * apart) if apart else low
    points = [meet] if low < meet < high else None
    return quad(chord, low, high, points=points, limit=400, epsabs=1e-9 * circle**2)[0] / (np.pi * circle**2)


def verdict(trail, question):
    """The verdict that the law gives, or None where it hangs on less than rounding or too many fixes contradict each other."""
    fixes = fixes_of(trail, question)
    length = (question.end_us - question.start_us) / 1e6
    inside = [fix for fix in fixes if 0 <= fix.t <= length]
    shares = [share_inside(f.apart, f.circle, question.radius_m) for f in inside if f.apart < question.radius_m + f.circle]
    if sum(share >= 0.5 + 1e-5 for share in shares) >= question.min_fixes:
        return "placed"
    if any(abs(share - 0.5) < 1e-5 for share in shares):
        return None
    meets = could_be_there(fixes, length, question.reach_m, question.max_speed_mps) if fixes else True
    if meets is None:
        return None
    if not meets and not strays(trail, question):
        return "excluded"
    return "possible" if inside else "unmonitored"


def strays(trail, question):
    """Whether a fix of the window that was left out as wrong has a circle at the place: then nobody is excluded."""
    wrong = np.flatnonzero(trail.flags & (IMPLAUSIBLE | CONTRADICTORY))
    time_us = trail.fixes.time_us[wrong]
    wrong = wrong[(time_us >= question.start_us) & (time_us <= question.end_us)]
    n, place = len(wrong), (question.lon_e7 / 1e7, question.lat_e7 / 1e7)
    places = trail.fixes.lon_e7[wrong] / 1e7, trail.fixes.lat_e7[wrong] / 1e7
    apart = WGS84.inv(np.full(n, place[0]), np.full(n, place[1]), *places)[2]
    return bool(np.any(apart <= trail.radius_m[wrong] + question.reach_m))


def could_be_there(fixes, length, reach, speed):
    """Whether some explanation of the fixes lets the wearer be in the vicinity at some instant from 0 to length."""
    conflicts = conflicts_of(fixes, speed)
    doubts = sorted({k for pair in conflicts for k in pair})
    if len(doubts) > MOST_DOUBTS or longest_run(doubts) > LONG_RUN:
        return None
    answers = [meets(fixes, out, length, reach, speed) for out in left_out(doubts, conflicts)]
    return True if True in answers else None if None in answers else False


def conflicts_of(fixes, speed):
    """Pairs of fixes, no more than so many apart, that no path at this speed joins."""
    found = set()
    lat, lon = np.array([f.lat for f in fixes]), np.array([f.lon for f in fixes])
    t, r = np.array([f.t for f in fixes]), np.array([f.exclusion for f in fixes])
    for k in range(1, min(AHEAD + 1, len(fixes))):
        apart = WGS84.inv(lon[:-k], lat[:-k], lon[k:], lat[k:])[2]
        found |= {(int(i), int(i) + k) for i in np.flatnonzero(apart - r[:-k] - r[k:] > speed * (t[k:] - t[:-k]))}
    return found


def left_out(doubts, conflicts):
    """The sets of fixes that may be left out: what is left contradicts nothing, and none of them could be put back."""
    for n in range(len(doubts) + 1):
        for out in map(set, combinations(doubts, n)):
            calm = all(i in out or j in out for i, j in conflicts)
            if calm and all(any((i == k and j not in out) or (j == k and i not in out) for i, j in conflicts) for k in out):
                yield out


def longest_run(doubts):
    """The length of the longest run of neighbours."""
    longest = run = 0
    for before, after in pairwise([-9, *doubts]):
        run = run + 1 if after == before + 1 else 1
        longest = max(longest, run)
    return longest


def meets(fixes, out, length, reach, speed):
    """Whether the reachable set of those that are not left out meets the vicinity; None where that hangs on rounding. In a
    gap whose fixes do not bound an instant (none before and none after) it is everywhere."""
    kept = [fix for k, fix in enumerate(fixes) if k not in out]
    if not kept:
        return True
    unsure = False
    for one, two in pairwise([None, *kept, None]):
        start, end = max(0.0, one.t if one else -inf), min(length, two.t if two else inf)
        if start > end:
            continue
        slack = least_slack(one, two, start, end, reach, speed)
        if slack <= -UNSURE_M:
            return True
        unsure = unsure or slack < UNSURE_M
    return None if unsure else False


def least_slack(one, two, start, end, reach, speed):
    """By how much the vicinity and the discs of the fixes before and after miss a common point at the best instant [m].

    Convex in place and time together. Where distances alone tell, more than UNSURE_M to either side, no search is made.
    """
    discs = [(f, s) for f, s in ((one, 1.0), (two, -1.0)) if f is not None]
    widest = [f.exclusion + speed * (end - f.t if s > 0 else f.t - start) for f, s in discs]
    short = max(f.apart - w - reach for (f, _), w in zip(discs, widest, strict=True))
    if len(discs) == 2:
        short = max(short, (one.apart + two.apart - one.exclusion - two.exclusion - speed * (two.t - one.t)) / 2 - reach)
    if short > 1.0:
        return short
    late = max([start, *(f.t + (f.apart - f.exclusion + 1.0) / speed for f, s in discs if s > 0)])
    soon = min([end, *(f.t - (f.apart - f.exclusion + 1.0) / speed for f, s in discs if s < 0)])
    if late <= soon:  # at these instants the crime's own place lies a metre inside
        return -min(1.0, reach)

    def gaps(z):
        x, y, t = z[0] * reach, z[1] * reach, z[2]
        own = [sqrt((x - f.x) ** 2 + (y - f.y) ** 2 + 1e-12) - f.exclusion - speed * s * (t - f.t) for f, s in discs]
        return np.array([*own, sqrt(x * x + y * y + 1e-12) - reach])

    best = inf
    for t0 in np.linspace(start, end, 3):
        towards = np.mean([[f.x, f.y] for f, _ in discs], axis=0)
        z0 = np.array([*(0.5 * towards / max(reach, np.hypot(*towards))), t0])
        best = min(best, float(gaps(z0).max()))
        result = minimize(
            lambda z: z[3] * 100.0, np.append(z0, gaps(z0).max() / 100.0), method="SLSQP",
            constraints={"type": "ineq", "fun": lambda z: z[3] - gaps(z) / 100.0},
            bounds=[(-2, 2), (-2, 2), (start, end), (None, None)], options={"maxiter": 200, "ftol": 1e-9},
        )  # fmt: skip
        best = min(best, float(gaps([result.x[0], result.x[1], min(end, max(start, result.x[2]))]).max()))
        if best <= -UNSURE_M:
            break
    return best
