"""Spans of time and devices: what is to be erased, less what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.times import EARLIEST_US, LATEST_US

Span = tuple[int, int]
"""[from_us, to_us) in UTC microseconds."""
EVER: Span = (EARLIEST_US, LATEST_US)


class DeviceSpan(NamedTuple):
    """One device in [from_us, to_us)."""

    device: str
    from_us: int
    to_us: int


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that touch made one, empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def without(spans: Iterable[Span], held: Iterable[Span]) -> list[Span]:
    """What is left of spans where the held ones are taken out."""
    left = merged(spans)
    for start, end in merged(held):
        left = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return left


def common(one: Iterable[Span], two: Iterable[Span]) -> list[Span]:
    """What lies in a span of both."""
    others = merged(two)
    return [(max(a, c), min(b, d)) for a, b in merged(one) for c, d in others if max(a, c) < min(b, d)]


def clipped(worn: Iterable[DeviceSpan], spans: Iterable[Span]) -> Iterator[DeviceSpan]:
    """The parts of device spans that lie in the spans."""
    wanted = merged(spans)
    for one in worn:
        for start, end in common([one[1:]], wanted):
            yield DeviceSpan(one.device, start, end)
