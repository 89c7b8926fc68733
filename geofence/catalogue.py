"""The catalogue of zones: an R-tree of their boxes that takes live edits and finds the zones that meet a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from rtree.index import Index, Property

Box = tuple[float, float, float, float]


class Catalogue:
    """R-tree over zone boxes [1e-7 degree: west, south, east, north]; zones are told by a whole number, their row."""

    def __init__(self, boxes: NDArray[Any], rows: Sequence[int]) -> None:
        self._boxes: dict[int, Box] = {int(row): box(b) for row, b in zip(rows, boxes, strict=True)}
        stream = ((row, b, None) for row, b in self._boxes.items())
        self._index: Any = Index(*([stream] if self._boxes else []), properties=Property(dimension=2), interleaved=True)

    @property
    def n_zones(self) -> int:
        """How many zones it holds."""
        return len(self._boxes)

    def put(self, row: int, edges: Sequence[float]) -> None:
        """Add a zone's box, or change it."""
        self.remove(row)
        self._boxes[row] = box(edges)
        self._index.insert(row, self._boxes[row])

    def remove(self, row: int) -> None:
        """Take a zone's box out, if it is in."""
        if old := self._boxes.pop(row, None):
            self._index.delete(row, old)

    def meeting(self, edges: Sequence[float]) -> list[int]:
        """The rows of the zones whose box meets this one, in ascending order."""
        return sorted(self._index.intersection(box(edges))) if self._boxes else []


def box(edges: Sequence[float]) -> Box:
    """West, south, east and north as plain floats."""
    west, south, east, north = (float(edge) for edge in edges)
    return west, south, east, north
