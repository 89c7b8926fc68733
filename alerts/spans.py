"""Findings that begin and end: opened, closed, and joined where less than the merge gap lies between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerts.device_memory import Place, Span

MOST_WORDS = 8


def is_open(spans: Sequence[Span]) -> bool:
    """Whether the last of them goes on."""
    return bool(spans) and spans[-1].ended_us is None


def open_span(spans: list[Span], began_us: int, at_us: int, gap_us: int, place: Place | None, word: str = "") -> None:
    """Something began at `began_us`, as was known at `at_us`: a new span, or the last one goes on.

    It goes on where it is open or ended less than the gap before; then it keeps its place and what was first said of it.
    """
    words = (word,) if word else ()
    last = spans[-1] if spans else None
    if last is None or (last.ended_us is not None and began_us - last.ended_us >= gap_us):
        spans.append(Span(began_us, None, at_us, at_us, 1, words, place))
        return
    if word and (word in last.words or len(last.words) == MOST_WORDS):
        words = ()
    earlier = began_us < last.began_us
    spans[-1] = last._replace(
        began_us=min(began_us, last.began_us), ended_us=None, last_us=max(at_us, last.last_us), n=last.n + 1,
        words=last.words + words, place=place if earlier else last.place,
    )  # fmt: skip


def close_span(spans: list[Span], at_us: int) -> None:
    """The last span ends, where one is open."""
    if is_open(spans):
        spans[-1] = spans[-1]._replace(ended_us=at_us)


def kept(spans: Iterable[Span], since_us: int, open_to_us: int) -> tuple[Span, ...]:
    """The spans that are open, ended at `since_us` or later, or may still go on: what begins at `open_to_us` would join."""
    bound = min(since_us, open_to_us)
    return tuple(s for s in spans if s.ended_us is None or s.ended_us >= bound)
