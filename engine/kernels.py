"""Shared kernels: content hash, WGS84 distances, wearer of a fix, flags. Arrays only; units are in the names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel

_A_M = 6_378_137.0  # WGS84 semi-major axis
_F = 1.0 / 298.257223563  # flattening
_E2 = _F * (2.0 - _F)  # first eccentricity squared
_RAD_PER_E7 = math.pi / 180.0 * 1e-7


@kernel
def content_hash(
    c0: Any, c1: Any, c2: Any, c3: Any, c4: Any, c5: Any, c6: Any, c7: Any, c8: Any, c9: Any
) -> NDArray[np.int64]:
    """SplitMix64 (Steele, Lea, Flood 2014) folded over ten int32 columns of shape (n,); returns int64 (n,)."""
    n = len(c0)
    out = np.empty(n, np.int64)
    for i in range(n):
        h = np.uint64(0x243F6A8885A308D3)
        for v in (c0[i], c1[i], c2[i], c3[i], c4[i], c5[i], c6[i], c7[i], c8[i], c9[i]):
            h = (h ^ np.uint64(np.int64(v))) + np.uint64(0x9E3779B97F4A7C15)
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            h = h ^ (h >> np.uint64(31))
        out[i] = np.int64(h)
    return out


@kernel
def metres_per_e7(lat_e7: float) -> tuple[float, float]:
    """Metres along the meridian and along the parallel for 1e-7 degree at this latitude (WGS84 radii of curvature)."""
    s = math.sin(lat_e7 * _RAD_PER_E7)
    w2 = 1.0 - _E2 * s * s
    prime = _A_M / math.sqrt(w2)
    return prime * (1.0 - _E2) / w2 * _RAD_PER_E7, prime * math.cos(lat_e7 * _RAD_PER_E7) * _RAD_PER_E7


@kernel
def distance_m(lat1_e7: Any, lon1_e7: Any, lat2_e7: Any, lon2_e7: Any) -> float:
    """Distance of two points on WGS84 [m]: by the radii of curvature at the middle latitude where they are within 0.02
    degree (about 2 km; error below 1 mm up to 70 degrees of latitude), by Vincenty's inverse formula beyond."""
    dlat = float(np.int64(lat2_e7) - np.int64(lat1_e7))
    dlon = float(np.int64(lon2_e7) - np.int64(lon1_e7))
    if dlon > 1.8e9:
        dlon -= 3.6e9
    elif dlon < -1.8e9:
        dlon += 3.6e9
    if abs(dlat) < 2e5 and abs(dlon) < 2e5:
        ky, kx = metres_per_e7((float(lat1_e7) + float(lat2_e7)) * 0.5)
        return math.sqrt((dlat * ky) ** 2 + (dlon * kx) ** 2)
    return vincenty_m(lat1_e7 * _RAD_PER_E7, lat2_e7 * _RAD_PER_E7, dlon * _RAD_PER_E7)


@kernel
def vincenty_m(lat1: float, lat2: float, dlon: float) -> float:
    """The distance alone of `vincenty`."""
    return vincenty(lat1, lat2, dlon)[0]


