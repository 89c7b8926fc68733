"""What a kept run found, as files: JSON lines as they were written, the ministry's CSV, GeoJSON; written as they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from typing import Annotated

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from crime_match.crimes.store import Key, Version, key_of, versions_of
from crime_match.match import CrimeMatches, Match
from crime_match.runs.results import FORMATS, form_of, kept_lines
from crime_match.runs.seen import SeenRun, seen_results
from crime_match.runs.staleness import RunCrime, run_crimes
from crime_match.runs.store import Result
from engine.database import Connection
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.files import as_file
from tagwatch.console.investigators.reach import reach_of, run_of
from tagwatch.console.office import Here, Office
from tagwatch.evidence import parameters_in
from tagwatch.stored_runs import stored_people

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("matches.read")]
_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv", "geojson": "application/geo+json"}


@router.get("/matches/{run_id}/file.{form}")
def run_file(office: Here, caller: Reads, run_id: str, form: str) -> Response:
    """A run's results about crimes and wearers that the caller may see."""
    if form not in FORMATS:
        raise NotAllowed("there is no such file")
    with office.database.reading() as connection:
        run = run_of(connection, caller, run_id)
    office.log(caller, "matches downloaded", run_id, file=form)
    name = f"matches-{run_id[:12]}.{form}"
    return StreamingResponse(_parts(office, caller, run, form), media_type=_TYPES[form], headers=as_file(name))


def _parts(office: Office, caller: Caller, run: SeenRun, form: str) -> Iterator[bytes]:
    reach = reach_of(caller)
    with office.database.reading() as connection:
        crimes = [one for one in run_crimes(connection, run.id) if caller.scope.holds_force(one.force)]
        every = form == "jsonl" and reach == (None, None)
        with closing(seen_results(connection, run.id, *reach, erased=every)) as results:
            if every:
                yield from kept_lines(crimes, results, counted=bool(run.parameters.get("counted")))
            elif form == "jsonl":  # the sums of the run count wearers who may not be seen
                yield from (result.line.encode() + b"\n" for result in results)
            else:
                yield from _formed(connection, run, form, crimes, results)


def _formed(
    connection: Connection, run: SeenRun, name: str, crimes: list[RunCrime], results: Iterator[Result]
) -> Iterator[bytes]:  # fmt: skip
    form = form_of(name, parameters_in(run.parameters), stored_people(connection))
    versions = versions_of(connection, [(one.force, one.reference, one.version) for one in crimes])
    yield form.opening
    between = b""
    for found in _by_crime(versions, results):
        if part := form.of_crime(found):
            yield between + part
            between = form.separator
    yield form.closing


def _by_crime(versions: list[Version], results: Iterator[Result]) -> Iterator[CrimeMatches]:
    """Crime after crime with its matches, both in the run's order; crimes of which nothing is seen come without any."""
    by_key = groupby(results, lambda result: (result.force, result.reference))
    ahead: tuple[Key, list[Match]] | None = None
    for version in versions:
        if ahead is None:
            found = next(by_key, None)
            ahead = found and (found[0], [Match(**msgspec.json.decode(result.line)) for result in found[1]])
        mine: list[Match] = []
        if ahead and ahead[0] == key_of(version.crime):
            mine, ahead = ahead[1], None
        yield CrimeMatches(version.crime, mine, {})
