"""Errors of fixes whose true place is known: simulated towns, phones of people who stayed, receivers that did not move.

Nobody surveyed where the phones lay. Their true place is estimated from the same person's other fixes at that place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.fixes import SOURCE_NAMES
from engine.kernels import metres_per_e7
from tagwatch.simulate.world import simulate

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Floats = NDArray[np.float64]

STAY_S, EDGE_S, BLOCK_S, NEAR_S = 1800.0, 300.0, 3600.0, 120.0
SAME_PLACE_M, LEAST_OTHERS, LEAST_POSITIONS = 120.0, 10, 15
SPELL_S = 600.0
FAR_M, GOOD_M = 500.0, 100.0
MOVING = (0, 1, 2, 7, 8)  # vehicle, bicycle, on foot, walking, running
MAST_M = 200.0
"""A phone's fix without altitude is not from satellites: wireless networks below this radius, masts from it on."""


class Observed(NamedTuple):
    """Errors (n,) of fixes, fix less truth [m]; the reported radius [m], nan where there is none; source and group by name.

    A group is what a fit leaves out as a whole: a seed, a person, a receiver.
    """

    east_m: Floats
    north_m: Floats
    radius_m: Floats
    source: NDArray[Any]
    group: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> Observed:
        """The rows chosen by a mask or by their numbers."""
        return Observed(*(column[rows] for column in self))

    @property
    def distance_m(self) -> Floats:
        """Distance of each fix from its truth [m]."""
        return np.hypot(self.east_m, self.north_m)


def simulated(seeds: Iterable[int], wearers: int = 30, days: int = 2) -> Observed:
    """All fixes of simulated towns; the group is the seed."""
    towns = []
    for seed in seeds:
        world = simulate(wearers, days, seed)
        north, east = metres_per_e7(float(world.truth.plane.lat_e7))
        fixes, truth = world.fixes, world.truth
        source = np.array([SOURCE_NAMES[code] for code in fixes.source.tolist()])
        towns.append(Observed(
            (fixes.lon_e7 - truth.lon_e7.astype(np.float64)) * east,
            (fixes.lat_e7 - truth.lat_e7.astype(np.float64)) * north,
            fixes.accuracy_cm / 100.0, source, np.full(len(fixes), f"seed {seed}"),
        ))  # fmt: skip
    return Observed(*(np.concatenate(columns) for columns in zip(*towns, strict=True)))