@kernel
def vincenty(lat1: float, lat2: float, dlon: float) -> tuple[float, float]:
    """Distance and azimuth at the first point: Vincenty 1975, Survey Review 23(176), inverse [radians to m, radians].

    To 0.1 mm; near the antipode, where it does not converge, the great circle on the mean sphere (within 0.6 %)."""
    b_m = _A_M * (1.0 - _F)
    u1, u2 = math.atan((1.0 - _F) * math.tan(lat1)), math.atan((1.0 - _F) * math.tan(lat2))
    su1, cu1, su2, cu2 = math.sin(u1), math.cos(u1), math.sin(u2), math.cos(u2)
    lam = dlon
    for _ in range(50):
        sl, cl = math.sin(lam), math.cos(lam)
        ss = math.sqrt((cu2 * sl) ** 2 + (cu1 * su2 - su1 * cu2 * cl) ** 2)
        if ss == 0.0:
            return 0.0, 0.0
        cs = su1 * su2 + cu1 * cu2 * cl
        sigma = math.atan2(ss, cs)
        sa = cu1 * cu2 * sl / ss
        c2a = 1.0 - sa * sa
        c2m = cs - 2.0 * su1 * su2 / c2a if c2a > 0.0 else 0.0
        c = _F / 16.0 * c2a * (4.0 + _F * (4.0 - 3.0 * c2a))
        before = lam
        lam = dlon + (1.0 - c) * _F * sa * (sigma + c * ss * (c2m + c * cs * (2.0 * c2m * c2m - 1.0)))
        if abs(lam - before) < 1e-13:
            k2 = c2a * (_A_M * _A_M - b_m * b_m) / (b_m * b_m)
            big_a = 1.0 + k2 / 16384.0 * (4096.0 + k2 * (-768.0 + k2 * (320.0 - 175.0 * k2)))
            big_b = k2 / 1024.0 * (256.0 + k2 * (-128.0 + k2 * (74.0 - 47.0 * k2)))
            inner = cs * (2.0 * c2m * c2m - 1.0) - big_b / 6.0 * c2m * (4.0 * ss * ss - 3.0) * (4.0 * c2m * c2m - 3.0)
            azimuth = math.atan2(cu2 * sl, cu1 * su2 - su1 * cu2 * cl)
            return b_m * big_a * (sigma - big_b * ss * (c2m + big_b / 4.0 * inner)), azimuth
    h = math.sin((lat2 - lat1) * 0.5) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon * 0.5) ** 2
    y, x = (
        math.sin(dlon) * math.cos(lat2),
        math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(dlon),
    )
    return 2.0 * 6_371_008.8 * math.asin(min(1.0, math.sqrt(h))), math.atan2(y, x)


@kernel
def offset_m(lat_e7: Any, lon_e7: Any, to_lat_e7: Any, to_lon_e7: Any) -> tuple[float, float]:
    """A place as seen from another, x east and y north [m]: distance and direction are true (azimuthal equidistant)."""
    dlon = np.int64(to_lon_e7) - np.int64(lon_e7)
    if dlon > 1_800_000_000:
        dlon -= 3_600_000_000
    elif dlon < -1_800_000_000:
        dlon += 3_600_000_000
    apart_m, azimuth = vincenty(lat_e7 * _RAD_PER_E7, to_lat_e7 * _RAD_PER_E7, dlon * _RAD_PER_E7)
    return apart_m * math.sin(azimuth), apart_m * math.cos(azimuth)


@kernel
def distances_m(lat1_e7: Any, lon1_e7: Any, lat2_e7: Any, lon2_e7: Any) -> NDArray[np.float64]:
    """`distance_m` of pairs: four int32 columns of shape (n,) to float64 (n,) [m]."""
    out = np.empty(len(lat1_e7), np.float64)
    for i in range(len(out)):
        out[i] = distance_m(lat1_e7[i], lon1_e7[i], lat2_e7[i], lon2_e7[i])
    return out


@kernel
def find_interval(device: Any, time_us: Any, start: Any, count: Any, from_us: Any, to_us: Any) -> NDArray[np.int32]:
    """For each fix the index of the interval [from_us, to_us) of its device that holds it, else -1.

    device (n,) indexes start, count (n_devices,), which cut the sorted intervals (n_intervals,).
    """
    out = np.full(len(time_us), -1, np.int32)
    for i in range(len(time_us)):
        first = start[device[i]]
        for k in range(first + count[device[i]] - 1, first - 1, -1):
            if from_us[k] <= time_us[i]:
                if time_us[i] < to_us[k]:
                    out[i] = k
                break
    return out


@kernel
def fill_units(values: Any, scale: int, least: float, most: float, whole: bool, absent: int, out: Any) -> tuple[int, int]:
    """Write numbers (n,) times `scale` to the int32 column `out`, half to even in their decimal text, NaN as `absent`.

    Returns how many were NaN, and how many were not what they may be (from least to most, whole numbers where `whole`).
    Needs |value * scale| < 2**31: the product is then within 3e-7 of the truth, and only where it is nearer than 1e-3 to the
    half between two integers has that half, divided by the scale and correctly rounded, to decide.
    """
    n_absent, n_odd = 0, 0
    for i in range(len(values)):
        value = values[i]
        if math.isnan(value):
            n_absent += 1
            out[i] = absent
            continue
        if not least <= value <= most or (whole and math.floor(value) != value):
            n_odd += 1
            out[i] = absent
            continue
        product = value * scale
        below = math.floor(product)
        over = product - below
        if 0.499 < over < 0.501:
            half = (below + 0.5) / scale
            over = 1.0 if value > half or (value == half and below % 2 != 0) else 0.0
        out[i] = np.int64(below) + (1 if over > 0.5 else 0)
    return n_absent, n_odd


