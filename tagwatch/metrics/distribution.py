"""A distribution in buckets: counts that the service adds to once a batch, and that a scrape reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOON_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
DISK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
DAYS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0, 2_592_000.0)
SIZES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)


class Distribution:
    """How many values were at most each bound; one thread adds, any may read."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0
        self._bounds = np.array(bounds)
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """One value; what is below 0, as a clock that was set back makes it, counts as 0."""
        value = max(0.0, value)
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: NDArray[Any]) -> None:
        """Values (n,), at once."""
        if not len(values):
            return
        values = np.maximum(values, 0.0)
        found = np.bincount(np.searchsorted(self._bounds, values), minlength=len(self._counts)).tolist()
        self._counts = [before + n for before, n in zip(self._counts, found, strict=True)]
        self.total += float(values.sum())

    @property
    def n_values(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """(bound, how many were at most that), as Prometheus takes them; the last bound is +Inf."""
        sums, so_far = [], 0
        for bound, n in zip([*map(str, self.bounds), "+Inf"], self._counts, strict=True):
            so_far += n
            sums.append((bound, float(so_far)))
        return sums
