"""Tables over the pairs: sensitivity, false placements, wrong exclusions, and the share of the absent who are excluded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

DWELLS_S = (0.0, 15.0, 30.0, 60.0, 120.0, 300.0, 1200.0, np.inf)
CLOSEST_M = (100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, np.inf)
FAR_KM = (0.1, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0, 10.0, 15.0, np.inf)
GAPS_S = (0.0, 75.0, 120.0, 300.0, 900.0, np.inf)
SUPPORTS = ("strong", "weak", "cell")
LEAST = 20
"""No share is given of fewer pairs."""


class Share(NamedTuple):
    """k of n, with the 95 % interval of Clopper and Pearson 1934 (Biometrika 26)."""

    k: int
    n: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """k / n; nan of nothing."""
        return self.k / self.n if self.n else float("nan")


def share(hits: Any) -> Share:
    """How many of these are true."""
    k, n = int(np.count_nonzero(hits)), len(hits)
    if not n:
        return Share(0, 0, 0.0, 1.0)
    low, high = binomtest(k, n).proportion_ci(0.95, method="exact")
    return Share(k, n, float(low), float(high))


def present(pairs: pd.DataFrame) -> pd.DataFrame:
    """Those who truly were in the vicinity with a tag on."""
    return pairs[pairs.tagged & (pairs.dwell_s > 0.0)]


def absent(pairs: pd.DataFrame) -> pd.DataFrame:
    """Those who never were in the vicinity, nor in the place's uncertainty about it, with a tag on throughout."""
    return pairs[pairs.tagged & ~pairs.was_there]


def sensitivity(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the present, by fix interval and true dwell: counts of each answer."""
    found = present(pairs)
    rows = []
    for interval_s, mine in found.groupby("interval_s"):
        for low, high, some in _bins(mine, "dwell_s", DWELLS_S):
            rows.append({"interval_s": int(interval_s), "from_s": low, "to_s": high, **answers(some)})
    return rows


def by_role(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the monitored, by role: counts of each answer."""
    order = ("burglar", "neighbour", "visitor", "passer-by", "near by", "away", "far")
    return [{"role": role, **answers(pairs[pairs.tagged & (pairs.role == role)])} for role in order]


def answers(pairs: pd.DataFrame) -> dict[str, int]:
    """How many pairs, and how many of each verdict and support."""
    counts = {"n": len(pairs), "placed": int((pairs.verdict == "placed").sum())}
    counts |= {support: int((pairs.support == support).sum()) for support in SUPPORTS}
    return counts | {name: int((pairs.verdict == name).sum()) for name in ("possible", "excluded", "unmonitored")}


def false_placements(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Placements of those who never were in the vicinity, by true closest distance; the first row is all pairs."""
    never = pairs[(pairs.closest_m > CLOSEST_M[0]) & pairs.tagged]
    rows = [{"from_m": 0.0, "to_m": np.inf, "n": int(pairs.tagged.sum()), **_falsely(never)}]
    return rows + [{"from_m": a, "to_m": b, "n": len(x), **_falsely(x)} for a, b, x in _bins(never, "closest_m", CLOSEST_M)]


def _falsely(never: pd.DataFrame) -> dict[str, int]:
    placed = never[never.verdict == "placed"]
    beyond = placed[placed.closest_m > CLOSEST_M[0] + placed.circle_m]
    supports = {support: int((placed.support == support).sum()) for support in SUPPORTS}
    return {"placed": len(placed), **supports, "beyond_the_circle": len(beyond)}


def wrong_exclusions(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Of those truly in the vicinity, the place's uncertainty included, how many were excluded, for each way of running."""
    there = pairs[pairs.tagged & pairs.was_there]
    keys = ["errors", "interval_s", "max_speed_mps"]
    return [
        dict(zip(keys, key, strict=True)) | _said(share(some.verdict == "excluded")) for key, some in there.groupby(keys)
    ]


def curve(pairs: pd.DataFrame, gap_s: tuple[float, float] = (0.0, np.inf)) -> list[dict[str, Any]]:
    """Of the absent whose worst gap lies in (from, to], by true closest distance: the share excluded."""
    mine = absent(pairs)
    mine = mine[(mine.gap_s > gap_s[0]) & (mine.gap_s <= gap_s[1])].assign(closest_km=mine.closest_m / 1000.0)
    return [
        {"from_km": low, "to_km": high, "km": float(some.closest_km.median()), **_said(share(some.verdict == "excluded"))}
        for low, high, some in _bins(mine, "closest_km", FAR_KM)
        if len(some) >= LEAST
    ]


def goal(pairs: pd.DataFrame, least_m: float = 3000.0, most_gap_s: float = 120.0, masts: bool = True) -> dict[str, Any]:
    """Of the absent beyond a distance, with no worse gap, and where `masts` is not set without a mast fix among those that
    bound the window: the share excluded; why the others are not."""
    mine = absent(pairs)
    mine = mine[(mine.closest_m >= least_m) & (mine.gap_s <= most_gap_s) & (masts | ~mine.masts)]
    rest = mine[mine.verdict != "excluded"]
    return {
        "least_m": least_m, "most_gap_s": most_gap_s, "with_masts": masts, **_said(share(mine.verdict == "excluded")),
        "tag_state": int(rest.hindered.sum()), "masts": int((rest.masts & ~rest.hindered).sum()),
        "others": int((~rest.masts & ~rest.hindered).sum()),
    }  # fmt: skip


def _said(found: Share) -> dict[str, float]:
    return {"k": found.k, "n": found.n, "share": found.rate, "low": found.low, "high": found.high}


def _bins(pairs: pd.DataFrame, column: str, edges: Sequence[float]) -> list[tuple[float, float, pd.DataFrame]]:
    """The pairs whose value lies in (low, high], for each pair of neighbouring edges."""
    inside = pairwise(edges)
    return [(low, high, pairs[(pairs[column] > low) & (pairs[column] <= high)]) for low, high in inside]
