"""A case: all that an evidence pack tells of one wearer and one crime, as a recorded match says it; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crime_match.crimes.crime import Crime
from crime_match.runs.run import Run
from crime_match.trails import WearerTrail
from engine.times import EARLIEST_US, LATEST_US


@dataclass(frozen=True, slots=True)
class Person:
    """Who the wearer is, as far as it is known: name, force, scheme, manager; the identifier always."""

    wearer: str
    name: str = ""
    force: str = ""
    scheme: str = ""
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """Another wearer who is placed at this crime, unnamed: how far the placement carries, the closest fix [m], fixes placed."""

    support: str
    closest_m: float
    n_fixes: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fix came from: the file, its SHA-256 and the row of it (from 1); or the day of the raw log and the message's
    number there. A message of several fixes has a position in it (from 0; -1: it is the fix alone)."""

    file: str
    sha256: str
    row: int
    position: int = -1


@dataclass(frozen=True, slots=True)
class Stale:
    """The crime has changed since it was matched: the version that was used, the latest one, and what is other in it as
    (field, as matched, now)."""

    version: int
    latest: int
    changes: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is told.

    match: the line of the match as it was recorded (`Match.record`); crime, and the trail of the wearer that the pack carries
    (also beyond the window; flags, errors, activations, device events with it); run: algorithm, parameters, hashes of inputs;
    counts: all wearers of the run by verdict; others: those placed besides this one, the closest first; origins: of each fix
    of the trail, None where it is not known, empty where of none is; configuration: versions of activations and wearers by
    name, as text; software: name and version of everything the answer depends on; timezone: of the local times that are
    shown beside UTC; dated_us: the newest of the inputs [us UTC], which is the pack's date.
    """

    match: Mapping[str, Any]
    crime: Crime
    trail: WearerTrail
    run: Run
    counts: Mapping[str, int]
    others: Sequence[Other]
    person: Person
    origins: Sequence[Origin | None]
    configuration: Mapping[str, str]
    software: Mapping[str, str]
    timezone: str
    dated_us: int
    stale: Stale | None = None
    signer: str = ""
    """Who is to sign, as the key names them; empty: the pack is not signed, and says so."""

    @property
    def verdict(self) -> str:
        """placed, possible, excluded or unmonitored."""
        return str(self.match["verdict"])

    @property
    def is_fitting_recorded(self) -> bool:
        """Whether somebody recorded which tag the wearer had. Without activations each tag counts as its wearer's for all
        time, which nobody has said."""
        rows = self.trail.activations
        return any(row.from_us > EARLIEST_US or row.to_us < LATEST_US for row in rows)
