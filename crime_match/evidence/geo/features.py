"""What all map files of a pack show, as features in layers: the crime, its vicinity, fixes, their circles, ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from crime_match.evidence.case import Case
from crime_match.evidence.tables import CRIME_COLUMNS, FIX_COLUMNS, crime_record, fix_records
from crime_match.geojson import Geometry, discs, point, track
from engine.times import parse_time
from geofence.zone import Circle

SEGMENTS = 32
"""Corners of a fix's circle: its edges are at most half a percent of the radius inside it."""
LEAST_M = 0.5
"""A smaller circle is not drawn: on a grid of 1 cm it would be none."""


class Feature(NamedTuple):
    """kind: crime, vicinity, widened vicinity, fix, circle or track; properties by the columns of the layer."""

    kind: str
    properties: Mapping[str, Any]
    geometry: Geometry | None


class Layer(NamedTuple):
    """Features of one sort; columns: name to int, float, bool, text or time (an instant in UTC as text)."""

    name: str
    geometry_type: str
    columns: Mapping[str, str]
    features: Sequence[Feature]


def layers_of(case: Case) -> list[Layer]:
    """The layers in the order in which they are written: crime, vicinity, tracks, circles, fixes."""
    records = fix_records(case)
    fixes = [Feature("fix", record, point(record["lon"], record["lat"])) for record in records]
    crime = crime_record(case)
    return [
        Layer("crime", "Point", CRIME_COLUMNS, [Feature("crime", crime, point(crime["lon"], crime["lat"]))]),
        Layer("vicinity", "MultiPolygon", {"kind": "text", "radius_m": "float"}, _vicinity(crime)),
        Layer("tracks", "MultiLineString", _OF_A_TRACK, _tracks(records, round(2e6 * crime["covered_s"]))),
        Layer("circles", "MultiPolygon", _OF_A_CIRCLE, _circles(records)),
        Layer("fixes", "Point", FIX_COLUMNS, fixes),
    ]


_OF_A_TRACK = {"first": "int", "last": "int", "from": "time", "to": "time", "n_fixes": "int"}
_OF_A_CIRCLE = {
    key: FIX_COLUMNS[key] for key in ("number", "when", "label", "time", "radius_m", "radius_assumed", "carries_weight")
}


def _vicinity(crime: Mapping[str, Any]) -> list[Feature]:
    """The vicinity of placed, and the wider one of possible and excluded where the place is uncertain."""
    radii = {"vicinity": crime["radius_m"]}
    if crime["uncertainty_m"]:
        radii["widened vicinity"] = crime["radius_m"] + crime["uncertainty_m"]
    areas = discs([_circle(crime, radius_m) for radius_m in radii.values()])
    return [
        Feature(kind, {"kind": kind, "radius_m": radius_m}, area)
        for (kind, radius_m), area in zip(radii.items(), areas, strict=True)
    ]


def _circles(records: Sequence[Mapping[str, Any]]) -> list[Feature]:
    """The confidence circles that were used, of all fixes that have one to draw."""
    drawn = [record for record in records if record["radius_m"] >= LEAST_M]
    areas = discs([_circle(record, record["radius_m"]) for record in drawn], SEGMENTS)
    return [
        Feature("circle", {key: record[key] for key in _OF_A_CIRCLE}, area)
        for record, area in zip(drawn, areas, strict=True)
        if area
    ]


def _circle(place: Mapping[str, Any], radius_m: float) -> Circle:
    return Circle(round(place["lat"] * 1e7), round(place["lon"] * 1e7), radius_m)


def _tracks(records: Sequence[Mapping[str, Any]], longest_us: int) -> list[Feature]:
    """A line through each run of fixes."""
    found = []
    for run in runs_of(records, longest_us):
        way = track([(record["lon"], record["lat"]) for record in run])
        ends = {"first": run[0]["number"], "last": run[-1]["number"], "from": run[0]["time"], "to": run[-1]["time"]}
        if way:
            found.append(Feature("track", ends | {"n_fixes": len(run)}, way))
    return found


def runs_of(records: Sequence[Mapping[str, Any]], longest_us: int) -> list[list[Mapping[str, Any]]]:
    """The fixes that carry weight and are not of masts, which tell no direction, cut where two are more than longest_us apart.

    With twice the time for which a fix covers (2.5 minutes) a way goes on for as long as the coverage that is reported has no
    hole: nothing is drawn across a stretch of which the record says nothing.
    """
    kept = [record for record in records if record["carries_weight"] and record["source"] != "lbs"]
    times_us = [parse_time(record["time"]) for record in kept]
    cuts = [k + 1 for k, (one, two) in enumerate(pairwise(times_us)) if two - one > longest_us]
    return [kept[i:k] for i, k in pairwise([0, *cuts, len(kept)]) if k > i]
