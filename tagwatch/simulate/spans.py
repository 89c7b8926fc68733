"""Spans of time: sorted lists of (from_us, to_us) that do not touch, and what can be done with them."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def union(*lists: Iterable[Span]) -> list[Span]:
    """All time that lies in any of the lists; spans that touch are joined."""
    joined: list[Span] = []
    for start, end in sorted(span for spans in lists for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def common(one: Iterable[Span], two: Iterable[Span]) -> list[Span]:
    """The time that lies in both lists."""
    others = list(two)
    return union((max(a, c), min(b, d)) for a, b in one for c, d in others if max(a, c) < min(b, d))


def without(one: Iterable[Span], two: Iterable[Span]) -> list[Span]:
    """The time of the first list that is not in the second."""
    left = union(one)
    for start, end in two:
        before = [(a, min(b, start)) for a, b in left if a < start]
        left = union(before, [(max(a, end), b) for a, b in left if b > end])
    return left


def total_us(spans: Iterable[Span]) -> int:
    """How long they are together [us]."""
    return sum(end - start for start, end in spans)
