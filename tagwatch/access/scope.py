"""Scope: whose locations somebody may see at all. A force is a hard bound, an offender manager sees the own wearers only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.wearers import Wearer
from tagwatch.access.accounts import EVERY_FORCE, Account
from tagwatch.access.roles import MANAGER


class Scope(NamedTuple):
    """`wearers` None: all of everybody, also of those whom no file of wearers names."""

    wearers: frozenset[str] | None
    forces: frozenset[str]

    def holds(self, wearer: str) -> bool:
        """Whether this wearer may be seen."""
        return self.wearers is None or wearer in self.wearers

    def holds_force(self, force: str) -> bool:
        """Whether crimes and files of this force may be seen."""
        return EVERY_FORCE in self.forces or force in self.forces

    def only(self, wearers: Iterable[str]) -> list[str]:
        """Those of these wearers that may be seen, in their order."""
        return [wearer for wearer in wearers if self.holds(wearer)]


def scope_of(
    account: Account, forces: frozenset[str], wearers: Iterable[Wearer], members: Mapping[str, Iterable[str]]
) -> Scope:
    """What an account sees. members: by team, the names of its people. A wearer of no known force is seen by accounts for
    every force alone; an account that is an offender manager's and nothing else sees the wearers of the own teams."""
    everything = EVERY_FORCE in forces
    own = account.roles == frozenset({MANAGER})
    if everything and not own:
        return Scope(None, forces)
    teams = {team for team, names in members.items() if account.member and account.member in set(names)}
    seen = (w for w in wearers if everything or w.force in forces)
    return Scope(frozenset(w.wearer for w in seen if not own or w.team in teams), forces)
