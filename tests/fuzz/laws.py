"""What holds of whatever a reader gives back."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from engine.events import EVENT_KINDS, DeviceEvent
from engine.fixes import ABSENT, NAMES, OPTIONAL, POSITION, SOURCE_NAMES, Fixes
from engine.times import EARLIEST_US, LATEST_US, SECOND_US
from ingest.event_values import VALUE_MOST
from ingest.fix_checks import check_device
from tests.fuzz.target import require

T = TypeVar("T")
_BOUNDS = [(c.key, c.name, c.least * c.scale, c.most * c.scale, c in OPTIONAL) for c in (*POSITION, *OPTIONAL)]


def check_fixes(fixes: Fixes) -> None:
    """Every value lies in its column's bounds, every device has a name that may be one, each name is there once."""
    n = len(fixes)
    require(all(fixes.column(name).shape == (n,) for name in NAMES), "columns of different lengths")
    require(len(set(fixes.devices)) == len(fixes.devices), "a device's name twice")
    if not n:
        return
    codes = set(fixes.device.tolist())
    require(min(codes) >= 0 and max(codes) < len(fixes.devices), "a device's number out of bounds")
    for code in codes:
        check_device(fixes.devices[code])
    for key, name, low, high, optional in _BOUNDS:
        for units in fixes.column(name).tolist():
            require(low <= units <= high or (optional and units == ABSENT), f"{key} is out of bounds")
    require(min(fixes.time_us.tolist()) >= EARLIEST_US and max(fixes.time_us.tolist()) < LATEST_US, "a time out of bounds")
    arrivals = fixes.received_s.tolist()
    require(
        min(arrivals) >= EARLIEST_US // SECOND_US and max(arrivals) < LATEST_US // SECOND_US, "an arrival out of bounds"
    )
    require(set(fixes.source.tolist()) <= set(SOURCE_NAMES), "a source that is none")


def check_events(events: list[DeviceEvent]) -> None:
    """Every event has a device, a time, a kind and a value that may be."""
    for event in events:
        check_device(event.device)
        require(event.kind in EVENT_KINDS, "an event of no kind")
        require(EARLIEST_US <= event.time_us < LATEST_US, "an event's time out of bounds")
        require(len(event.value) <= VALUE_MOST and (not event.value or event.value.isprintable()), "an event's value")


def same(one: Fixes, two: Fixes) -> bool:
    """Whether two batches say the same, row by row."""
    return (
        len(one) == len(two)
        and [one.devices[k] for k in one.device.tolist()] == [two.devices[k] for k in two.device.tolist()]
        and all(np.array_equal(one.column(name), two.column(name)) for name in NAMES if name != "device")
    )


class _Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """These bytes as standard input: readers of files take them from there, without a file."""
    before, sys.stdin = sys.stdin, _Stdin(data)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdin = before


def from_stdin(read: Callable[[str], T], data: bytes) -> T:
    """What a reader of files makes of these bytes."""
    with standard_input(data):
        return read("-")
