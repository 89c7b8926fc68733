"""When a tag takes fixes, when it uploads them, and the stream of messages that the centre sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from engine.activations import Activation
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import SECOND_US
from tagwatch.simulate.spans import Span

Seconds = NDArray[np.int64]


def fix_seconds(activation: Activation, to_us: int, off: Sequence[Span], rng: Generator) -> Seconds:
    """The whole seconds at which the tag takes a fix: each interval with some seconds of jitter, none while it is off."""
    first, last = -(-activation.from_us // SECOND_US), min(activation.to_us, to_us) // SECOND_US
    every = activation.fix_interval_s
    nominal = np.arange(first + int(rng.integers(every)), last, every)
    wobble = min(4, (every - 1) // 2)
    seconds = nominal + rng.integers(-wobble, wobble + 1, len(nominal))
    return seconds[(seconds >= first) & (seconds < last) & ~_within(seconds, off)]


def upload_seconds(activation: Activation, to_us: int, seconds: Seconds, silent: Sequence[Span], rng: Generator) -> Seconds:
    """The whole seconds at which the tag uploads what it has: each interval, or just after each fix where it is live;
    never in a silent span, and once just after it."""
    first, last = activation.from_us // SECOND_US, min(activation.to_us, to_us) // SECOND_US
    every = activation.upload_interval_s
    live = every <= activation.fix_interval_s
    plan = seconds + rng.integers(1, 4, len(seconds)) if live else np.arange(first + int(rng.integers(every)), last, every)
    if not live:
        plan = plan + rng.integers(0, min(20, every), len(plan))
    after = [end // SECOND_US + int(rng.integers(5, 60)) for _, end in silent]
    plan = np.append(plan, [*after, max(last, *after, 0) + every])
    return np.unique(plan[~_within(plan, silent)])


def received_seconds(seconds: Seconds, uploads: Seconds) -> Seconds:
    """When the centre receives what was taken at these seconds: with the first upload after; shape (n,)."""
    return uploads[np.searchsorted(uploads, seconds, side="right")]


class Message(NamedTuple):
    """One upload: fixes `start` to `stop` of the world's batch (one device, in order of time) and its device events."""

    received_s: int
    device: str
    start: int
    stop: int
    events: tuple[DeviceEvent, ...]
    resent: bool = False


def message_stream(
    fixes: Fixes, events: Sequence[DeviceEvent], rng: Generator, resent_share: float = 0.01
) -> list[Message]:
    """All uploads in order of arrival; a share of them comes again a minute later, an exact duplicate, as tags send again
    what was not confirmed. `fixes` in order of device and time."""
    pending: dict[tuple[str, int], list[DeviceEvent]] = defaultdict(list)
    for event in events:
        pending[event.device, event.received_s].append(event)
    change = (np.diff(fixes.device) != 0) | (np.diff(fixes.received_s) != 0)
    edges = np.concatenate([[0], np.flatnonzero(change) + 1, [len(fixes)]]).tolist() if len(fixes) else [0]
    messages = []
    for start, stop in pairwise(edges):
        device, received_s = fixes.devices[fixes.device[start]], int(fixes.received_s[start])
        messages.append(Message(received_s, device, start, stop, tuple(pending.pop((device, received_s), ()))))
    messages += [Message(received_s, device, 0, 0, tuple(some)) for (device, received_s), some in pending.items()]
    again = rng.random(len(messages)) < resent_share
    copies = [
        m._replace(received_s=m.received_s + 60, resent=True) for m, twice in zip(messages, again, strict=True) if twice
    ]
    return sorted(messages + copies, key=lambda m: (m.received_s, m.device, m.resent, m.start))


def _within(seconds: Seconds, spans: Sequence[Span]) -> NDArray[np.bool_]:
    """Which seconds lie in any of these spans [us]."""
    inside = np.zeros(len(seconds), bool)
    for start, end in spans:
        inside |= (seconds * SECOND_US >= start) & (seconds * SECOND_US < end)
    return inside
