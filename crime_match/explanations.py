"""Which fixes bound the wearer between two fixes, where some contradict each other.

An explanation is a largest set of fixes none of which contradicts another: of two that no path can join, one is left out.
What an explanation says of a gap is said by its last fix before and its first fix after. The reachable set is the union
over the explanations, so it holds the wearer whenever every wrong fix contradicts a right one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_IN_DOUBT = 8
"""In a longer run of fixes in doubt all of them are left out: the fixes beyond it, which nothing contradicts, bound the gap."""
MARGIN = 40
"""So many fixes on each side of the window may bound it; in a run in doubt that is longer, nothing does."""


def bounding_pairs(conflicts: NDArray[np.int64], gaps: range, n: int) -> NDArray[np.int64]:
    """Rows (gap, before, after) of indices of n fixes: one before (-1: none) and one after (n: none) that may bound a gap.

    conflicts (m, 2) as from `kernels.contradictions`, of which one fix may be none of these n; gap g lies between the fixes g
    and g + 1. Without contradictions there is one row a gap: (g, g, g + 1).
    """
    doubts: dict[int, set[int]] = {}
    for one, two in conflicts.tolist():
        doubts.setdefault(one, set()).add(two)
        doubts.setdefault(two, set()).add(one)
    doubted = sorted({gap for fix in doubts for gap in (fix - 1, fix)} & set(gaps))  # the others are bounded by their ends
    gap = np.setdiff1d(np.arange(gaps.start, gaps.stop, dtype=np.int64), doubted)
    plain = np.column_stack([gap, gap, gap + 1])
    if not doubted:
        return plain
    rows = np.array([(gap, *pair) for gap in doubted for pair in _pairs(doubts, gap, n)], np.int64)
    rows = np.concatenate([plain, rows])
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _pairs(doubts: dict[int, set[int]], gap: int, n: int) -> list[tuple[int, int]]:
    before, after = [gap], [gap + 1]
    while before[-1] >= 0 and before[-1] in doubts:
        before.append(before[-1] - 1)
    while after[-1] < n and after[-1] in doubts:
        after.append(after[-1] + 1)
    widest = (before[-1], after[-1])
    if max(len(before), len(after)) > MOST_IN_DOUBT + 1:
        return [widest]
    found = [(i, j) for i in before for j in after if _joined(doubts, i, j) and _explained(doubts, i, j)]
    return found or [widest]


def _joined(doubts: dict[int, set[int]], one: int, two: int) -> bool:
    return two not in doubts.get(one, ())


def _explained(doubts: dict[int, set[int]], i: int, j: int) -> bool:
    """Whether each fix between i and j may be left out: it contradicts a fix outside that goes with both."""
    return all(
        any((w <= i or w >= j) and _joined(doubts, w, i) and _joined(doubts, w, j) for w in doubts[k])
        for k in range(i + 1, j)
    )
