"""The invented town: a slightly irregular, turned grid of streets, radial roads to four villages, and its buildings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.random import Generator

from tagwatch.simulate.plane import Floats, Plane
from tagwatch.simulate.streets import Place, Streets

BLOCK_M = 180.0
PLOT_M = 15.0
TURN_RAD = math.radians(13.0)
_TREES = ("Alder", "Ash", "Aspen", "Beech", "Birch", "Bramble", "Briar", "Cedar", "Chestnut", "Cherry", "Damson", "Elder",
          "Elm", "Fern", "Gorse", "Hawthorn", "Hazel", "Heather", "Holly", "Hornbeam", "Ivy", "Juniper", "Larch", "Laurel",
          "Linden", "Maple", "Medlar", "Myrtle", "Oak", "Olive", "Pear", "Pine", "Plane", "Poplar", "Quince", "Rowan",
          "Sorrel", "Spruce", "Sycamore", "Tamarisk", "Thorn", "Willow", "Yarrow", "Yew")  # fmt: skip
_VILLAGES = ("Norrington", "Eastwell Magna", "Suthby", "Wexcombe")
_DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True)
class Town:
    """Streets, their map, and places by purpose; `blocks` are the empty insides of street blocks where schools stand."""

    plane: Plane
    streets: Streets
    half_m: float
    n_urban: int  # the first so many edges lie in the town proper, the rest on the way to the villages
    works: tuple[Place, ...]
    shops: tuple[Place, ...]
    parks: tuple[Place, ...]
    blocks: tuple[Any, ...]
    masts: Floats  # (k, 2) telephone masts
    boundary: Any

    def house(self, rng: Generator, urban: bool = True) -> Place:
        """Any house; with `urban` not one on the village roads."""
        first, last = (0, self.n_urban) if urban else (self.n_urban, len(self.streets.ends))
        return self.plot(int(rng.integers(first, last)), int(rng.integers(2, 10)), bool(rng.integers(2)))

    def plot(self, edge: int, number: int, left: bool) -> Place:
        """The plot of this number on one side of a street: houses stand 15 m apart and 12 m off the middle of the road."""
        along = min(number * PLOT_M, self.streets.length_m[edge] - 5.0)
        return self.streets.on_edge(edge, along, 12.0 if left else -12.0)

    def next_door(self, house: Place) -> Place:
        """The next house on the same side."""
        length = float(self.streets.length_m[house.edge])
        along = house.along_m + PLOT_M if house.along_m + PLOT_M < length - 5.0 else house.along_m - PLOT_M
        street = self.streets.on_edge(house.edge, along)
        return Place(
            street.x + house.x - house.street_x, street.y + house.y - house.street_y, house.edge, along, street.x, street.y
        )

    def address(self, place: Place) -> str:
        """A house number and a street name."""
        return f"{int(place.along_m // PLOT_M) * 2 + 1} {self.streets.names[place.edge]}"

    def lines(self) -> list[dict[str, Any]]:
        """The streets for a map: name and line of (lat, lon) in degrees."""
        a, b = self.streets.ends.T
        lat, lon = self.plane.degrees(self.streets.x, self.streets.y)
        ends = zip(self.streets.names, a.tolist(), b.tolist(), strict=True)
        return [{"name": name, "line": [[lat[i], lon[i]], [lat[j], lon[j]]]} for name, i, j in ends]


def build_town(wearers: int, rng: Generator) -> Town:
    """A town whose size fits the number of wearers (about 3 km across for ten, 6 km for a thousand)."""
    side = 17 + 2 * int(0.25 * math.sqrt(wearers))
    streets, n_urban = _streets(side, rng)
    half = (side - 1) / 2 * BLOCK_M
    shops = tuple(_spots(streets, rng, 25, n_urban, 18.0, within_m=half * 0.6))
    works = tuple(_spots(streets, rng, 40, n_urban, 30.0))
    parks = tuple(_spots(streets, rng, 8, n_urban, 40.0))
    masts = rng.uniform(-half, half, (12, 2))
    boundary = shapely.Point(0.0, 0.0).buffer(half * math.sqrt(2.0) + 150.0, quad_segs=8)
    return Town(Plane(), streets, half, n_urban, works, shops, parks, tuple(_blocks(streets, side)), masts, boundary)


def _streets(side: int, rng: Generator) -> tuple[Streets, int]:
    """The network and the number of its urban edges; nodes of the grid come first, row by row."""
    row, col = np.divmod(np.arange(side * side), side)
    middle = (side - 1) / 2
    x = (col - middle) * BLOCK_M + rng.uniform(-28, 28, side * side)
    y = (row - middle) * BLOCK_M + rng.uniform(-28, 28, side * side)
    edges = _grid_edges(side, rng) + _radial_edges(side)
    n_urban = len(edges)
    far_x, far_y, far_edges = _village_edges(side)
    x, y = np.append(x, far_x), np.append(y, far_y)
    edges += far_edges
    turned = x * math.cos(TURN_RAD) - y * math.sin(TURN_RAD), x * math.sin(TURN_RAD) + y * math.cos(TURN_RAD)
    ends = np.array([edge[:2] for edge in edges], np.int64)
    speed = np.array([edge[3] for edge in edges])
    return Streets(*turned, ends, tuple(edge[2] for edge in edges), speed), n_urban


def _grid_edges(side: int, rng: Generator) -> list[tuple[int, int, str, float]]:
    """Rows all go through; of the columns one edge in ten is missing, every fourth column goes through."""
    edges = []
    for i in range(side):
        for j in range(side):
            node = i * side + j
            if j + 1 < side:
                main = i in (0, side // 2, side - 1)
                edges.append((node, node + 1, _name(i, "Road" if main else "Lane"), 11.0 if main else 8.5))
            if i + 1 < side and (j % 4 == 0 or rng.random() > 0.1):
                main = j in (0, side // 2, side - 1)
                edges.append((node, node + side, _name(j + side, "Way" if main else "Street"), 11.0 if main else 8.0))
    return edges


def _radial_edges(side: int) -> list[tuple[int, int, str, float]]:
    """The two diagonals of the grid: four radial roads that meet in the middle."""
    edges = []
    for k in range(side - 1):
        edges.append((k * side + k, (k + 1) * side + k + 1, "Old Radial Road", 12.0))
        edges.append((k * side + side - 1 - k, (k + 1) * side + side - 2 - k, "Minster Parade", 12.0))
    return edges


def _village_edges(side: int) -> tuple[list[float], list[float], list[tuple[int, int, str, float]]]:
    """Four roads of 2.5 km out of the town, each with a village at its end."""
    x: list[float] = []
    y: list[float] = []
    edges = []
    half, middle = (side - 1) / 2 * BLOCK_M, side // 2
    for (dx, dy), village in zip(_DIRECTIONS, _VILLAGES, strict=True):
        before = (middle + dy * middle) * side + middle + dx * middle
        for step in range(1, 6):
            node = side * side + len(x)
            out = half * 1.0 + step * 500.0
            x.append(dx * out + dy * 40.0 * math.sin(step))
            y.append(dy * out + dx * 40.0 * math.sin(step))
            edges.append((before, node, f"{village} Road", 13.0))
            before = node
    return x, y, edges


def _blocks(streets: Streets, side: int) -> list[Any]:
    """The insides of the street blocks, 28 m off the middle of the roads, but for those that a radial road cuts."""
    blocks = []
    for i in range(side - 1):
        for j in range(side - 1):
            if i == j or i + j == side - 2:
                continue
            corners = [i * side + j, i * side + j + 1, (i + 1) * side + j + 1, (i + 1) * side + j]
            blocks.append(
                shapely.Polygon(np.column_stack([streets.x[corners], streets.y[corners]])).buffer(-28.0, quad_segs=2)
            )
    return blocks


def _spots(
    streets: Streets, rng: Generator, count: int, n_urban: int, aside_m: float, within_m: float = math.inf
) -> list[Place]:
    """Places about the town at this distance from the road."""
    spots: list[Place] = []
    while len(spots) < count:
        edge = int(rng.integers(n_urban))
        spot = streets.on_edge(edge, float(streets.length_m[edge]) * rng.uniform(0.2, 0.8), aside_m)
        if math.hypot(spot.x, spot.y) < within_m:
            spots.append(spot)
    return spots


def _name(number: int, kind: str) -> str:
    turns, tree = divmod(number, len(_TREES))
    return f"{('', 'Upper ', 'Nether ')[turns % 3]}{_TREES[tree]} {kind}"
