"""The street network: nodes, edges and the shortest ways along them."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tagwatch.simulate.plane import Floats

Arc = tuple[int, int, float]
"""A way out of a node: the other node, the edge, its cost [m, main roads a little cheaper]."""


class Place(NamedTuple):
    """A point off a street: where it is, its edge, how far along that, and the point of the street before it [m]."""

    x: float
    y: float
    edge: int
    along_m: float
    street_x: float
    street_y: float


class Route(NamedTuple):
    """A way from one place to another: corners (k, 2) [m], and what may be driven on each part (k - 1,) [m/s]."""

    corners: Floats
    drive_mps: Floats

    @property
    def length_m(self) -> float:
        """Its length."""
        return float(np.hypot(*np.diff(self.corners, axis=0).T).sum())

    def reversed(self) -> Route:
        """The way back."""
        return Route(self.corners[::-1], self.drive_mps[::-1])


@dataclass(frozen=True)
class Streets:
    """Nodes x, y (n,) [m]; edges: ends (m, 2), name, length_m, drive_mps (m,)."""

    x: Floats
    y: Floats
    ends: NDArray[np.int64]
    names: tuple[str, ...]
    drive_mps: Floats

    @cached_property
    def length_m(self) -> Floats:
        """Length of each edge (m,)."""
        a, b = self.ends.T
        return np.asarray(np.hypot(self.x[b] - self.x[a], self.y[b] - self.y[a]))

    @cached_property
    def lines(self) -> NDArray[np.object_]:
        """Each edge as a shapely line (m,)."""
        a, b = self.ends.T
        corners = np.stack([np.column_stack([self.x[a], self.y[a]]), np.column_stack([self.x[b], self.y[b]])], axis=1)
        return np.asarray(shapely.linestrings(corners))

    @cached_property
    def arcs(self) -> tuple[tuple[Arc, ...], ...]:
        """The ways out of each node."""
        out: list[list[Arc]] = [[] for _ in self.x]
        cost = self.length_m * np.where(self.drive_mps > 10.0, 0.85, 1.0)
        for edge, (a, b) in enumerate(self.ends.tolist()):
            out[a].append((b, edge, float(cost[edge])))
            out[b].append((a, edge, float(cost[edge])))
        return tuple(map(tuple, out))

    def on_edge(self, edge: int, along_m: float, aside_m: float = 0.0) -> Place:
        """The place `aside_m` to the left (negative: right) of an edge, `along_m` from its first node."""
        a, b = self.ends[edge]
        length = self.length_m[edge]
        ux, uy = (self.x[b] - self.x[a]) / length, (self.y[b] - self.y[a]) / length
        sx, sy = float(self.x[a] + ux * along_m), float(self.y[a] + uy * along_m)
        return Place(float(sx - uy * aside_m), float(sy + ux * aside_m), int(edge), float(along_m), sx, sy)

    def nearest(self, x: float, y: float, closed: frozenset[int] = frozenset()) -> Place:
        """The place at this point, reached from the nearest edge that is not closed."""
        a, b = self.ends.T
        dx, dy, length = self.x[b] - self.x[a], self.y[b] - self.y[a], self.length_m
        along = np.clip(((x - self.x[a]) * dx + (y - self.y[a]) * dy) / length, 0.0, length)
        gap = np.hypot(self.x[a] + dx / length * along - x, self.y[a] + dy / length * along - y)
        gap[list(closed)] = math.inf
        edge = int(np.argmin(gap))
        street = self.on_edge(edge, float(along[edge]))
        return Place(x, y, edge, street.along_m, street.x, street.y)


class Routes:
    """Shortest routes from places, some edges closed; one tree of shortest ways is kept for each origin."""

    def __init__(self, streets: Streets, closed: frozenset[int] = frozenset()) -> None:
        self.streets, self.closed = streets, closed
        self._trees: dict[Place, tuple[list[float], list[int], list[int]]] = {}

    def between(self, a: Place, b: Place) -> Route | None:
        """The shortest route from `a` to `b`, None where closed edges leave none."""
        if a.edge in self.closed or b.edge in self.closed:
            return None
        if a not in self._trees and b in self._trees:
            back = self.between(b, a)
            return back and back.reversed()
        if a.edge == b.edge:
            return self._joined(a, b, [], [])
        cost, node_before, edge_before = self._tree(a)
        first, last = self.streets.ends[b.edge].tolist()
        beyond = float(self.streets.length_m[b.edge]) - b.along_m
        node = first if cost[first] + b.along_m <= cost[last] + beyond else last
        if math.isinf(cost[node]):
            return None
        nodes, edges = [node], [b.edge]
        while node_before[node] >= 0:
            edges.append(edge_before[node])
            node = node_before[node]
            nodes.append(node)
        return self._joined(a, b, nodes[::-1], [a.edge, *edges[::-1]])

    def reach(self, a: Place) -> float:
        """Share of all nodes that can be reached from `a`."""
        if a.edge in self.closed:
            return 0.0
        return float(np.mean(np.isfinite(self._tree(a)[0])))

    def _joined(self, a: Place, b: Place, nodes: list[int], edges: list[int]) -> Route:
        streets = self.streets
        middle = np.column_stack([streets.x[nodes], streets.y[nodes]])
        corners = np.vstack([[a[:2], a[4:]], middle, [b[4:], b[:2]]])
        on_foot = 1.4  # from the door to the street and back nobody drives
        drive = [on_foot, *streets.drive_mps[edges or [a.edge]].tolist(), on_foot]
        return Route(corners, np.array(drive))

    def _tree(self, a: Place) -> tuple[list[float], list[int], list[int]]:
        """Dijkstra 1959 from both ends of the place's edge: cost, node before and edge before for each node."""
        if a in self._trees:
            return self._trees[a]
        cost = [math.inf] * len(self.streets.x)
        node_before, edge_before = [-1] * len(cost), [-1] * len(cost)
        first, last = self.streets.ends[a.edge].tolist()
        cost[first], cost[last] = a.along_m, float(self.streets.length_m[a.edge]) - a.along_m
        queue = [(cost[first], first), (cost[last], last)]
        heapq.heapify(queue)
        while queue:
            here, node = heapq.heappop(queue)
            if here > cost[node]:
                continue
            for other, edge, metres in self.streets.arcs[node]:
                there = here + metres
                if there < cost[other] and edge not in self.closed:
                    cost[other], node_before[other], edge_before[other] = there, node, edge
                    heapq.heappush(queue, (there, other))
        self._trees[a] = cost, node_before, edge_before
        return self._trees[a]
