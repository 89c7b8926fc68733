"""One thing that is not as it should be, and how much was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_TOLD = 1_000
"""So many differences are told by name; the others are counted."""


class Difference(NamedTuple):
    """`kind` is one of a closed set; `what` names the row; `told` says what is wrong with it."""

    kind: str
    what: str
    told: str


@dataclass(slots=True)
class Compared:
    """`counts`: what was looked at, by what it is; `differences` by kind, all of them; the first of them by name in `told`."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    told: list[Difference] = field(default_factory=list)

    def differs(self, kind: str, what: str, told: str) -> None:
        """Note a difference."""
        self.differences[kind] += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(Difference(kind, what, told))

    def take(self, other: Compared) -> None:
        """Add what another comparison found."""
        self.counts += other.counts
        self.differences += other.differences
        self.told += other.told[: MOST_TOLD - len(self.told)]
