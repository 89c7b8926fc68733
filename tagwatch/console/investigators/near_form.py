"""The form of `near`: what was typed becomes a question, or faults that name their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from crime_match.question import Question
from engine.errors import InputError
from engine.times import MINUTE_US
from geofence.schedule import time_zone
from tagwatch.console.investigators.form_fields import Fields, said
from tagwatch.console.investigators.moments import read_moment
from tagwatch.console.investigators.places import Place, read_angle, read_place

LONDON = "Europe/London"
SAME_DEGREES = 1e-5
"""Coordinates and place text that differ by no more than this (about a metre) name the same place."""
BLANK = {
    "lat": "", "lon": "", "place": "", "uncertainty": "", "from": "", "to": "", "timezone": LONDON, "radius": "100",
    "pad": "10", "max_speed": "55", "min_fixes": "1", "reason": "", "case_ref": "",
}  # fmt: skip


class Asked(NamedTuple):
    """A question with the zone of its clock, why it is asked, and what is to be said of how the place was written."""

    question: Question
    zone: ZoneInfo
    reason: str
    case_ref: str
    note: str = ""


def read_form(texts: Mapping[str, str]) -> tuple[Asked | None, dict[str, str]]:
    """The question that a form asks; None where there are faults, which come by field."""
    fields = Fields(texts)
    place = _place(fields)
    zone = fields.read("timezone", lambda text: time_zone(text or LONDON))
    from_us = fields.read("from", lambda text: read_moment(text, zone or ZoneInfo("UTC"), "from"))
    to_us = fields.read("to", lambda text: read_moment(text, zone or ZoneInfo("UTC"), "to"))
    radius_m = fields.number("radius", None, 1, 100_000, "metres")
    pad = fields.number("pad", None, 0, 24 * 60, "minutes")
    speed_mps = fields.number("max_speed", None, 1, 1_000, "metres a second")
    n_least = fields.number("min_fixes", None, 1, 1_000, "fixes")
    if n_least is not None and n_least != int(n_least):
        fields.faults["min_fixes"] = "Give a whole number of fixes."
    least_m = place.uncertainty_m if place else 0.0
    uncertainty_m = fields.number("uncertainty", least_m, 0, 100_000, "metres")
    reason = fields.needed("reason", "Say why you ask.")
    case_ref = fields.needed("case_ref", "Give the reference of the case or crime.")
    if from_us is not None and to_us is not None and to_us < from_us:
        fields.faults["to"] = "The window ends before it begins."
    if (
        fields.faults or place is None or zone is None or from_us is None or to_us is None or radius_m is None
        or pad is None or speed_mps is None or n_least is None or uncertainty_m is None
    ):  # fmt: skip
        return None, fields.faults
    uncertainty_m = max(uncertainty_m, least_m)
    try:
        question = Question(
            place.lat, place.lon, from_us, to_us, radius_m, uncertainty_m, round(pad * MINUTE_US), speed_mps, int(n_least)
        )
    except InputError as fault:
        return None, {_FIELDS.get(fault.field, "place"): said(fault)}
    return Asked(question, zone, reason, case_ref, _note(place, uncertainty_m)), {}


_FIELDS = {"lat": "lat", "lon": "lon", "from": "from", "to": "to", "radius_m": "radius", "pad_us": "pad"}


def _place(fields: Fields) -> Place | None:
    """The place by coordinates, or by the text beside them; where both are given they must be the same."""
    if not fields.text("place") and not fields.text("lat") and not fields.text("lon"):
        fields.faults["lat"] = "Say where: click the map, or give coordinates, a grid reference, or easting and northing."
        return None
    told = fields.read("place", read_place) if fields.text("place") else None
    if not fields.text("lat") and not fields.text("lon"):
        return told
    lat = fields.read("lat", lambda text: read_angle(text, "lat"))
    lon = fields.read("lon", lambda text: read_angle(text, "lon"))
    if lat is None or lon is None:
        return None
    if told is None:
        return None if "place" in fields.faults else Place(lat, lon)
    if abs(told.lat - lat) > SAME_DEGREES or abs(told.lon - lon) > SAME_DEGREES:
        fields.faults["place"] = (
            f"This is {told.lat:.6f}, {told.lon:.6f}, and not the latitude and longitude given beside it. Empty one of them."
        )
        return None
    return told


def _note(place: Place, uncertainty_m: float) -> str:
    if place.uncertainty_m and uncertainty_m == place.uncertainty_m:
        return (
            f"The grid reference names a square, not a point: its centre was asked about, and for possible and excluded"
            f" the vicinity is widened by {uncertainty_m:.0f} m."
        )
    return ""
