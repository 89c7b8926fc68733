"""Which entries of the configuration somebody sees, and which somebody may change.

Seen is what concerns a wearer that may be seen, and what holds for everybody. Changed by an administrator of one force is
only what concerns wearers of that force and nobody else: what holds for everybody (`*`), and what names a wearer of another
force, is changed by administrators for every force; a grant of another force lets see, not change. A zone that is the place
of a curfew concerns that curfew's wearer too. A team concerns the wearers who name it; one that nobody names is open to every
administrator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.database import Connection
from engine.wearers import Wearer
from geofence.store import current
from tagwatch.access.accounts import EVERY_FORCE
from tagwatch.access.roles import ADMINISTRATOR
from tagwatch.access.scope import Scope
from tagwatch.console.administrators.kinds import EVERYBODY, Kind, wearers_of, zones_named
from tagwatch.console.caller import Caller
from tagwatch.console.office import Office

STRANGER = "somebody of another force"


class Reach(NamedTuple):
    """What an account reaches; `places`: by zone, the wearers of the curfews whose place it is."""

    scope: Scope
    force: str
    writes: bool
    administers: bool
    wearers: Mapping[str, Wearer]
    places: Mapping[str, frozenset[str]]

    @property
    def every(self) -> bool:
        """Whether it is one for every force, and sees all."""
        return self.scope.wearers is None

    def sees(self, kind: Kind, name: str, content: Any) -> bool:
        """Whether an entry may be seen."""
        about = self._about(kind, name, content)
        if self.every or EVERYBODY in about or (kind.name == "team" and not about):
            return self.every or EVERYBODY in about or self.administers
        return any(self.scope.holds(wearer) for wearer in about)

    def edits(self, kind: Kind, name: str, content: Any) -> bool:
        """Whether an entry may be put in, changed or ended as this."""
        if not self.writes or self.force == EVERY_FORCE:
            return self.writes
        about = self._about(kind, name, content) | (
            self.places.get(name, frozenset()) if kind.name == "zone" else frozenset()
        )
        if kind.name == "wearer":
            return content is not None and content.get("force") == self.force
        return all(self._is_own(wearer) for wearer in about) and (bool(about) or kind.name == "team" or content is None)

    def edits_all(self, kind: Kind, name: str, contents: Iterable[Any]) -> bool:
        """Whether every version of an entry is within reach: to change one from the beginning on changes them all."""
        return all(self.edits(kind, name, content) for content in contents if content is not None)

    def told(self, wearers: Iterable[str]) -> list[str]:
        """Wearers by name as far as they may be seen, the others in one word without a number."""
        named = list(wearers)
        seen = [w for w in named if w == EVERYBODY or self.scope.holds(w)]
        return seen if len(seen) == len(named) else [*seen, STRANGER if not seen else "others of other forces"]

    def _is_own(self, wearer: str) -> bool:
        return wearer in self.wearers and self.wearers[wearer].force == self.force

    def _about(self, kind: Kind, name: str, content: Any) -> frozenset[str]:
        if kind.name == "team":
            return frozenset(w.wearer for w in self.wearers.values() if w.team == name)
        return frozenset(wearers_of(kind, name, content))


def reach_of(office: Office, caller: Caller, connection: Connection) -> Reach:
    """The reach of a caller, by the wearers and curfews that the database holds now."""
    wearers, _ = office.people.read(connection)
    places: dict[str, frozenset[str]] = {}
    for _, row in current(connection, "curfew").values():
        for zone in zones_named(row):
            places[zone] = places.get(zone, frozenset()) | {row["wearer"]}
    return Reach(
        caller.scope, caller.account.force, caller.may("configuration.edit"), ADMINISTRATOR in caller.account.roles,
        wearers, places,
    )  # fmt: skip
