"""Kernels that find the pairs of crimes and wearers that are not excluded: by the hours' summaries, or in one pass.

Both pass over fixes only where the reachable set surely stays outside the vicinity; crimes are as in `pair_kernels`. Pairs go
to three columns, crime, wearer and code, and a kernel that finds no room left returns where to go on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crime_match.batch.pair_kernels import (
    DOUBTED,
    MEETS,
    OUTSIDE,
    OUTSIDE_UNSEEN,
    PLACING_M,
    code_of,
    doubt_may_reach,
    first_at_or_after,
    gap_meets,
    in_doubt,
    look_at,
    pair_code,
)
from crime_match.reach_kernels import LEAST_M_PER_E7, apart_at_least_m, parallel_m
from engine.jit import kernel
from engine.track_kernels import HOUR_US, LONG_GAP, NEVER_US, SHORT_US

BUCKET_BITS = 31
"""Crimes are found by stretches of 2^31 us, 36 minutes."""
CELL_BITS = 18
"""And by cells of 2^18 1e-7 degree, 2.9 km of latitude."""
_BLOCK = 64  # so many fixes of a wearer are looked up together
_FEW = 16  # and where a crime may be near, so many are looked at together
FAR_M = 200_000.0


@kernel
def box_apart_m(lat_e7: Any, lon_e7: Any, parallel: float, south: Any, west: Any, north: Any, east: Any) -> float:
    """A bound below on the distance of a crime from a box [m]; 0 in it."""
    below, above = np.int64(south) - lat_e7, lat_e7 - np.int64(north)
    dlat: Any = max(0, below, above)
    left, right = np.int64(west) - lon_e7, lon_e7 - np.int64(east)
    dlon: Any = max(0, left, right)
    if dlon > 0:  # or the other way round the earth
        dlon = min(dlon, 3_600_000_000 + min(left, right))
    return apart_at_least_m(float(dlat), float(dlon), parallel)


@kernel
def block_end(i: Any, a: Any, b: Any, tick: Any, short_ticks: Any, size: int) -> Any:
    """The last row of the block that begins at row i: a run of up to so many short gaps, or one gap; a - 1 and b stand for
    open ends."""
    j = i + 1
    if i < a or j >= b or np.int64(tick[j]) - np.int64(tick[i]) > short_ticks:
        return j
    ticks, longest = tick[i : min(i + size, b - 1) + 1], np.int64(0)
    for k in range(1, len(ticks)):  # of its own slice: the compiler makes vectors of such a loop
        longest = max(longest, np.int64(ticks[k]) - np.int64(ticks[k - 1]))
    if longest <= short_ticks:
        return i + len(ticks) - 1
    while np.int64(tick[j + 1]) - np.int64(tick[j]) <= short_ticks:
        j += 1
    return j


@kernel
def block_bounds(
    i: Any, j: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any, joining: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Of the rows i to j: south, west, north, east, the largest exclusion radius [cm], `joining`, and gap [ticks]."""
    lats, lons, errors, fast, ticks = (
        lat_e7[i : j + 1],
        lon_e7[i : j + 1],
        error[i : j + 1],
        joining[i : j + 1],
        tick[i : j + 1],
    )
    south, north, west, east = lats[0], lats[0], lons[0], lons[0]
    exclusion_cm, fastest, gap = radii_cm[errors[0], 1], fast[0], np.int64(0)
    for k in range(len(lats)):  # of their own slices: the compiler makes vectors of such loops
        south, north = min(south, lats[k]), max(north, lats[k])
    for k in range(len(lons)):
        west, east = min(west, lons[k]), max(east, lons[k])
    for k in range(len(fast)):
        fastest = max(fastest, fast[k])
    for k in range(len(errors)):
        exclusion_cm = max(exclusion_cm, radii_cm[errors[k], 1])
    for k in range(1, len(ticks)):
        gap = max(gap, np.int64(ticks[k]) - np.int64(ticks[k - 1]))
    return np.int64(south), np.int64(west), np.int64(north), np.int64(east), np.int64(exclusion_cm), np.int64(fastest), gap


