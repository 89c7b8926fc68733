"""What `match` is given: crimes and trails, from files or from the database, and who is known of the wearers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import InputError
from tagwatch.cli.choosing import options_of, require_known
from tagwatch.cli.options import say, say_unused_tz, zone_of

if TYPE_CHECKING:
    from crime_match.crimes.crime import Crime
    from crime_match.crimes.store import Choice
    from crime_match.question import Parameters
    from crime_match.runs.results_csv import People
    from crime_match.trails import Trails
    from engine.database import Connection


class Given(NamedTuple):
    """The files and the database that were named, which of the crimes, how to read the files, and why it is asked."""

    trails: list[str]
    crimes: str | None
    choice: Choice
    activations: str | None
    events: str | None
    wearers: str | None
    teams: str | None
    config: Any
    tz: str | None
    skip_bad: bool
    percentile: float
    reason: str
    case: str


class Material(NamedTuple):
    """What is matched: crimes, trails, who is known; `versions` of the crimes by force and reference where crimes and trails
    are those of a database, which is open; empty where the run is not to be recorded."""

    crimes: list[Crime]
    trails: Trails
    people: People
    versions: dict[tuple[str, str], int]
    connection: Connection | None = None


@contextmanager
def material(given: Given, parameters: Parameters) -> Iterator[Material]:
    """Crimes first, so that what is wrong with them is told before the trails are read."""
    chosen = options_of(given.choice._replace(reference=None))
    if chosen and (given.crimes or given.trails):
        raise InputError(
            f"{', '.join(chosen)} choose{'s' if len(chosen) == 1 else ''} among the crimes of the database",
            expected="neither --crimes nor trail files beside it (--crime is for files too)",
        )
    if given.trails:
        yield _from_files(given, parameters)
        return
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.crimes import connected

    with connected(given.config) as connection:
        log_view(connection, "match asked", reason=given.reason, case_ref=given.case)
        yield _from_database(given, parameters, connection)


def _from_files(given: Given, parameters: Parameters) -> Material:
    from engine.activations import Activation
    from ingest.activation_files import read_activations
    from ingest.event_files import read_events
    from tagwatch.cli.trails import read_fixes, tell_cut_times, tell_no_fixes
    from tagwatch.matching import trails_of

    if given.crimes is None:
        raise InputError(field="--crimes", expected="a file of crimes, as the trails are files")
    crimes = _crimes_in_file(given.crimes, given, parameters)
    people = people_of(given.wearers, given.teams, None)
    worn = read_activations(given.activations) if given.activations else None
    events = read_events(given.events, zone_of(given.tz)) if given.events else []
    plan = Activation("", "", -(2**62), percentile=given.percentile)
    fixes = read_fixes(given.trails, given.tz, given.skip_bad)
    tell_no_fixes(fixes, ", ".join(given.trails))
    tell_cut_times(fixes)
    return Material(crimes, trails_of(fixes, worn, events, plan), people, {})


def _from_database(given: Given, parameters: Parameters, connection: Connection) -> Material:
    from crime_match.crimes.store import crimes, key_of
    from crime_match.runs.results_csv import People
    from engine.fixes import concat
    from engine.store.fixes import FixStore
    from tagwatch import configuration
    from tagwatch.cli.trails import tell_no_fixes
    from tagwatch.matching import trails_of
    from tagwatch.settings import read_settings

    settings = read_settings(given.config)
    versions = {}
    if given.crimes is None:
        latest = crimes(connection, given.choice)
        versions = {key_of(version.crime): version.version for version in latest}
        if not latest and options_of(given.choice):
            require_known(connection, given.choice)
            return Material([], trails_of(concat([])), People(), {})
        found = _asked_about([version.crime for version in latest], "the database", given, parameters)
    else:
        found = _crimes_in_file(given.crimes, given, parameters)
        say("tagwatch: the run is not recorded: its crimes come from a file (`tagwatch crimes import`)")
    conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
    store = FixStore(connection)
    # all of them: how usual a place is, and for whom, is asked of the whole time that is stored, as it is of files
    fixes = store.read()
    tell_no_fixes(fixes, "the database")
    if versions and not len(fixes):  # else its crimes would pass for matched
        say("tagwatch: the run is not recorded: without fixes it answers nothing")
        versions = {}
    trails = trails_of(fixes, conditions.activations, store.read_events(), settings.default_plan)
    return Material(found, trails, people_of(given.wearers, given.teams, connection), versions, connection)


def _crimes_in_file(path: str, given: Given, parameters: Parameters) -> list[Crime]:
    """The crimes of the good rows. Every bad row is told on standard error; where none is good, the first is raised."""
    from crime_match.crimes.files import read_crimes

    file = read_crimes(path, zone=zone_of(given.tz))
    say_unused_tz(given.tz, file.form)
    if not file.crimes:
        file.settle()
    for fault in file.faults:
        say(f"tagwatch: left out: {fault.error(file.name)}")
    for hint in file.hints:
        say(f"hint: row {hint.row}: {hint.message}")
    n_bad = len({fault.row for fault in file.faults})
    if n_bad:
        rows, crimes = "row" if n_bad == 1 else "rows", "crime" if len(file.crimes) == 1 else "crimes"
        say(f"tagwatch: {n_bad} bad {rows} of {file.name} LEFT OUT, {len(file.crimes)} {crimes} matched")
    return _asked_about(file.crimes, file.name, given, parameters)


def _asked_about(crimes: list[Crime], place: str, given: Given, parameters: Parameters) -> list[Crime]:
    """The crimes that were asked about, once each can be; InputError where there is none."""
    if not crimes:
        raise InputError("holds no crimes", place=place, expected="crimes to match (`tagwatch crimes import`)")
    reference = given.choice.reference
    found = [crime for crime in crimes if reference in (None, crime.reference)]
    if not found:
        raise InputError(place=place, field="--crime", value=reference, expected="the reference of a crime in it")
    for crime in found:
        try:
            parameters.ask(crime)
        except InputError as fault:
            raise fault.at(f"{place}, crime {crime.reference}") from None
    return found


def people_of(wearers_file: str | None, teams_file: str | None, connection: Connection | None) -> People:
    """Who is known, from the files that were named, else from the database; of a team's managers the probation's first."""
    from alerts.teams import read_teams
    from engine.wearers import Wearer
    from geofence.store import current
    from ingest.wearer_files import read_wearers
    from tagwatch.configuration import load_teams, read_json
    from tagwatch.stored_runs import people_of as known

    if wearers_file:
        wearers = read_wearers(wearers_file)
    else:
        wearers = [Wearer(**row) for _, row in current(connection, "wearer").values()] if connection else []
    teams = load_teams(connection)[0] if connection and not teams_file else []
    if teams_file:
        try:
            teams = read_teams(read_json(teams_file))
        except InputError as fault:
            raise fault.at(teams_file) from None
    return known(wearers, teams)