def phones(folder: Path = DATA / "phones_saopaulo") -> Observed | None:
    """Fixes of phones during stays; the group is the person. A position repeated within one stay counts once."""
    if not folder.exists():
        return None
    fixes = pd.read_csv(folder / "fixes.csv.gz").drop_duplicates(["user", "ts", "lat", "lon", "accuracy_m"])
    stays = pd.read_csv(folder / "places.csv")
    moves = pd.read_csv(folder / "motion_activity.csv.gz")
    moves = moves[(moves.confidence >= 60) & moves.type.isin(MOVING)]
    found = []
    for user, own in fixes.sort_values("ts").groupby("user"):
        still = _metres(own[~_moving(own.ts.to_numpy(), moves.ts[moves.user == user].to_numpy())])
        mine = stays[(stays.user == user) & (stays.exit_ts - stays.enter_ts >= STAY_S)]
        edges = [(stay.enter_ts + EDGE_S, stay.exit_ts - EDGE_S) for stay in mine.itertuples()]
        visits = [still[still.ts.between(*edge)].assign(visit=f"{user} {edge[0]}") for edge in edges]
        found += [_errors_at(place) for place in _places([visit for visit in visits if len(visit)])]
    all_of = pd.concat(found).dropna(subset="off_x")
    all_of = all_of.assign(spell=all_of.ts // SPELL_S).drop_duplicates(["visit", "spell", "lat", "lon"])
    source = np.where(all_of.altitude_m != 0.0, "gps", np.where(all_of.accuracy_m < MAST_M, "wifi", "lbs"))
    columns = (all_of[name].to_numpy(np.float64) for name in ("off_x", "off_y", "accuracy_m"))
    return Observed(*columns, source, all_of.user.to_numpy(str))


def receivers(folder: Path = DATA / "static_gnss") -> Observed | None:
    """Fixes of three receivers that did not move for most of an hour and more; the truth is the median of their fixes.

    They report no radius. The short logs beside them end before errors of satellites have changed, so they say nothing.
    """
    if not folder.exists():
        return None
    logs = []
    for name in ("east", "west", "north"):
        path = next(folder.glob(f"adsbgrid_{name}_*.csv"))
        rows = _metres(pd.read_csv(path).drop_duplicates())
        x, y = (rows[axis].to_numpy() - rows[axis].median() for axis in ("x", "y"))
        n = len(rows)
        logs.append(Observed(x, y, np.full(n, np.nan), np.full(n, "gps"), np.full(n, name)))
    return Observed(*(np.concatenate(columns) for columns in zip(*logs, strict=True)))


def centre(x: Floats, y: Floats, weight: Floats, least_m: float = 2.0) -> tuple[float, float]:
    """The weighted geometric median (Weiszfeld 1937), distances not below `least_m` so that no single point draws it in."""
    at = float(np.median(x)), float(np.median(y))
    for _ in range(60):
        pull = weight / np.maximum(np.hypot(x - at[0], y - at[1]), least_m)
        at = float((pull * x).sum() / pull.sum()), float((pull * y).sum() / pull.sum())
    return at


def _moving(ts: Floats, moves: Floats) -> NDArray[np.bool_]:
    """Whether the phone said within two minutes that it moved."""
    return np.searchsorted(moves, ts - NEAR_S) < np.searchsorted(moves, ts + NEAR_S)


def _places(visits: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Visits whose own centres lie together are of one place, beginning with the visit of most positions."""
    left = sorted(((_centre_of(visit), visit) for visit in visits), key=lambda each: -len(_once(each[1])))
    while left:
        (x, y), _ = left[0]
        together = [visit for at, visit in left if np.hypot(at[0] - x, at[1] - y) < SAME_PLACE_M]
        left = [each for each in left if np.hypot(each[0][0] - x, each[0][1] - y) >= SAME_PLACE_M]
        kept = [visit for visit in together if not _of_two_places(visit, x, y)]
        if sum(len(_once(visit)) for visit in kept) >= LEAST_POSITIONS:
            yield pd.concat(kept)


def _of_two_places(visit: pd.DataFrame, x: float, y: float) -> bool:
    """Whether the visit was cut wrongly: five positions and more that claim to be good lie far from its place."""
    far = np.hypot(visit.x - x, visit.y - y) > FAR_M
    return len(_once(visit[far & (visit.accuracy_m < GOOD_M)])) >= 5


def _errors_at(place: pd.DataFrame) -> pd.DataFrame:
    """With off_x, off_y [m] from the centre of the place's fixes of other hours; nan where those are too few."""
    hour = (place.ts // BLOCK_S).to_numpy()
    off = np.full((len(place), 2), np.nan)
    for block in np.unique(hour):
        inside, others = hour == block, _once(place[hour != block])
        if len(others) >= LEAST_OTHERS:
            off[inside] = place[["x", "y"]].to_numpy()[inside] - _centre_of(others)
    return place.assign(off_x=off[:, 0], off_y=off[:, 1])


def _centre_of(fixes: pd.DataFrame) -> tuple[float, float]:
    """The centre of the fixes' positions, each once: a phone indoors repeats one answer for hours."""
    once = _once(fixes)
    return centre(once.x.to_numpy(), once.y.to_numpy(), 1.0 / np.maximum(once.accuracy_m.to_numpy(), 8.0))


def _once(fixes: pd.DataFrame) -> pd.DataFrame:
    return fixes.drop_duplicates(["lat", "lon"])


def _metres(fixes: pd.DataFrame) -> pd.DataFrame:
    """With columns x, y [m] in the plane that touches at the middle of the fixes."""
    lat, lon = fixes.lat.median(), fixes.lon.median()
    north, east = metres_per_e7(lat * 1e7)
    return fixes.assign(x=(fixes.lon - lon) * east * 1e7, y=(fixes.lat - lat) * north * 1e7)
