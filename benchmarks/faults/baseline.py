"""No fault at all."""

from __future__ import annotations

from benchmarks.faults.fault import Fault
from benchmarks.faults.stand import Stand


class Nothing(Fault):
    """The baseline, so that the table shows what the same run gives without a fault."""

    name = "no fault"
    how = "nothing is done to anything"
    times = 2
    shares = True

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        stand.hold(1.0)


FAULTS = [Nothing()]
