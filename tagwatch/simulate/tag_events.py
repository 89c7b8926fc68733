"""What a tag says of itself: motion, charging, battery, power, satellites lost and found, the strap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from engine.events import DeviceEvent
from engine.fixes import SOURCES
from engine.times import MINUTE_US, SECOND_US
from tagwatch.simulate.batteries import Battery
from tagwatch.simulate.journeys import DRIVE, WALK
from tagwatch.simulate.paths import Path
from tagwatch.simulate.reporting import Seconds, received_seconds
from tagwatch.simulate.spans import Span

_Said = tuple[int, str, str]
_LOST_AFTER_S = 600


def tag_events(
    device: str, worn: Span, path: Path, battery: Battery, seconds: Seconds, source: NDArray[np.int32], tampered: bool,
    uploads: Seconds, rng: Generator,
) -> list[DeviceEvent]:  # fmt: skip
    """All events of one tag while it is worn, in order of time, with the second of their upload.

    `seconds`, `source` (n,): when the tag took fixes and where they came from.
    """
    said = [*_motion(path), *_satellites(seconds, source), *_battery(battery)]
    if tampered:
        said.append((int(rng.integers(worn[0], worn[1])), "strap_tamper", ""))
    said = [one for one in said if not any(start <= one[0] < end for start, end in battery.off)]
    said += [(edge, kind, "") for span in battery.off for edge, kind in zip(span, ("power_off", "power_on"), strict=True)]
    whole = sorted((at // SECOND_US * SECOND_US, kind, value) for at, kind, value in said if worn[0] <= at < worn[1])
    received = received_seconds(np.array([one[0] for one in whole], np.int64) // SECOND_US, uploads)
    return [
        DeviceEvent(device, time_us, kind, value, int(at_s))
        for (time_us, kind, value), at_s in zip(whole, received, strict=True)
    ]


def _motion(path: Path) -> Iterable[_Said]:
    for start, end in path.stays((WALK, DRIVE)):
        yield start + 10 * SECOND_US, "motion", ""
        yield end + MINUTE_US, "no_motion", ""


def _battery(battery: Battery) -> Iterable[_Said]:
    for at in battery.charged_us:
        yield at, "charging", str(int(battery.percent(np.array([at]))[0]))
    for percent in (20, 10):
        for at in battery.fell_below(percent):
            yield at, "battery", str(percent)


def _satellites(seconds: Seconds, source: NDArray[np.int32]) -> Iterable[_Said]:
    """Lost when ten minutes went by without a satellite fix; found with the next one."""
    gps: Sequence[int] = seconds[source == SOURCES["gps"]].tolist()
    for last, following in pairwise(gps):
        if following - last > _LOST_AFTER_S:
            yield (last + _LOST_AFTER_S) * SECOND_US, "gps_lost", ""
            yield following * SECOND_US, "gps_found", ""