@kernel
def fill_seconds(times: Any, per_second: int, seconds: Any) -> tuple[int, int]:
    """Write times (n,), so many units a second, as whole seconds rounded down; returns the least and the most of them."""
    least, most = 2**62, -(2**62)
    for i in range(len(times)):
        second = times[i] // per_second
        seconds[i] = second
        least, most = min(least, second), max(most, second)
    return least, most


@kernel
def survey_rows(device: Any, row: int, found: Any) -> int:
    """Note of each device how many rows (n,) it has, its first and its last; returns in how many runs they come.

    `row` is the number of the first of these rows; found (n_devices, 3) int64 is added to.
    """
    before, n_runs = -1, 0
    for i in range(len(device)):
        d = device[i]
        if found[d, 0] == 0:
            found[d, 1] = row + i
        found[d, 0] += 1
        found[d, 2] = row + i
        if d != before:
            n_runs += 1
        before = d
    return n_runs


@kernel
def count_owners(owner: Any, counts: Any) -> bool:
    """Add up in counts (n_owners,) how many rows (n,) each owner has, -1 for nobody; whether all have one and are in order."""
    in_order, before = True, 0
    for i in range(len(owner)):
        if owner[i] >= 0:
            counts[owner[i]] += 1
        in_order = in_order and owner[i] >= before
        before = owner[i]
    return in_order


@kernel
def place_rows(owner: Any, places: Any, rows: Any) -> None:
    """Write the rows (n,) of each owner one after the other, in their order, from places[owner] on; nobody's are left out."""
    for i in range(len(owner)):
        if owner[i] >= 0:
            rows[places[owner[i]]] = i
            places[owner[i]] += 1


FLAG_STATE = np.dtype((np.record,
    [("base_us", "i8"), ("base_lat", "i8"), ("base_lon", "i8"), ("base_radius_m", "f8"), ("has_base", "i8"),
     ("suspect_us", "i8"), ("suspect_lat", "i8"), ("suspect_lon", "i8"), ("suspect_radius_m", "f8"),
     ("has_suspect", "i8"), ("n_fast", "i8")]
))  # fmt: skip
"""What the causal plausibility check remembers of one wearer: the last believed fix, and a suspect that may become it."""


@kernel
def joining_speed_mps(
    t1_us: int, lat1: int, lon1: int, r1_m: float, t2_us: int, lat2: int, lon2: int, r2_m: float
) -> float:
    """The lowest speed [m/s] that joins two fixes, their radii used up; 0 where their circles meet."""
    apart_m = distance_m(lat1, lon1, lat2, lon2) - r1_m - r2_m
    if apart_m <= 0.0:
        return 0.0
    dt_us = t2_us - t1_us
    return apart_m / (dt_us * 1e-6) if dt_us > 0 else np.inf


_MOST_M_PER_E7 = 0.01118  # no 1e-7 degree is longer, of latitude or of longitude


@kernel
def surely_slow(dt_us: int, dlat: int, dlon: int, radii_m: float, fast_mps: float) -> bool:
    """Whether two fixes join below a speed by a bound without trigonometry; False where only the exact speed can tell.

    It is true only where `joining_speed_mps` is at most fast_mps: the bound on the distance is 0.09 % above any true one.
    """
    if abs(dlat) >= 200_000 or abs(dlon) >= 200_000:
        return False
    limit_m = radii_m + fast_mps * (dt_us * 1e-6)
    return float(dlat * dlat + dlon * dlon) * (_MOST_M_PER_E7 * _MOST_M_PER_E7) <= limit_m * limit_m


