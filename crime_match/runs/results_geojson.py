"""Matches as a map: GeoJSON (RFC 7946) of each crime's place and vicinity, of the fixes, and of the ways in and out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from crime_match.crimes.crime import Crime
from crime_match.geojson import Geometry, Position, discs, point, track
from crime_match.match import CrimeMatches, Match
from crime_match.question import Parameters, Question
from engine.flags import WEIGHTLESS, flag_names
from geofence.zone import Circle

OPENING = b'{"type":"FeatureCollection","features":[\n'
SEPARATOR = b",\n"
CLOSING = b"\n]}\n"
_BARE = frozenset(flag_names(WEIGHTLESS))
_OF_A_FIX = (
    "time",
    "label",
    "device",
    "source",
    "accuracy_m",
    "radius_m",
    "exclusion_m",
    "distance_m",
    "share",
    "p",
    "flags",
)

Feature = dict[str, Any]


def features_of(found: CrimeMatches, parameters: Parameters) -> bytes:
    """The features of one crime, one a line, without the last line's end; `parameters` are those it was matched by."""
    question = parameters.ask(found.crime)
    features = [*_place(found, question), *(f for match in found.matches for f in _of_match(found.crime, match))]
    return SEPARATOR.join(msgspec.json.encode(feature) for feature in features)


def _place(found: CrimeMatches, question: Question) -> Iterator[Feature]:
    """The crime as a point, its vicinity, and the wider one of possible and excluded where the place is uncertain."""
    crime = found.crime
    told = {k: v for k, v in crime.record().items() if k not in ("force", "reference", "lat", "lon")}
    asked = {k: v for k, v in question.parameters().items() if k not in ("lat", "lon", "from", "to", "uncertainty_m")}
    yield _feature("crime", crime, told | asked | dict(found.counts), point(question.lon, question.lat))
    wider = [("widened vicinity", question.reach_m)] if question.uncertainty_m else []
    for kind, radius_m in [("vicinity", question.radius_m), *wider]:
        [disc] = discs([Circle(question.lat_e7, question.lon_e7, radius_m)])
        yield _feature(kind, crime, {"radius_m": float(radius_m)}, disc)


def _of_match(crime: Crime, match: Match) -> Iterator[Feature]:
    """A line for each visit, then all fixes in time order, those about the window too."""
    who = {"wearer": match.wearer, "verdict": match.verdict, "support": match.support}
    placed = [(fix, "window") for fix in match.fixes]
    before = [(match.before, "before")] if match.before else []
    after = [(match.after, "after")] if match.after else []
    path = [fix for fix, _ in (*before, *placed, *after) if not _BARE.intersection(fix["flags"])]
    for visit in match.visits:
        way = track(_about(path, visit["label"]))
        if way:
            yield _feature("track", crime, who | visit, way)
    for fix, when in (*before, *placed, *after):
        properties = who | {"when": when} | {key: fix[key] for key in _OF_A_FIX}
        yield _feature("fix", crime, properties, point(fix["lon"], fix["lat"]))


def _feature(kind: str, crime: Crime, properties: dict[str, Any], geometry: Geometry | None) -> Feature:
    named = {"kind": kind, "crime": crime.reference, "force": crime.force}
    return {"type": "Feature", "properties": named | properties, "geometry": geometry}


def _about(path: list[dict[str, Any]], label: str) -> list[Position]:
    """The places of a visit's fixes, and of the one before and the one after."""
    rows = [row for row, fix in enumerate(path) if fix["label"] and fix["label"].rstrip("0123456789") == label]
    return [(fix["lon"], fix["lat"]) for fix in path[max(rows[0] - 1, 0) : rows[-1] + 2]]
