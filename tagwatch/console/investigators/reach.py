"""How far somebody's sight of crimes and runs reaches, as the rooms ask for it: names, or None for all."""

from __future__ import annotations

from typing import NamedTuple

from crime_match.runs.seen import SeenRun, seen_run
from engine.database import Connection
from tagwatch.access.accounts import EVERY_FORCE
from tagwatch.console.caller import Caller, NotAllowed


class Reach(NamedTuple):
    """The forces whose crimes may be seen, and the wearers; None for all."""

    forces: tuple[str, ...] | None
    wearers: frozenset[str] | None


def reach_of(caller: Caller) -> Reach:
    """The reach of a caller."""
    every = EVERY_FORCE in caller.scope.forces
    return Reach(None if every else tuple(sorted(caller.scope.forces)), caller.scope.wearers)


def run_of(connection: Connection, caller: Caller, run_id: str) -> SeenRun:
    """The run with this id. NotAllowed where there is none, told alike where none of its crimes may be seen."""
    found = seen_run(connection, run_id, reach_of(caller).forces)
    if found is None:
        raise NotAllowed("there is no such run among those you may see")
    return found