@kernel
def _flag_run(
    s: Any, start: int, stop: int, time_us: Any, lat_e7: Any, lon_e7: Any, radius_m: Any, flags: Any,
    most_mps: float, fast_mps: float, weightless: int, implausible: int,
) -> None:  # fmt: skip
    """`flag_implausible` for the rows start:stop; s (FLAG_STATE) is read and left as after the last of them."""
    for i in range(start, stop):
        flags[i] &= 255 ^ implausible
        if flags[i] & weightless:
            continue
        believed = True
        if s.has_base:
            dlat, dlon = np.int64(lat_e7[i]) - s.base_lat, np.int64(lon_e7[i]) - s.base_lon
            if surely_slow(time_us[i] - s.base_us, dlat, dlon, s.base_radius_m + radius_m[i], fast_mps):
                s.n_fast = 0
            else:
                speed = joining_speed_mps(
                    s.base_us, s.base_lat, s.base_lon, s.base_radius_m, time_us[i], lat_e7[i], lon_e7[i], radius_m[i]
                )
                s.n_fast = s.n_fast + 1 if speed > fast_mps else 0
                believed = speed <= most_mps and s.n_fast < 3
            if not believed and s.has_suspect:
                speed = joining_speed_mps(
                    s.suspect_us, s.suspect_lat, s.suspect_lon, s.suspect_radius_m,
                    time_us[i], lat_e7[i], lon_e7[i], radius_m[i],
                )  # fmt: skip
                believed = speed <= fast_mps
        if believed:
            s.base_us, s.base_lat, s.base_lon = time_us[i], lat_e7[i], lon_e7[i]
            s.base_radius_m, s.has_base, s.has_suspect = radius_m[i], 1, 0
            if s.n_fast >= 3:
                s.n_fast = 0
        else:
            flags[i] |= implausible
            s.suspect_us, s.suspect_lat, s.suspect_lon = time_us[i], lat_e7[i], lon_e7[i]
            s.suspect_radius_m, s.has_suspect = radius_m[i], 1


@kernel
def flag_implausible(
    first: int, every: int, states: Any, time_us: Any, lat_e7: Any, lon_e7: Any, radius_m: Any, flags: Any,
    most_mps: float, fast_mps: float, weightless: int, implausible: int,
) -> None:  # fmt: skip
    """Set the implausible bit where no plausible path leads on from the fixes before; causal, in event-time order.

    The columns (n,) are one wearer's. states[k] (FLAG_STATE, n // every + 2 of them) is the state after every * k fixes: it
    goes on from states[first], and writes those after it; the last is as after the last fix. A fix that contradicts the base
    is suspect; it becomes the new base when the next fix agrees with it. Over most_mps at once, or over fast_mps three times
    in a row, is a contradiction.
    """
    k = first
    while k * every < len(time_us):
        states[k + 1] = states[k]
        _flag_run(
            states[k + 1], k * every, min((k + 1) * every, len(time_us)), time_us, lat_e7, lon_e7, radius_m, flags,
            most_mps, fast_mps, weightless, implausible,
        )  # fmt: skip
        k += 1


@kernel
def flag_same_time(
    device: Any, time_us: Any, lat_e7: Any, lon_e7: Any, radius_m: Any, exclusion_m: Any, flags: Any,
    same_time: int, contradictory: int, set_aside: int,
) -> None:  # fmt: skip
    """Flag fixes of one device and instant but other content; columns (n,) in the order (time, device, content).

    Where each lies within the other's 99.9 % radius the most accurate keeps its weight (tie: the first in content order)
    and the others are set aside; where any two do not, all of them are contradictory.
    """
    n = len(time_us)
    i = 0
    while i < n:
        j = i + 1
        while j < n and time_us[j] == time_us[i] and device[j] == device[i]:
            j += 1
        for k in range(i, j):
            flags[k] &= 255 ^ (same_time | contradictory | set_aside)
        if j - i > 1:
            agree, best = True, i
            for k in range(i, j):
                if radius_m[k] < radius_m[best]:
                    best = k
                for m in range(i, k):
                    reach = min(exclusion_m[k], exclusion_m[m])
                    if distance_m(lat_e7[k], lon_e7[k], lat_e7[m], lon_e7[m]) > reach:
                        agree = False
            for k in range(i, j):
                flags[k] |= same_time
                if not agree:
                    flags[k] |= contradictory
                elif k != best:
                    flags[k] |= set_aside
        i = j
