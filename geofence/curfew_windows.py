"""The windows of a curfew over all its versions: each version gives its own moments, and what a change cut is one again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from geofence.curfew import Curfew, Piece


class Part(NamedTuple):
    """[start_us, end_us) of a window, and the number of the version that decides there."""

    start_us: int
    end_us: int
    version: int


class Window(NamedTuple):
    """A window of a curfew: its parts by version, each beginning where the one before ends."""

    parts: tuple[Part, ...]

    @property
    def start_us(self) -> int:
        """When it begins."""
        return self.parts[0].start_us

    @property
    def end_us(self) -> int:
        """When it ends."""
        return self.parts[-1].end_us

    def within(self, start_us: int, end_us: int) -> Window | None:
        """The part of it in [start_us, end_us), None where there is none."""
        cut = [p._replace(start_us=max(p.start_us, start_us), end_us=min(p.end_us, end_us)) for p in self.parts]
        parts = tuple(p for p in cut if p.start_us < p.end_us)
        return Window(parts) if parts else None


def windows_of(versions: Sequence[Curfew], from_us: int, to_us: int) -> list[Window]:
    """The windows of all versions of one curfew that meet [from_us, to_us], whole, oldest first.

    Two versions share a window where one's window ends and the other's begins with the change from one to the other, if these
    would be one by the rule for rows: they overlap as they were before the change cut them, or touch.
    """
    edges = {edge for curfew in versions for edge in curfew.holds}
    low, high = from_us, to_us
    while True:
        pieces = [(piece, k) for k, curfew in enumerate(versions) for piece in curfew.pieces(low, high)]
        wide = (
            min([low, *(p.start_us - 1 for p, _ in pieces if p.start_us in edges)]),
            max([high, *(p.end_us + 1 for p, _ in pieces if p.end_us in edges)]),
        )
        if wide == (low, high):
            break
        low, high = wide
    windows = [Window(tuple(parts)) for parts in _chains(sorted(pieces))]
    return [w for w in windows if w.end_us > from_us and w.start_us <= to_us]


def open_since_us(versions: Sequence[Curfew], instant_us: int) -> int:
    """When the first window began that does not end before the instant; the instant itself where none is open then."""
    return min([instant_us, *(w.start_us for w in windows_of(versions, instant_us - 1, instant_us))])


def _chains(pieces: Sequence[tuple[Piece, int]]) -> Iterator[list[Part]]:
    chain: list[Part] = []
    before: Piece | None = None
    for piece, version in pieces:
        if before and not _is_one(before, piece):
            yield chain
            chain = []
        chain.append(Part(piece.start_us, piece.end_us, version))
        before = piece
    if chain:
        yield chain


def _is_one(one: Piece, two: Piece) -> bool:
    """Whether two pieces are one window. Pieces of one version that touch are not: they were made windows of their own."""
    touch = one.end_us == two.start_us
    overlap = two.whole.start_us < one.whole.end_us
    return touch and one.holds != two.holds and (overlap or not (one.whole.whole_day or two.whole.whole_day))
