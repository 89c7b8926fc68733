"""Whether our clock is right, by all that is known of it. What is received is stamped with it, and what is signed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from engine.database import Connection
from engine.times import Clock
from tagwatch.health.kernel_clock import KernelClock, kernel_clock
from tagwatch.health.part import Part
from tagwatch.health.server_clocks import ahead_of_database_s, ahead_of_ntp_s
from tagwatch.health.steps import Steps

NTP_EVERY_S = 64.0
OLD_S = 300.0
"""What was last heard of a source before this says nothing any more."""

log: Any = structlog.get_logger("tagwatch.clock")


class ClockWatch:
    """`offsets_s`: by source, how far our clock is ahead (negative: behind), and when that was found [s, monotonic]."""

    def __init__(
        self, clock: Clock, servers: Sequence[str], bound_s: float, behind_tags: Callable[[], float | None]
    ) -> None:
        self.bound_s, self.steps = bound_s, Steps(clock)
        self.kernel: KernelClock | None = None
        self.found: dict[str, tuple[float, float]] = {}
        self._clock, self._servers, self._behind_tags = clock, tuple(servers), behind_tags
        self._ntp_at_s = -NTP_EVERY_S

    def look(self, connection: Connection | None) -> None:
        """Once a second: the kernel, the tags, steps, and the database where there is one. Logs what changed."""
        if step_s := self.steps.look():
            self.found.clear()  # what was found before the step is of another clock
            self._ntp_at_s = -NTP_EVERY_S
            log.warning("the clock was set", step_s=step_s)
        was_well = self._worst() is None
        self.kernel = kernel_clock()
        if (behind_s := self._behind_tags()) is not None:
            self._note("tags", -behind_s)
        if connection is not None:
            self._note("database", ahead_of_database_s(connection, self._clock))
        worst = self._worst()
        if worst and was_well:
            log.error("the clock is out of bound", source=worst[0], offset_s=worst[1], bound_s=self.bound_s)
        elif not worst and not was_well:
            log.info("the clock is within its bound again")

    def ask_ntp(self) -> None:
        """Ask the servers of the settings, where it is time again; may take two seconds for each."""
        if self._servers and time.monotonic() - self._ntp_at_s >= NTP_EVERY_S:
            self._ntp_at_s = time.monotonic()
            if (ahead_s := ahead_of_ntp_s(self._servers)) is not None:
                self._note("ntp", ahead_s)

    def offsets_s(self) -> dict[str, float]:
        """By source, how far our clock is ahead, as far as it was found of late."""
        now_s = time.monotonic()
        return {source: offset_s for source, (offset_s, at_s) in list(self.found.items()) if now_s - at_s < OLD_S}

    def part(self) -> Part:
        """The clock as a part of health."""
        if worst := self._worst():
            source, offset_s = worst
            way = "ahead of" if offset_s > 0 else "behind"
            said = f"the clock is {abs(offset_s):.3f} s {way} {_NAMES[source]}, more than {self.bound_s:g} s: see to chrony"
            return Part("clock", False, offset_s, said)
        offsets = self.offsets_s()
        most_s = max(offsets.values(), key=abs, default=0.0)
        told = ", ".join(f"{_NAMES[source]} {offset_s:+.3f} s" for source, offset_s in sorted(offsets.items()))
        said = f"within {self.bound_s:g} s ({told})" if told else "nothing to compare it with: see [clock] servers"
        if self.kernel is not None and not self.kernel.is_synchronised:
            said += "; the kernel says that nobody keeps it right"
        return Part("clock", True, most_s, said)

    def _note(self, source: str, ahead_s: float) -> None:
        self.found[source] = (ahead_s, time.monotonic())

    def _worst(self) -> tuple[str, float] | None:
        """The source by which the clock is furthest out of bound."""
        offsets = self.offsets_s()
        source = max(offsets, key=lambda name: abs(offsets[name]), default=None)
        return (source, offsets[source]) if source and abs(offsets[source]) > self.bound_s else None


_NAMES = {"database": "the database server", "ntp": "the NTP servers", "tags": "the tags"}
