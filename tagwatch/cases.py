"""Cases for evidence packs: from a recorded run, or from files, which are matched first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyogrio

from crime_match.crimes.crime import Crime
from crime_match.evidence.case import Case, Origin, Other, Person, Stale
from crime_match.near import match_of
from crime_match.question import Parameters
from crime_match.runs.results_csv import People
from crime_match.runs.run import Run
from crime_match.strength.shifts import LONDON
from crime_match.trails import Trails
from crime_match.verdicts import PLACED
from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US
from ingest.trail_files import files_of, read_trail_traced
from tagwatch.evidence import match_in, record_of
from tagwatch.matching import match_crimes, presence_about, run_of

SOFTWARE = ("tagwatch", "numba", "numpy", "pyproj", "convertbng", "typst", "pyhanko", "python-docx")
"""Whose versions a verdict, or the bytes of a member, may depend on."""
_MOST_NAMES = 5
Trace = Callable[[Fixes], tuple[Sequence[Origin | None], Mapping[str, bytes]]]
"""Where fixes came from, empty where it is not known; and members of the pack that prove it."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What a run found about one crime and one wearer: the line, the sums of all wearers, the others who are placed."""

    run: Run
    crime: Crime
    match: Mapping[str, Any]
    counts: Mapping[str, int]
    others: Sequence[Other]
    stale: Stale | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All that a case is made of: the match, the trails it was computed from, the parameters, who the wearer is, versions of
    the configuration, and what tells where fixes came from."""

    matched: Matched
    trails: Trails
    parameters: Parameters
    person: Person
    configuration: Mapping[str, str]
    trace: Trace


def _software() -> dict[str, str]:
    return {name: version(name) for name in SOFTWARE} | {"gdal": pyogrio.__gdal_version_string__}


def matched_in(trails: Trails, crime: Crime, wearer: str, parameters: Parameters, timezone: str = LONDON) -> Matched:
    """The match of trails that were read from files. InputError where nobody of that name is in them."""
    if wearer not in trails.wearers:
        raise InputError(field="--wearer", value=wearer, expected=_known(trails.wearers))
    [found] = match_crimes(trails, [crime], parameters, only=(PLACED,), timezone=timezone)
    mine = [match for match in found.matches if match.wearer == wearer]
    match = mine[0] if mine else match_of(parameters.ask(crime), trails.of(wearer), presence_about, None, crime)
    others = [match.record() for match in found.matches if match.wearer != wearer]
    run = run_of([crime], trails, parameters, timezone=timezone)
    return Matched(run, crime, match.record(), found.counts, others_of(others))


def _known(wearers: Sequence[str]) -> str:
    names = ", ".join(sorted(wearers)[:_MOST_NAMES]) + ", ..." * (len(wearers) > _MOST_NAMES)
    return f"one of the {len(wearers)} wearers of the trails and activations ({names}); without activations a device is one"


def others_of(matches: Sequence[Mapping[str, Any]]) -> list[Other]:
    """Those who are placed too, unnamed, the closest first."""
    found = [Other(m["support"], float(m["closest_m"]), int(m["n_fixes"])) for m in matches]
    return sorted(found, key=lambda other: (other.closest_m, other.support, other.n_fixes))


def case_of(found: Found, *, timezone: str, signer: str = "") -> tuple[Case, dict[str, bytes]]:
    """The case, and the files of its record, from which the match comes out again; timezone: of the local times shown."""
    matched, wearer = found.matched, found.person.wearer
    files = record_of(matched.crime, found.trails.of(wearer), found.parameters, matched.match)
    trail, _ = match_in(files, found.parameters)
    origins, proofs = found.trace(trail.fixes)
    dates = [matched.crime.to_us, int(np.max(trail.fixes.received_s, initial=0)) * SECOND_US]
    dates += [event.received_s * SECOND_US for event in trail.events]
    case = Case(
        match=matched.match, crime=matched.crime, trail=trail, run=matched.run, counts=matched.counts, others=matched.others,
        person=found.person, origins=origins, configuration=found.configuration,
        software=_software(), timezone=timezone, dated_us=max(dates), stale=matched.stale,
        signer=signer,
    )  # fmt: skip
    return case, {**files, **proofs}


def person_of(wearer: str, people: People) -> Person:
    """Who the wearer is, as far as people are known."""
    known = people.wearer(wearer)
    if known is None:
        return Person(wearer)
    return Person(wearer, known.name, known.force, known.scheme, people.manager(wearer))


def trace_in_files(paths: Sequence[str], tz: str | None) -> Trace:
    """Finds fixes in trail files: the first row that holds the same is where one came from."""

    def trace(fixes: Fixes) -> tuple[list[Origin | None], dict[str, bytes]]:
        found: dict[tuple[str, int, int], Origin] = {}
        wanted = set(_identities(fixes))
        for path in paths:
            if path == "-":
                return [], {}
            for name, file in files_of(path).items():
                traced = read_trail_traced(file, ZoneInfo(tz) if tz else None, lambda fault: None)
                for identity, row in zip(_identities(traced.fixes), traced.rows.tolist(), strict=True):
                    if identity in wanted:
                        found.setdefault(identity, Origin(name, traced.sha256, row))
        return [found.get(identity) for identity in _identities(fixes)], {}

    return trace


def _identities(fixes: Fixes) -> list[tuple[str, int, int]]:
    names = (fixes.devices[k] for k in fixes.device.tolist())
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))
