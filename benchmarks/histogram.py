"""Latencies as text: percentiles, and a histogram whose steps grow with the value, as HdrHistogram's do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_STEPS_A_DECADE = 10
_WIDTH = 50
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


def percentiles(values_ms: Sequence[float]) -> dict[float, float]:
    """The nearest-rank percentiles [ms]; 100 is the longest."""
    ordered = np.sort(np.asarray(values_ms, np.float64))
    ranks = {p: max(0, int(np.ceil(p / 100 * len(ordered))) - 1) for p in PERCENTILES}
    return {p: float(ordered[rank]) for p, rank in ranks.items()}


def histogram(values_ms: Sequence[float]) -> str:
    """One line a step: its bounds, how many, and how many percent lie at or below it."""
    step = np.floor(np.log10(np.maximum(np.asarray(values_ms, np.float64), 0.1)) * _STEPS_A_DECADE).astype(int)
    counts = {k: int(np.count_nonzero(step == k)) for k in range(int(step.min()), int(step.max()) + 1)}
    most, so_far, lines = max(counts.values()), 0, []
    for k, n in counts.items():
        so_far += n
        low, high = (10 ** (bound / _STEPS_A_DECADE) for bound in (k, k + 1))
        bar = "#" * int(np.ceil(n / most * _WIDTH))
        lines.append(f"{low:9.1f} to {high:9.1f} ms {n:7,d} {100 * so_far / len(values_ms):7.2f} %  {bar}".rstrip())
    told = ", ".join(f"p{p:g} {value:.1f} ms" if p < 100 else f"longest {value:.1f} ms"
                     for p, value in percentiles(values_ms).items())  # fmt: skip
    return "\n".join([f"{len(values_ms):,} alerts: {told}", *lines])
