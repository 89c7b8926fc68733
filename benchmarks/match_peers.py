"""Peers of the match, all given the same question: which wearer has a fix in the padded window, at least half in the vicinity?

They are given for each error the distance up to which half of the circle lies in the vicinity, so none has to compute a lens.
Answers are (crime, wearer) pairs as one sorted column of crime * n_wearers + wearer; columns are made ready beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.kernels import OVERLAP, lens_share
from crime_match.question import Question
from crime_match.trails import WearerTrail
from engine.tracks import Tracks

CELL_SHIFT, TIME_SHIFT = 15, 12
"""Peers that join on equal keys get cells of 365 m and stretches of 68 minutes: the best of those tried."""
_E2 = 1.0 / 298.257223563 * (2.0 - 1.0 / 298.257223563)
_RAD_PER_E7 = math.pi / 180.0 * 1e-7
Crimes = NDArray[np.int64]
Pairs = NDArray[np.int64]
Ask = Callable[[Crimes], Pairs]


class Columns(NamedTuple):
    """Fixes as columns (n,): wearer, tick [s], lat_e7, lon_e7, limit_m, up to which distance a fix places."""

    n_wearers: int
    wearer: NDArray[np.int32]
    tick: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    limit_m: NDArray[np.float32]

    def by_time(self) -> Columns:
        """The same in order of time."""
        order = np.argsort(self.tick, kind="stable")
        return self._replace(**{name: getattr(self, name)[order] for name in self._fields[1:6]})


def columns(tracks: Tracks, vicinity_m: float = 100.0) -> Columns:
    """The columns that peers get."""
    limits_m = half_in_m(tracks.radii_cm[:, 0] / 100.0, vicinity_m).astype(np.float32)
    wearer = np.repeat(np.arange(tracks.n_wearers, dtype=np.int32), np.diff(tracks.start))
    tick = tracks.tick.astype(np.int64)
    return Columns(tracks.n_wearers, wearer, tick, tracks.lat_e7, tracks.lon_e7, limits_m[tracks.error])


def half_in_m(circle_m: NDArray[np.float64], vicinity_m: float) -> NDArray[np.float64]:
    """Up to which distance at least half of a circle lies in the vicinity (-1: at none), by bisection."""
    found = np.empty(len(circle_m))
    for k, radius_m in enumerate(circle_m.tolist()):
        low, high = 0.0, vicinity_m
        if lens_share(low, radius_m, vicinity_m) < OVERLAP:
            found[k] = -1.0
            continue
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if lens_share(middle, radius_m, vicinity_m) >= OVERLAP else (low, middle)
        found[k] = low
    return found


def crimes(tracks: Tracks, questions: Sequence[Question]) -> Crimes:
    """Crimes as rows (m, 8): lat_e7, lon_e7, first and last tick of the padded window, and a box around the vicinity, south,
    north, west, east [1e-7 degree]."""
    rows = []
    for q in questions:
        first, last = -(-(q.start_us - tracks.base_us) // tracks.tick_us), (q.end_us - tracks.base_us) // tracks.tick_us
        dlat, dlon = (math.ceil(1.001 * q.radius_m / m) for m in _metres_per_e7(q.lat_e7))
        box = q.lat_e7 - dlat, q.lat_e7 + dlat, q.lon_e7 - dlon, q.lon_e7 + dlon
        rows.append((q.lat_e7, q.lon_e7, max(first, 0), max(last, -1), *box))
    return np.array(rows, np.int64)


def _metres_per_e7(lat_e7: Any) -> tuple[Any, Any]:
    s = np.sin(lat_e7 * _RAD_PER_E7)
    w2 = 1.0 - _E2 * s * s
    prime = 6_378_137.0 / np.sqrt(w2)
    return prime * (1.0 - _E2) / w2 * _RAD_PER_E7, prime * np.cos(lat_e7 * _RAD_PER_E7) * _RAD_PER_E7


def near(crime: NDArray[np.int64], lat_e7: Any, lon_e7: Any, limit_m: Any) -> Any:
    """Which fixes (n,) lie near enough to the crime: radii of curvature at the middle latitude."""
    ky, kx = _metres_per_e7((lat_e7.astype(np.float64) + crime[0]) * 0.5)
    return ((lat_e7 - crime[0]) * ky) ** 2 + ((lon_e7 - crime[1]) * kx) ** 2 <= limit_m.astype(np.float64) ** 2


def numpy_scan(fixes: Columns) -> Ask:
    """Brute force: each crime against every fix, by masks."""

    def ask(asked: Crimes) -> Pairs:
        found = []
        for k, c in enumerate(asked):
            mask = (fixes.tick >= c[2]) & (fixes.tick <= c[3]) & (fixes.lat_e7 >= c[4]) & (fixes.lat_e7 <= c[5])
            rows = np.flatnonzero(mask & (fixes.lon_e7 >= c[6]) & (fixes.lon_e7 <= c[7]))
            found.append(_kept(fixes, k, c, rows))
        return np.concatenate(found)

    return ask


def numpy_by_time(fixes: Columns) -> Ask:
    """Fixes in order of time: the window by bisection, the rest by masks on its rows alone."""
    by_time = fixes.by_time()

    def ask(asked: Crimes) -> Pairs:
        found = []
        for k, c in enumerate(asked):
            a, b = np.searchsorted(by_time.tick, [c[2], c[3] + 1])
            lat, lon = by_time.lat_e7[a:b], by_time.lon_e7[a:b]
            rows = a + np.flatnonzero((lat >= c[4]) & (lat <= c[5]) & (lon >= c[6]) & (lon <= c[7]))
            found.append(_kept(by_time, k, c, rows))
        return np.concatenate(found)

    return ask


def _kept(fixes: Columns, crime: int, row: NDArray[np.int64], rows: NDArray[np.int64]) -> Pairs:
    rows = rows[near(row, fixes.lat_e7[rows], fixes.lon_e7[rows], fixes.limit_m[rows])]
    return crime * fixes.n_wearers + np.unique(fixes.wearer[rows]).astype(np.int64)


_CRIME = ("clat", "clon", "first", "last", "south", "north", "west", "east")
_HOLDS = "f.tick BETWEEN c.first AND c.last AND f.lat BETWEEN c.south AND c.north AND f.lon BETWEEN c.west AND c.east"
_NEAR = f"""CREATE MACRO w2(lat) AS 1.0 - {_E2!r} * pow(sin(lat * {_RAD_PER_E7!r}), 2);
    CREATE MACRO ky(lat) AS {6_378_137.0 * (1.0 - _E2) * _RAD_PER_E7!r} / pow(w2(lat), 1.5);
    CREATE MACRO kx(lat) AS {6_378_137.0 * _RAD_PER_E7!r} / sqrt(w2(lat)) * cos(lat * {_RAD_PER_E7!r});
    CREATE MACRO near(lat, lon, clat, clon, limit_m) AS pow((lat - clat) * ky((lat + clat) * 0.5::DOUBLE), 2)
        + pow((lon - clon) * kx((lat + clat) * 0.5::DOUBLE), 2) <= pow(limit_m::DOUBLE, 2);"""


def duckdb_cells(fixes: Columns, n_threads: int) -> Ask:
    """duckdb, joined on equal keys: every fix has its cell and stretch of time as one number, every crime all that it needs."""
    database = _database(fixes, n_threads, "", cell=_cell(fixes.lat_e7, fixes.lon_e7, fixes.tick))

    def ask(asked: Crimes) -> Pairs:
        crime, cell = _cells_of(asked)
        database.register("c", {"crime": crime, "cell": cell} | dict(zip(_CRIME, asked[crime].T.copy(), strict=True)))
        return _pairs(database, f"fixes f JOIN c ON f.cell = c.cell AND {_HOLDS}", fixes.n_wearers)

    return ask


def duckdb_ranges(fixes: Columns, n_threads: int) -> Ask:
    """duckdb, joined on ranges of time and place, with the fixes in order of time: what one would write first."""
    database = _database(fixes, n_threads, "ORDER BY tick")

    def ask(asked: Crimes) -> Pairs:
        if len(asked) == 1:
            constants = ", ".join(f"{value} AS {name}" for name, value in zip(_CRIME, asked[0].tolist(), strict=True))
            held = " AND ".join(
                f"f.{name} BETWEEN {low} AND {high}"
                for name, (low, high) in zip(("tick", "lat", "lon"), asked[0, 2:].reshape(3, 2).tolist(), strict=True)
            )
            return _pairs(
                database, f"(SELECT * FROM fixes f WHERE {held}) f, (SELECT 0 AS crime, {constants}) c", fixes.n_wearers
            )
        database.register("c", {"crime": np.arange(len(asked))} | dict(zip(_CRIME, asked.T.copy(), strict=True)))
        return _pairs(database, f"fixes f JOIN c ON {_HOLDS}", fixes.n_wearers)

    return ask


def _database(fixes: Columns, n_threads: int, order: str, **more: NDArray[Any]) -> Any:
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {n_threads}; SET enable_progress_bar = false; {_NEAR}")
    names = {"wearer": fixes.wearer, "tick": fixes.tick, "lat": fixes.lat_e7, "lon": fixes.lon_e7, "limit_m": fixes.limit_m}
    database.register("given", names | more)
    database.execute(f"CREATE TABLE fixes AS SELECT * FROM given {order}")
    database.unregister("given")
    return database


def _pairs(database: Any, joined: str, n_wearers: int) -> Pairs:
    near_enough = "near(f.lat, f.lon, c.clat, c.clon, f.limit_m)"
    sql = f"SELECT DISTINCT c.crime::BIGINT * {n_wearers} + f.wearer AS pair FROM {joined} WHERE {near_enough}"
    return np.sort(np.asarray(database.sql(sql).fetchnumpy()["pair"], np.int64))


def polars_cells(fixes: Columns) -> Ask:
    """polars, all processors, joined on the same keys."""
    import polars as pl

    cell = _cell(fixes.lat_e7, fixes.lon_e7, fixes.tick)
    frame = pl.DataFrame(
        {"wearer": fixes.wearer, "tick": fixes.tick, "lat": fixes.lat_e7, "lon": fixes.lon_e7, "limit_m": fixes.limit_m,
         "cell": cell}
    )  # fmt: skip
    middle = (pl.col("lat").cast(float) + pl.col("clat")) * (0.5 * _RAD_PER_E7)
    w2 = 1.0 - _E2 * middle.sin() ** 2
    north_m = (pl.col("lat") - pl.col("clat")) * (6_378_137.0 * (1.0 - _E2) * _RAD_PER_E7) / w2**1.5
    east_m = (pl.col("lon") - pl.col("clon")) * (6_378_137.0 * _RAD_PER_E7) / w2.sqrt() * middle.cos()
    held = pl.col("tick").is_between("first", "last") & pl.col("lat").is_between("south", "north")
    held = held & pl.col("lon").is_between("west", "east")

    def ask(asked: Crimes) -> Pairs:
        crime, key = _cells_of(asked)
        wanted = pl.DataFrame({"crime": crime, "cell": key} | dict(zip(_CRIME, asked[crime].T.copy(), strict=True)))
        joined = frame.lazy().join(wanted.lazy(), on="cell").filter(held)
        joined = joined.filter(north_m**2 + east_m**2 <= pl.col("limit_m").cast(float) ** 2)
        pair = joined.select(pl.col("crime") * fixes.n_wearers + pl.col("wearer")).unique().collect()
        return np.sort(pair.to_series().to_numpy())

    return ask


def geopandas_boxes(fixes: Columns) -> Ask:
    """geopandas: sjoin of fixes, as points at hand, with boxes, in space alone; then the times."""
    import geopandas
    import shapely

    points = geopandas.GeoDataFrame(geometry=shapely.points(fixes.lon_e7, fixes.lat_e7))

    def ask(asked: Crimes) -> Pairs:
        boxes = geopandas.GeoDataFrame(geometry=shapely.box(*asked[:, [6, 4, 7, 5]].T))
        joined = geopandas.sjoin(points, boxes, predicate="intersects")
        row, crime = joined.index.to_numpy(), joined["index_right"].to_numpy()
        in_time = (fixes.tick[row] >= asked[crime, 2]) & (fixes.tick[row] <= asked[crime, 3])
        row, crime = row[in_time], crime[in_time]
        kept = near(asked[crime].T, fixes.lat_e7[row], fixes.lon_e7[row], fixes.limit_m[row])
        return np.unique(crime[kept].astype(np.int64) * fixes.n_wearers + fixes.wearer[row[kept]])

    return ask


def _cell(lat_e7: Any, lon_e7: Any, tick: Any) -> NDArray[np.int64]:
    """Cell and stretch of time as one number."""
    place = (np.asarray(lat_e7, np.int64) >> CELL_SHIFT << 20) + (np.asarray(lon_e7, np.int64) >> CELL_SHIFT)
    return np.asarray((place << 20) + (np.asarray(tick, np.int64) >> TIME_SHIFT), np.int64)


def _cells_of(asked: Crimes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every crime with every cell and stretch that its box and window meet: numbers of the crimes, and the keys."""
    crime, keys = [], []
    for k, (first, last, *box) in enumerate(asked[:, 2:].tolist()):
        south, north, west, east = (edge >> CELL_SHIFT for edge in box)
        stretch = np.arange(first >> TIME_SHIFT, (last >> TIME_SHIFT) + 1)
        lat, lon = np.arange(south, north + 1)[:, None, None], np.arange(west, east + 1)[:, None]
        keys.append((((lat << 20) + lon << 20) + stretch).ravel())
        crime.append(np.full(keys[-1].shape, k))
    return np.concatenate(crime), np.concatenate(keys)


