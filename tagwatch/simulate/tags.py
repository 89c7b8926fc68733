"""The tags: which wearer had which device when, and all that it reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from engine.activations import FOREVER_US, Activation
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tagwatch.simulate.batteries import run_battery
from tagwatch.simulate.paths import Path
from tagwatch.simulate.people import wearer_id
from tagwatch.simulate.plane import Floats
from tagwatch.simulate.receiver import Moments, Reception, receive
from tagwatch.simulate.reporting import fix_seconds, received_seconds, upload_seconds
from tagwatch.simulate.roles import Roles
from tagwatch.simulate.spans import Span
from tagwatch.simulate.tag_events import tag_events
from tagwatch.simulate.town import Town


class Reported(NamedTuple):
    """What one tag sent while on one wearer: fixes in order of time, the truth at them [m], and device events."""

    number: int
    activation: Activation
    fixes: Fixes
    x: Floats
    y: Floats
    events: list[DeviceEvent]


def hand_out(wearers: int, roles: Roles, span: Span) -> tuple[tuple[Activation, ...], ...]:
    """The activations of each wearer: mostly one tag for good; one swap; one tag that a second wearer gets later."""

    def moment(share: float) -> int:
        return span[0] + int((span[1] - span[0]) * share) // MINUTE_US * MINUTE_US

    given = []
    for number in range(wearers):
        upload_s = 60 if number in roles.live else 600
        first = Activation(_device(number), wearer_id(number), span[0], FOREVER_US, upload_interval_s=upload_s)
        mine: tuple[Activation, ...] = (first,)
        if number == roles.swap:
            swapped = moment(0.6)
            mine = first._replace(to_us=swapped), first._replace(device=_device(wearers), from_us=swapped)
        if roles.reuse and number == roles.reuse[0]:
            mine = (first._replace(to_us=moment(0.4)),)
        if roles.reuse and number == roles.reuse[1]:
            mine = (first._replace(device=_device(roles.reuse[0]), from_us=moment(0.55)),)
        given.append(mine)
    return tuple(given)


def report(
    number: int, activation: Activation, path: Path, town: Town, roles: Roles, to_us: int, rng: Generator
) -> Reported:
    """All that a tag reports while it is on this wearer, until `to_us` at most."""
    worn = activation.from_us, min(activation.to_us, to_us)
    battery = run_battery(path, *worn, number in roles.forgetful, rng)
    seconds = fix_seconds(activation, to_us, battery.off, rng)
    moments = Moments.on(path, seconds * SECOND_US)
    columns, heard = receive(moments, town, _reception(number, roles, rng), rng)
    silent = [*battery.off, *_outages(number, roles, worn, rng)]
    uploads = upload_seconds(activation, to_us, seconds, silent, rng)
    seconds, kept = seconds[heard], {name: values[heard] for name, values in columns.items()}
    kept |= {"battery_pct": battery.percent(seconds * SECOND_US), "received_s": received_seconds(seconds, uploads)}
    fixes = _fixes(activation.device, seconds * SECOND_US, kept)
    tampered = number in roles.tampers
    events = tag_events(activation.device, worn, path, battery, seconds, fixes.source, tampered, uploads, rng)
    return Reported(number, activation, fixes, moments.x[heard], moments.y[heard], events)


def _fixes(device: str, time_us: Any, columns: dict[str, Any]) -> Fixes:
    return Fixes.of((device,), device=np.zeros(len(time_us), np.int32), time_us=time_us, **columns)


def _device(number: int) -> str:
    return f"T{number + 1:05d}"


def _reception(number: int, roles: Roles, rng: Generator) -> Reception:
    lost_home = 0.4 if number in roles.bad_homes else rng.uniform(0.02, 0.12)
    return Reception(lost_home, rng.uniform(0.04, 0.2), number in roles.home_units)


def _outages(number: int, roles: Roles, worn: Span, rng: Generator) -> Sequence[Span]:
    """When the tag could not upload: some hours, or days for a few (as far as it was worn so long)."""
    if number in roles.backlogs:
        wanted_us = int(rng.uniform(1.0, 2.5) * DAY_US)
    elif number in roles.outages:
        wanted_us = int(rng.uniform(2.0, 10.0) * HOUR_US)
    else:
        return []
    length_us = min(wanted_us, (worn[1] - worn[0]) // 2)
    start = worn[0] + int(rng.uniform(0.1, 0.9) * (worn[1] - worn[0] - length_us))
    return [(start, start + length_us)]
