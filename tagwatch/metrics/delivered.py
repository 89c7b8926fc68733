"""How long deliveries took, by kind of channel; the couriers tell it."""

from __future__ import annotations

from tagwatch.metrics.codes import KINDS, one_of
from tagwatch.metrics.distribution import DAYS_S, SOON_S, Distribution

BOUNDS_S = (*SOON_S, *(bound for bound in DAYS_S if bound > SOON_S[-1]))


class Delivered:
    """`latency_s`: by kind, from the making of a version or notice to its delivery. Each kind has one courier that adds."""

    def __init__(self) -> None:
        self.latency_s = {kind: Distribution(BOUNDS_S) for kind in KINDS}

    def add(self, kind: str, took_s: float) -> None:
        """One delivery of a kind."""
        self.latency_s[one_of(kind, KINDS)].add(took_s)
