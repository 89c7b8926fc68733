"""What is dated ahead of the clock waits here until its time has come. Where a store holds it too, only the next day of it
waits in memory, however much a tag with a wrong clock has sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import DAY_US

NEVER_US = -(2**62)
FOREVER_US = 2**62
Stored = Callable[[int, int], tuple[Fixes, list[DeviceEvent]]]
"""All fixes and events that are stored with from_us <= time <= to_us."""


class Ahead:
    """Fixes and events by their time; what is due is handed out once."""

    def __init__(self, stored: Stored | None = None) -> None:
        self._stored = stored
        self._fixes: list[Fixes] = []
        self._events: list[DeviceEvent] = []
        self._first_us = FOREVER_US  # the earliest of the fixes that wait
        self._known_to_us = NEVER_US if stored else FOREVER_US  # up to here all that waits is in memory

    def __len__(self) -> int:
        return sum(map(len, self._fixes)) + len(self._events)

    def due(self, fixes: Fixes, events: Sequence[DeviceEvent], as_of_us: int) -> tuple[Fixes, list[DeviceEvent]]:
        """Of these and of what waits what is past by now; the rest waits."""
        self.look_ahead(as_of_us)
        ahead = fixes.time_us > as_of_us
        if ahead.any():
            self._put(fixes.take(ahead))
            fixes = fixes.take(~ahead)
        if self._first_us <= as_of_us:
            waiting = concat(self._fixes)
            self._fixes, self._first_us = [], FOREVER_US
            self._put(waiting.take(waiting.time_us > as_of_us))
            fixes = concat([waiting.take(waiting.time_us <= as_of_us), fixes])
        every = [*self._events, *events]
        self._events = [e for e in every if as_of_us < e.time_us <= self._known_to_us]
        return fixes, [e for e in every if e.time_us <= as_of_us]

    def put_once(self, fixes: Fixes, events: Sequence[DeviceEvent]) -> None:
        """These wait too, each once however often it is told; a fix with its earliest arrival."""
        self._events = list(dict.fromkeys([*self._events, *(e for e in events if e.time_us <= self._known_to_us)]))
        if len(fixes):
            every = concat([*self._fixes, fixes])
            every = every.take(np.argsort(every.received_s, kind="stable"))
            _, first = np.unique(np.stack([every.device, every.time_us, every.content()]), axis=1, return_index=True)
            self._fixes, self._first_us = [], FOREVER_US
            self._put(every.take(first))

    def _put(self, fixes: Fixes) -> None:
        near = fixes.time_us <= self._known_to_us
        fixes = fixes if near.all() else fixes.take(near)
        if len(fixes):
            self._fixes.append(fixes)
            self._first_us = min(self._first_us, int(fixes.time_us.min()))

    def look_ahead(self, as_of_us: int) -> None:
        """Read the next day from the store when half of what was read is over; at first from the present on."""
        if self._stored is None or as_of_us + DAY_US // 2 <= self._known_to_us:
            return
        from_us = 1 + (as_of_us if self._known_to_us == NEVER_US else self._known_to_us)
        self._known_to_us = as_of_us + DAY_US
        self.put_once(*self._stored(from_us, self._known_to_us))
