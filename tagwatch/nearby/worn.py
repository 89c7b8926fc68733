"""Who wears which tag about a window, and whose tag may not vouch for him."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match import far
from crime_match.question import Question
from engine.activations import Activation
from engine.database import Connection
from engine.store.telling_events import read_telling
from engine.times import SECOND_US

_FAR_US = 2**61


class Worn(NamedTuple):
    """Of each wearer (n,) his only activation about the window as a row of the activations, -1 where there is none or there are
    more; and whether none meets the window."""

    wearers: list[str]
    row: NDArray[np.int64]
    is_off: NDArray[np.bool_]


class Roster:
    """The activations of these wearers (of all where None) in columns, asked more than once."""

    def __init__(self, rows: Sequence[Activation], wearers: Collection[str] | None) -> None:
        self.rows = rows
        self._names = sorted({row.wearer for row in rows if wearers is None or row.wearer in wearers})
        number = {name: k for k, name in enumerate(self._names)}
        self._wearer = np.array([number.get(row.wearer, -1) for row in rows], np.int64)
        self._from_us = np.array([max(row.from_us, -_FAR_US) for row in rows], np.int64)
        self._to_us = np.array([min(row.to_us, _FAR_US) for row in rows], np.int64)

    def about(self, question: Question, covered: tuple[int, int]) -> Worn:
        """What they wear: an only activation covers the hours [from, to) [s UTC], and no other is so near in time that its
        fixes could contradict those of these hours."""
        from_us, to_us = covered[0] * SECOND_US, covered[1] * SECOND_US
        aside_us, known, n = far.apart_us(question), self._wearer >= 0, len(self._names)
        counts = (self._from_us < to_us + aside_us) & (self._to_us > from_us - aside_us) & known
        meets = (self._from_us <= question.end_us) & (self._to_us > question.start_us) & known
        covers = counts & (self._from_us <= from_us) & (self._to_us >= to_us)
        row = np.full(n, -1, np.int64)
        row[self._wearer[covers]] = np.flatnonzero(covers)
        row[np.bincount(self._wearer[counts], minlength=n) != 1] = -1
        return Worn(self._names, row, np.bincount(self._wearer[meets], minlength=n) == 0)


class Told(NamedTuple):
    """Devices whose events matter: those that surely may not exclude their wearers, and those of which it depends on more."""

    hindered: set[str]
    doubted: set[str]


def told_by_devices(
    connection: Connection, question: Question, rows: Sequence[Activation], covered: tuple[int, int]
) -> Told:
    """What the tags of these activations told of themselves, where fixes of the hours [from, to) bound the window (`TagState`).

    Only what was told in the activation that meets the window counts. A strap tamper up to the end of the window, power that
    was off or a fault in it surely hinder; after it a tamper may, if a fix that bounds the window came later, and before it a
    fault may, if no fix followed.
    """
    start_us, end_us = question.start_us, question.end_us
    since_us, until_us = covered[0] * SECOND_US, covered[1] * SECOND_US
    events = read_telling(connection, since_us=since_us, start_us=start_us, end_us=end_us, until_us=until_us)
    names = {name for name, _, _ in events}
    met = {row.device: row for row in rows if row.device in names and row.from_us <= end_us and row.to_us > start_us}
    told = Told(set(), set())
    for name, time_us, kind in events:
        if name in met and met[name].from_us <= time_us < met[name].to_us:
            is_sure = time_us >= start_us if kind == "fault" else time_us <= end_us
            (told.hindered if is_sure else told.doubted).add(name)
    return told
