"""The catalogue of zones: an R-tree of their boxes that finds, for many boxes at once, the zones that might matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rtree.index import Index, Property


class Catalogue:
    """R-tree over zone boxes [1e-7 degree: west, south, east, north]; zones are told by their row in Places."""

    def __init__(self, boxes: NDArray[np.float64], rows: Sequence[int]) -> None:
        self._index: Any = Index(properties=Property(dimension=2), interleaved=True)
        for row, box in zip(rows, boxes, strict=True):
            self._index.insert(row, tuple(box))
        self.n_zones = len(rows)

    def near(self, boxes: NDArray[np.float64]) -> list[list[int]]:
        """For each box (n, 4) the rows of the zones whose box meets it, in ascending order; none for a box of NaN."""
        if not self.n_zones:
            return [[] for _ in boxes]
        asked = np.flatnonzero(~np.isnan(boxes[:, 0]))
        rows, counts = self._index.intersection_v(boxes[asked, :2].copy(), boxes[asked, 2:].copy())
        found: list[list[int]] = [[] for _ in boxes]
        for k, piece in zip(asked, np.split(rows, np.cumsum(counts)[:-1]), strict=False):
            found[int(k)] = sorted(int(r) for r in piece)
        return found
