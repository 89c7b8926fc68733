"""Matches as a map: GeoJSON (RFC 7946) of each crime's place and vicinity, of the fixes, and of the ways in and out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import shapely

from crime_match.crimes.crime import Crime
from crime_match.match import CrimeMatches, Match
from crime_match.question import Parameters, Question
from engine.flags import WEIGHTLESS, flag_names
from geofence.antimeridian import moved
from geofence.places import outline
from geofence.zone import Circle

OPENING = b'{"type":"FeatureCollection","features":[\n'
SEPARATOR = b",\n"
CLOSING = b"\n]}\n"
SEGMENTS = 64
"""A circle is drawn by so many corners that lie on it: at 100 m its edges are 0.12 m inside."""
_BARE = frozenset(flag_names(WEIGHTLESS))
_LEAST_M_A_DEGREE = 110_500.0  # a degree of latitude is never shorter
_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)
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
Position = tuple[float, float]


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
    yield _feature("crime", crime, told | asked | dict(found.counts), _point(question.lon, question.lat))
    wider = [("widened vicinity", question.reach_m)] if question.uncertainty_m else []
    for kind, radius_m in [("vicinity", question.radius_m), *wider]:
        yield _feature(
            kind, crime, {"radius_m": float(radius_m)}, _disc(Circle(question.lat_e7, question.lon_e7, radius_m))
        )


def _of_match(crime: Crime, match: Match) -> Iterator[Feature]:
    """A line for each visit, then all fixes in time order, those about the window too."""
    who = {"wearer": match.wearer, "verdict": match.verdict, "support": match.support}
    placed = [(fix, "window") for fix in match.fixes]
    before = [(match.before, "before")] if match.before else []
    after = [(match.after, "after")] if match.after else []
    path = [fix for fix, _ in (*before, *placed, *after) if not _BARE.intersection(fix["flags"])]
    for visit in match.visits:
        way = _track(_about(path, visit["label"]))
        if way:
            yield _feature("track", crime, who | visit, way)
    for fix, when in (*before, *placed, *after):
        properties = who | {"when": when} | {key: fix[key] for key in _OF_A_FIX}
        yield _feature("fix", crime, properties, _point(fix["lon"], fix["lat"]))


def _feature(kind: str, crime: Crime, properties: dict[str, Any], geometry: dict[str, Any] | None) -> Feature:
    named = {"kind": kind, "crime": crime.reference, "force": crime.force}
    return {"type": "Feature", "properties": named | properties, "geometry": geometry}


def _point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": (round(lon, 7), round(lat, 7))}


def _about(path: list[dict[str, Any]], label: str) -> list[Position]:
    """The places of a visit's fixes, and of the one before and the one after."""
    rows = [row for row, fix in enumerate(path) if fix["label"] and fix["label"].rstrip("0123456789") == label]
    return [(fix["lon"], fix["lat"]) for fix in path[max(rows[0] - 1, 0) : rows[-1] + 2]]


def _track(way: list[Position]) -> dict[str, Any] | None:
    """A line, cut where it crosses the antimeridian (RFC 7946, 3.1.9); None where there is no way between the places."""
    parts = [[way[0]]]
    for (lon1, lat1), (lon2, lat2) in pairwise(way):
        if abs(lon2 - lon1) > 180.0:
            edge = math.copysign(180.0, lon1)
            share = (edge - lon1) / (lon2 + 2.0 * edge - lon1)
            lat = round(lat1 + share * (lat2 - lat1), 7)
            parts[-1].append((edge, lat))
            parts.append([(-edge, lat)])
        parts[-1].append((lon2, lat2))
    lines = [part for part in parts if len(set(part)) > 1]
    if len(lines) > 1:
        return {"type": "MultiLineString", "coordinates": lines}
    return {"type": "LineString", "coordinates": lines[0]} if lines else None


def _disc(circle: Circle) -> dict[str, Any] | None:
    """A circle as a polygon, counter-clockwise, cut at the antimeridian; None where it may reach a pole."""
    if abs(circle.lat_e7) / 1e7 + circle.radius_m / _LEAST_M_A_DEGREE >= 90.0:
        return None
    area = outline(circle, SEGMENTS)
    west, _, east, _ = area.bounds
    if west < -180.0 or east > 180.0:
        parts = [moved(area, turn).intersection(_WORLD) for turn in (-360.0, 0.0, 360.0)]
        area = shapely.MultiPolygon([p for part in parts for p in shapely.get_parts(part) if p.area > 0.0])
    area = shapely.orient_polygons(area)
    whole = [[[(round(x, 7), round(y, 7)) for x, y in part.exterior.coords]] for part in shapely.get_parts(area)]
    single = area.geom_type == "Polygon"
    return {"type": area.geom_type, "coordinates": whole[0] if single else whole}