class Listed(NamedTuple):
    """A trail as lists: times [us], latitudes and longitudes [radians], circles and exclusion radii [m]."""

    time_us: list[int]
    lat: list[float]
    lon: list[float]
    radius_m: list[float]
    exclusion_m: list[float]


def listed(trail: WearerTrail) -> Listed:
    """A trail for `verdict_by_loop`."""
    lat, lon = (np.asarray(c * _RAD_PER_E7).tolist() for c in (trail.fixes.lat_e7, trail.fixes.lon_e7))
    return Listed(trail.fixes.time_us.tolist(), lat, lon, trail.radius_m.tolist(), trail.exclusion_m.tolist())


def verdict_by_loop(question: Question, trail: Listed) -> str:
    """A verdict as one would write it first: fix by fix on a sphere, gap by gap by what the distances allow."""
    lat, lon, cos_lat = math.radians(question.lat), math.radians(question.lon), math.cos(math.radians(question.lat))
    start, end, reach_m = question.start_us, question.end_us, question.reach_m
    possible, seen = False, False
    apart_m: float = 0.0
    before: tuple[int, float] | None = None
    for t, fix_lat, fix_lon, radius_m, exclusion_m in zip(*trail, strict=True):
        h = math.sin((fix_lat - lat) / 2) ** 2 + cos_lat * math.cos(fix_lat) * math.sin((fix_lon - lon) / 2) ** 2
        apart_m = 2 * 6_371_008.8 * math.asin(math.sqrt(h))
        left_m = max(0.0, apart_m - reach_m - exclusion_m)
        if start <= t <= end:
            seen = True
            if apart_m < question.radius_m + radius_m and lens_share(apart_m, radius_m, question.radius_m) >= OVERLAP:
                return "placed"
        if t >= start and not possible and (before is None or before[0] <= end):
            after_s = (t - max(start, before[0] if before else start)) / 1e6
            possible = left_m <= question.max_speed_mps * after_s
            if before is not None:
                elapsed_s, gap_s = (min(t, end) - before[0]) / 1e6, (t - before[0]) / 1e6
                possible = possible and before[1] <= question.max_speed_mps * elapsed_s
                possible = possible and before[1] + left_m <= question.max_speed_mps * gap_s
        before = t, left_m
    if before is not None and before[0] < end:
        possible = possible or before[1] <= question.max_speed_mps * (end - before[0]) / 1e6
    return "possible" if possible and seen else "unmonitored" if possible else "excluded"