@kernel
def look_by_blocks(
    first_gap: Any, last_gap: Any, low: Any, stop: Any, n: Any, seen: Any, may_place: bool, a: Any, b: Any, one: Any,
    shape: Any, max_speed_mps: float, short_ticks: Any, base_us: int, tick_us: int, tick: Any, lat_e7: Any, lon_e7: Any,
    error: Any, radii_cm: Any, joining: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """`look_at`, but blocks of fixes that are surely elsewhere are passed over, and so may long gaps be."""
    i = first_gap
    while i <= last_gap and n < one[4] and (may_place or not seen & MEETS):
        j = min(block_end(i, a, b, tick, short_ticks, _FEW), last_gap + 1)
        from_row, to_row = low if i == first_gap else max(low, i), stop if j > last_gap else min(stop, j)
        south, west, north, east, exclusion_cm, fastest, gap = block_bounds(
            min(max(i, a), from_row), max(min(j, b - 1), to_row - 1), tick, lat_e7, lon_e7, error, radii_cm, joining
        )
        reach_m = shape[0] + PLACING_M
        if not seen & MEETS:
            reach_m = shape[1] + exclusion_cm * 0.01 + 1.0
            if gap <= short_ticks:  # long gaps are looked at by their list
                reach_m += max_speed_mps * (gap * tick_us * 1e-6) * 0.5
        near = in_doubt(fastest, max_speed_mps) or reach_m >= FAR_M
        if near or box_apart_m(one[0], one[1], shape[2], south, west, north, east) <= reach_m:
            n, seen = look_at(
                i, j - 1, from_row, to_row, n, seen, may_place, a, b, one, shape, max_speed_mps,
                base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining,
            )  # fmt: skip
        i = j
    return n, seen


@kernel
def gap_reaches(ends: Any, one: Any, shape: Any, max_speed_mps: float) -> bool:
    """Whether the prism of a long gap, a row of `engine.hours.Hours.gaps`, meets the vicinity; without any fix it does."""
    has_one, has_two = ends[0] != -NEVER_US, ends[1] != NEVER_US
    if not has_one and not has_two:
        return True
    # the end that is there stands in for the other one, which is not read
    lat1, lon1, lat2, lon2 = (ends[2], ends[3], ends[4], ends[5]) if has_one else (ends[4], ends[5], ends[4], ends[5])
    if not has_two:
        lat2, lon2 = lat1, lon1
    return bool(gap_meets(
        has_one, ends[0], lat1, lon1, ends[6] / 100.0, has_two, ends[1], lat2, lon2, ends[7] / 100.0, one, shape, max_speed_mps
    ))  # fmt: skip


@kernel
def sees_fix(
    w: int, first: Any, last: Any, one: Any, first_hour: int, gap_s: Any, row: Any, base_us: int, tick_us: int, tick: Any
) -> bool:
    """Whether a wearer has a fix in the window, which meets the hours first to last; read only where the hours do not tell."""
    for hour in range(first, last + 1):
        opens = max(one[2], (hour + first_hour) * HOUR_US)
        closes = min(one[3], (hour + first_hour + 1) * HOUR_US - 1)
        if gap_s[hour, w] != LONG_GAP and closes - opens >= SHORT_US:
            return True
        if row[hour, w] != row[hour + 1, w] and closes - opens == HOUR_US - 1:
            return True
    low, high = np.int64(row[first, w]), np.int64(row[last + 1, w])
    low = first_at_or_after(tick, low, high, base_us, tick_us, one[2])
    return bool(low < high and base_us + np.int64(tick[low]) * tick_us <= one[3])


@kernel
def near_by_hours(
    from_crime: int, crimes: Any, shapes: Any, max_speed_mps: float, first_hour: int, box: Any, reach_cm: Any, gap_s: Any,
    fastest: Any, row: Any, long_start: Any, gap_wearer: Any, gap: Any, gap_fastest: Any, gaps: Any,
    base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any, joining: Any,
    from_wearer: int, to_wearer: int, seen: Any, n_placing: Any, crime: Any, wearer: Any, code: Any,
) -> tuple[int, int]:  # fmt: skip
    """Pairs of the crimes from from_crime on with the wearers from from_wearer to to_wearer, crime after crime, wearers
    ascending; needs room for all these wearers of one.

    Only the fixes of hours whose summary does not keep the wearer away are read. seen and n_placing (n_wearers,) are used
    up. Returns the next crime to go on with, and how many pairs were written.
    """
    n_hours, wearers = len(reach_cm), range(from_wearer, to_wearer)
    short_ticks = np.int64(SHORT_US) // tick_us
    n = 0
    for c in range(from_crime, len(crimes)):
        if n + len(wearers) > len(crime):
            return c, n
        one, shape = crimes[c], shapes[c]
        seen[from_wearer:to_wearer], n_placing[from_wearer:to_wearer] = 0, 0
        first, last = one[2] // HOUR_US - first_hour, one[3] // HOUR_US - first_hour
        if first < 0 or last >= n_hours:  # in part before the first fix of all, or after the last one
            for w in wearers:
                found = pair_code(
                    one, shape, max_speed_mps, start[w], start[w + 1],
                    base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining,
                )  # fmt: skip
                if found not in (OUTSIDE, OUTSIDE_UNSEEN):
                    crime[n], wearer[n], code[n] = c, w, found
                    n += 1
            continue
        for hour in range(first, last + 1):
            opens = max(one[2], (hour + first_hour) * HOUR_US)
            closes = min(one[3], (hour + first_hour + 1) * HOUR_US - 1)
            is_whole = closes - opens == HOUR_US - 1
            for w in wearers:
                if n_placing[w] >= one[4]:
                    continue
                by_gap_m = shape[1] + reach_cm[hour, w] * 0.01 + 1.0
                by_gap_m += max_speed_mps * min(float(gap_s[hour, w]), SHORT_US * 1e-6) * 0.5
                may_place = True
                if not in_doubt(fastest[hour, w], max_speed_mps) and by_gap_m < FAR_M:
                    apart_m = box_apart_m(
                        one[0], one[1], shape[2], box[hour, w, 0], box[hour, w, 1], box[hour, w, 2], box[hour, w, 3]
                    )
                    may_place = apart_m <= shape[0] + PLACING_M
                    if not may_place and (seen[w] & MEETS or apart_m > by_gap_m):
                        continue
                a, b = start[w], start[w + 1]
                low, high = np.int64(row[hour, w]), np.int64(row[hour + 1, w])
                if low == high:
                    continue
                stop, begins, ends = high, low - 1, high - 1
                if is_whole:
                    while begins + 1 < stop and base_us + np.int64(tick[begins + 1]) * tick_us == opens:
                        begins += 1
                    while ends > begins and base_us + np.int64(tick[ends]) * tick_us == closes:
                        ends -= 1
                else:
                    stop = first_at_or_after(tick, low, high, base_us, tick_us, closes + 1)
                    low = first_at_or_after(tick, low, stop, base_us, tick_us, opens)
                    begins = first_at_or_after(tick, low, stop, base_us, tick_us, opens + 1) - 1
                    ends = first_at_or_after(tick, low, stop, base_us, tick_us, closes) - 1
                    if opens == closes and hour > first:  # the window's last instant: its gap is the one that ends with it
                        begins = ends
                    ends = max(ends, begins)
                n_placing[w], seen[w] = look_by_blocks(
                    begins, ends, low, stop, n_placing[w], seen[w], may_place, a, b, one, shape, max_speed_mps, short_ticks,
                    base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining,
                )  # fmt: skip
            listed = gap_wearer[long_start[hour] : long_start[hour + 1]]
            for k in range(long_start[hour] + np.searchsorted(listed, from_wearer), long_start[hour + 1]):
                w = gap_wearer[k]
                if w >= to_wearer:
                    break
                if seen[w] & MEETS or n_placing[w] >= one[4]:
                    continue
                ends = gaps[gap[k]]
                if ends[1] <= one[2] or (ends[0] >= one[3] and ends[0] != one[2]):
                    continue  # it meets the hour, not the window
                if in_doubt(gap_fastest[k], max_speed_mps):
                    a, b = start[w], start[w + 1]
                    g = first_at_or_after(tick, a, b, base_us, tick_us, ends[0] + 1) - 1
                    if not seen[w] and doubt_may_reach(
                        g, a, b, one, shape, max_speed_mps, base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining
                    ):
                        seen[w] = DOUBTED
                elif gap_reaches(ends, one, shape, max_speed_mps):
                    seen[w] |= MEETS
        for w in wearers:
            if seen[w] or n_placing[w] >= one[4]:
                has_fix = n_placing[w] > 0 or sees_fix(w, first, last, one, first_hour, gap_s, row, base_us, tick_us, tick)
                crime[n], wearer[n], code[n] = c, w, code_of(n_placing[w], seen[w], has_fix, one)
                n += 1
    return len(crimes), n


@kernel
def slot_of(bucket: Any, row: Any, column: Any, mask: Any) -> Any:
    """Where the crimes of a bucket and cell are found: a hash, which two cells may share."""
    h = (np.uint64(bucket) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(row) * np.uint64(0xC2B2AE3D27D4EB4F))
    h = (h ^ (np.uint64(column) * np.uint64(0x165667B19E3779F9))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64((h >> np.uint64(20)) & np.uint64(mask))


@kernel
def count_entries(crimes: Any, first_bucket: Any, by_time: Any, by_cell: Any) -> None:
    """Count of each crime the buckets of its window in by_time (n_buckets + 1,) and by_cell (n_slots + 1,), one place on."""
    mask = len(by_cell) - 2
    for c in range(len(crimes)):
        row, column = crimes[c, 0] >> CELL_BITS, crimes[c, 1] >> CELL_BITS
        for bucket in range((crimes[c, 2] >> BUCKET_BITS) - first_bucket, (crimes[c, 3] >> BUCKET_BITS) - first_bucket + 1):
            by_time[bucket + 1] += 1
            by_cell[slot_of(bucket, row, column, mask) + 1] += 1


@kernel
def fill_entries(crimes: Any, first_bucket: Any, time_next: Any, time_crime: Any, cell_next: Any, cell_crime: Any) -> None:
    """Write the crimes to the places that `count_entries`, added up, leaves for them; the columns of places are used up."""
    mask = len(cell_next) - 2
    for c in range(len(crimes)):
        row, column = crimes[c, 0] >> CELL_BITS, crimes[c, 1] >> CELL_BITS
        for bucket in range((crimes[c, 2] >> BUCKET_BITS) - first_bucket, (crimes[c, 3] >> BUCKET_BITS) - first_bucket + 1):
            time_crime[time_next[bucket]] = c
            time_next[bucket] += 1
            slot = slot_of(bucket, row, column, mask)
            cell_crime[cell_next[slot]] = c
            cell_next[slot] += 1


@kernel
def cells_about(south: Any, west: Any, north: Any, east: Any, grown_m: float) -> tuple[Any, ...]:
    """The first and last row and column of cells within grown_m of a box; no row where cells do not tell (the last before
    the first): about the poles and the antimeridian."""
    parallel = parallel_m(float(min(max(abs(south), abs(north)), 900_000_000)))
    if parallel < 1e-4:
        return 0, -1, 0, -1
    margin, aside = np.int64(grown_m / LEAST_M_PER_E7) + 1, np.int64(grown_m / parallel) + 1
    if west - aside < -1_800_000_000 or east + aside > 1_800_000_000:
        return 0, -1, 0, -1
    return (
        (south - margin) >> CELL_BITS, (north + margin) >> CELL_BITS, (west - aside) >> CELL_BITS, (east + aside) >> CELL_BITS
    )  # fmt: skip


@kernel
def list_crimes(
    mark: Any, from_us: Any, to_us: Any, first: Any, last: Any, row0: Any, row1: Any, column0: Any, column1: Any,
    crimes: Any, time_start: Any, time_crime: Any, cell_start: Any, cell_crime: Any, looked: Any, listed: Any,
) -> Any:  # fmt: skip
    """Write to listed the crimes whose windows meet a block, each once, by the buckets first to last; returns how many.

    They are found by cells where that is quicker than by time alone; looked (n_crimes,) is set to the block's mark.
    """
    mask, n = len(cell_start) - 2, 0
    n_cells = (row1 - row0 + 1) * (column1 - column0 + 1)
    for bucket in range(first, last + 1):
        by_cells = 0 < n_cells < time_start[bucket + 1] - time_start[bucket]
        for cell in range(n_cells if by_cells else 1):
            low, high, found = time_start[bucket], time_start[bucket + 1], time_crime
            if by_cells:
                slot = slot_of(
                    bucket, row0 + cell // (column1 - column0 + 1), column0 + cell % (column1 - column0 + 1), mask
                )
                low, high, found = cell_start[slot], cell_start[slot + 1], cell_crime
            for k in range(low, high):
                c = found[k]
                if looked[c] != mark and crimes[c, 2] <= to_us and crimes[c, 3] >= from_us:
                    looked[c] = mark
                    listed[n] = c
                    n += 1
    return n


@kernel
def near_by_scan(
    from_wearer: int, to_wearer: int, crimes: Any, shapes: Any, widest_m: float, max_speed_mps: float,
    first_bucket: int, time_start: Any, time_crime: Any, cell_start: Any, cell_crime: Any,
    base_us: int, tick_us: int, start: Any, tick: Any, lat_e7: Any, lon_e7: Any, error: Any, radii_cm: Any, joining: Any,
    stamp: Any, looked: Any, listed: Any, seen: Any, n_placing: Any, crime: Any, wearer: Any, code: Any,
) -> tuple[int, int]:  # fmt: skip
    """Pairs of the wearers from from_wearer to to_wearer, wearer after wearer; needs room for all crimes of one.

    The crimes are found by time_start (n_buckets + 1,), time_crime and cell_start (n_slots + 1,), cell_crime; widest_m is
    the largest radius that is asked about; stamp and looked (n_crimes,) start below 0; listed, seen and n_placing
    (n_crimes,) are used up. Of the block of the rows i to j the fixes i to j - 1 count, and the gaps between all. Returns
    the next wearer to go on with, and how many pairs were written.
    """
    n_buckets = len(time_start) - 1
    short_ticks = np.int64(SHORT_US) // tick_us
    n = 0
    for w in range(from_wearer, to_wearer):
        if n + len(crimes) > len(crime):
            return w, n
        a, b = start[w], start[w + 1]
        found, n_found = crime[n:], 0
        j = a - 1
        while j < b:
            i = j
            j = block_end(i, a, b, tick, short_ticks, _BLOCK)
            is_open = i < a or j >= b
            from_us = base_us + np.int64(tick[i]) * tick_us if i >= a else np.int64(-(2**62))
            to_us = base_us + np.int64(tick[j]) * tick_us if j < b else np.int64(2**62)
            first: Any = max((from_us >> BUCKET_BITS) - first_bucket, 0)
            last: Any = min((to_us >> BUCKET_BITS) - first_bucket, n_buckets - 1)
            if first > last or time_start[first] == time_start[last + 1]:
                continue
            south, west, north, east = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            exclusion_cm, fastest, gap = np.int64(0), np.int64(0), np.int64(0)
            if not is_open:
                south, west, north, east, exclusion_cm, fastest, gap = block_bounds(
                    i, j, tick, lat_e7, lon_e7, error, radii_cm, joining
                )
            by_gap_m = exclusion_cm * 0.01 + 1.0 + max_speed_mps * (gap * tick_us * 1e-6) * 0.5
            anywhere = is_open or in_doubt(fastest, max_speed_mps) or by_gap_m + widest_m >= FAR_M
            row0, row1, column0, column1 = np.int64(0), np.int64(-1), np.int64(0), np.int64(-1)
            if not anywhere:
                row0, row1, column0, column1 = cells_about(south, west, north, east, by_gap_m + widest_m)
            # j + w is greater for every block than for those before it
            n_listed = list_crimes(
                j + w, from_us, to_us, first, last, row0, row1, column0, column1,
                crimes, time_start, time_crime, cell_start, cell_crime, looked, listed,
            )  # fmt: skip
            for k in range(n_listed):
                c = listed[k]
                old = stamp[c] == w
                if old and n_placing[c] >= crimes[c, 4]:
                    continue
                may_place = True
                if not anywhere:
                    apart_m = box_apart_m(crimes[c, 0], crimes[c, 1], shapes[c, 2], south, west, north, east)
                    may_place = apart_m <= shapes[c, 0] + PLACING_M
                    if not may_place and ((old and seen[c] & MEETS) or apart_m > shapes[c, 1] + by_gap_m):
                        continue
                if not old:
                    stamp[c], seen[c], n_placing[c], found[n_found] = w, 0, 0, c
                    n_found += 1
                if a == b:
                    seen[c] = MEETS
                    continue
                # also by row j, which only the next block counts: a gap that ends as the window starts does not meet it
                low = first_at_or_after(tick, max(i, a), min(j + 1, b), base_us, tick_us, crimes[c, 2])
                stop = first_at_or_after(tick, low, min(j + 1, b), base_us, tick_us, crimes[c, 3] + 1)
                begins = first_at_or_after(tick, low, stop, base_us, tick_us, crimes[c, 2] + 1) - 1
                ends = max(first_at_or_after(tick, low, stop, base_us, tick_us, crimes[c, 3]) - 1, begins)
                begins, ends, stop = max(begins, i), min(ends, j - 1), min(stop, j)
                if gap <= short_ticks and not is_open and begins <= ends:
                    n_placing[c], seen[c] = look_by_blocks(
                        begins, ends, low, stop, n_placing[c], seen[c], may_place, a, b, crimes[c], shapes[c], max_speed_mps,
                        short_ticks, base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining,
                    )  # fmt: skip
                else:
                    n_placing[c], seen[c] = look_at(
                        begins, ends, low, stop, n_placing[c], seen[c], may_place, a, b, crimes[c], shapes[c], max_speed_mps,
                        base_us, tick_us, tick, lat_e7, lon_e7, error, radii_cm, joining,
                    )  # fmt: skip
        for k in range(n_found):
            c = found[k]
            if seen[c] or n_placing[c] >= crimes[c, 4]:
                low = first_at_or_after(tick, a, b, base_us, tick_us, crimes[c, 2])
                has_fix = low < b and base_us + np.int64(tick[low]) * tick_us <= crimes[c, 3]
                crime[n], wearer[n], code[n] = c, w, code_of(n_placing[c], seen[c], has_fix, crimes[c])
                n += 1
    return to_wearer, n
