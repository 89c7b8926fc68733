"""The schedule of a case: every item that is held, what it is, and whether an evidence pack used it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.times import to_iso
from tagwatch.disclosure.packs import Pack

COLUMNS = {
    "number": "number of the item", "item": "the item", "file": "the file that it is in", "what": "what it is",
    "used": "used: an evidence pack was asked for that rests on it; unused: none was", "why": "why it is used or unused",
}  # fmt: skip
NO_PACK = "no evidence pack of this crime was asked for from the database"


class Item(NamedTuple):
    """One line of the schedule; `why` is empty for unused."""

    item: str
    file: str
    what: str
    used: bool
    why: str


@dataclass
class Schedule:
    """The items in the order in which they are met; `packs` are all that were asked for of the crime."""

    packs: list[Pack]
    items: list[Item] = field(default_factory=list)

    def add(self, item: str, file: str, what: str, *, run: str | None = None, wearer: str | None = None) -> None:
        """An item of a run, or about a wearer, or both: used where a pack is about the same."""
        of = [p for p in self.packs if run in (None, p.run) and wearer in (None, p.wearer)] if run or wearer else []
        why = f"evidence pack of {to_iso(of[0].at_us)} about {of[0].wearer}, asked for by {of[0].actor}" if of else ""
        other = "no evidence pack rests on it" if self.packs else NO_PACK
        self.items.append(Item(item, file, what, bool(of), why or other))

    def used(self, item: str, file: str, what: str, why: str) -> None:
        """An item that is used for a reason of its own."""
        self.items.append(Item(item, file, what, True, why))

    def rows(self) -> Iterator[tuple[int, str, str, str, str, str]]:
        """The rows of `COLUMNS`."""
        for number, one in enumerate(self.items, 1):
            yield number, one.item, one.file, one.what, "used" if one.used else "unused", one.why
