"""Match runs of the database: the trails that it holds, who is known of the wearers, and what is kept of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerts.teams import Team
from crime_match.crimes.store import Key, key_of
from crime_match.match import CrimeMatches
from crime_match.runs.results_csv import People
from crime_match.runs.run import Run
from crime_match.runs.store import Found, Line, record_making, record_run
from crime_match.trails import Trails
from engine.database import Connection
from engine.store.fixes import FixStore
from engine.times import SECOND_US
from engine.wearers import Wearer
from geofence.store import current
from tagwatch import configuration
from tagwatch.matching import trails_of
from tagwatch.settings import Settings

_MANAGERS = ("probation_manager", "police_manager")


def stored_trails(connection: Connection, settings: Settings, until_us: int | None = None) -> Trails:
    """The trails of everybody, from all that the database holds: how usual a place is is asked of the whole time.

    until_us: only what had arrived by then, None for everything.
    """
    conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
    store = FixStore(connection)
    fixes, events = store.read(), store.read_events()
    if until_us is not None:
        until_s = until_us // SECOND_US
        fixes = fixes.take(fixes.received_s <= until_s)
        events = [event for event in events if event.received_s <= until_s]
    return trails_of(fixes, conditions.activations, events, settings.default_plan)


def stored_people(connection: Connection) -> People:
    """The wearers that the database knows, and their teams' managers."""
    wearers = [Wearer(**row) for _, row in current(connection, "wearer").values()]
    return people_of(wearers, configuration.load_teams(connection)[0])


def people_of(wearers: Iterable[Wearer], teams: Iterable[Team]) -> People:
    """Who is known; of a team's managers the probation's first."""
    managers: dict[str, str] = {}
    members = [(team.id, member) for team in teams for member in team.members]
    for role in _MANAGERS:
        for team, member in members:
            if member.role == role:
                managers.setdefault(team, member.name)
    return People({wearer.wearer: wearer for wearer in wearers}, managers)


def keep_run(
    connection: Connection, run: Run, results: Iterable[CrimeMatches], versions: Mapping[Key, int], made_us: int,
    made_by: str, reason: str,
) -> None:  # fmt: skip
    """Keep a run with its lines as JSON, and that it was made, when, by whom and why; errors as for `record_run`."""
    found = (
        Found(
            one.crime.force, one.crime.reference, versions[key_of(one.crime)], one.counts,
            [Line(m.wearer, m.verdict, m.support, m.to_json()) for m in one.matches],
        )
        for one in results
    )  # fmt: skip
    record_run(connection, run.id, run.algorithm, run.parameters, run.inputs, found)
    record_making(connection, run.id, made_us, made_by, reason)
