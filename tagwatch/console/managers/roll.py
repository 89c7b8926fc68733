"""The roll of wearers: everybody whom a caller may see, and those of them who were searched for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.database import Connection
from engine.store.fixes import FixStore
from engine.wearers import Wearer
from tagwatch.access.people import People
from tagwatch.access.scope import Scope
from tagwatch.monitor import Conditions

PARTS = ("scheme", "cohort", "force", "team")
"""What the roll is filtered by; a part that nobody has is `-`."""
NONE = "-"


class Sought(NamedTuple):
    """What somebody looks for: a piece of a name or an identifier, and the parts that are wanted (empty: any)."""

    text: str = ""
    scheme: str = ""
    cohort: str = ""
    force: str = ""
    team: str = ""

    def holds(self, who: Wearer) -> bool:
        """Whether a wearer is among those who are looked for."""
        text = self.text.strip().casefold()
        named = text in who.wearer.casefold() or text in who.name.casefold()
        return named and all(getattr(self, part) in ("", getattr(who, part) or NONE) for part in PARTS)


def roll(connection: Connection, people: People, conditions: Conditions, scope: Scope) -> list[Wearer]:
    """Everybody whom somebody with this scope may see, in the order of identifiers.

    Protected persons are not on it: their tags are there for their own safety.
    """
    named, _ = people.read(connection)
    names = set(named)
    if scope.wearers is None:
        names |= {row.wearer for row in conditions.activations.rows} | {c.wearer for c in conditions.curfews}
        names |= set() if conditions.activations.rows else set(FixStore(connection).devices())
    names -= {p.protected for p in conditions.proximities} - named.keys()
    return [named.get(name, Wearer(name)) for name in sorted(scope.only(names))]


def choices(wearers: Iterable[Wearer]) -> Mapping[str, list[str]]:
    """By part, what those on a roll have; `-` where somebody has none."""
    held = list(wearers)
    return {part: sorted({getattr(who, part) or NONE for who in held}) for part in PARTS}
