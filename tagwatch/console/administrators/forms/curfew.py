"""The form of a curfew: whose, where, in which hours of the week, and its exceptions."""

from __future__ import annotations

from typing import Any

from engine.errors import InputError
from geofence.curfew import EXCEPTION_KINDS, KEYS, read_curfews
from tagwatch.console.administrators.forms.parts import (
    TIMEZONE,
    Fields,
    exception_rows,
    fill_exceptions,
    fill_texts,
    fill_weekly,
    kept,
    missing_reasons,
    number,
    read_with,
    weekly_rows,
)  # fmt: skip
from tagwatch.console.administrators.places import point_text, read_point
from tagwatch.console.administrators.typed import Faults, Typed, sentence

LABELS = {
    "id": "Identifier", "wearer": "Wearer", "name": "Name", "note": "Note", "timezone": "Time zone", "at": "Place",
    "radius_m": "Radius", "zone": "Zone", "place": "Place", "days": "Days", "start": "From", "end": "To", "from": "From",
    "to": "To", "valid_from": "First day", "valid_to": "Last day", "grace_minutes": "Grace", "weekly": "Hours",
    "unverified_minutes": "Limit for the unknown", "lat": "Place", "lon": "Place",
}  # fmt: skip
ID = "id"
CHOICES = {"exception": EXCEPTION_KINDS}
PLACE = ("at", "radius_m", "zone")
_TEXTS = ("id", "wearer", "name", "note", "valid_from", "valid_to")
_NUMBERS = ("grace_minutes", "unverified_minutes")


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier and the content; zones are those that a place may name. FormError says what is wrong."""
    faults: Faults = {}
    weekly, rows = weekly_rows(typed)
    exceptions, numbers = exception_rows(typed)
    missing_reasons(typed, faults)
    content: dict[str, Any] = {name: typed.text(name) for name in _TEXTS}
    content["place"] = _kept_digits(_places(typed, faults), base)
    content |= {"timezone": typed.text("timezone") or TIMEZONE, "weekly": weekly}
    content |= {name: number(typed, name, LABELS[name], faults) for name in _NUMBERS}
    if exceptions:
        content["exceptions"] = exceptions
    content = {name: value for name, value in content.items() if value not in ("", None) or name in ("id", "wearer")}
    content = {name: base[name] if base and base.get(name) == value else value for name, value in content.items()}
    if not weekly:
        faults["weekly.0.start"] = "Hours are missing: choose days and times in one row or more"
    assert set(content) <= set(KEYS)
    told = {"weekly": rows, "exceptions": numbers}
    read_with(lambda: read_curfews([content], zones), LABELS, told, faults)
    return content["id"], content


def _places(typed: Typed, faults: Faults) -> Any:
    found: list[dict[str, Any]] = []
    for row in typed.rows("places"):
        if row.is_blank(*PLACE):
            continue
        if row.text("zone"):
            if not row.is_blank("at", "radius_m"):
                faults[row.id("zone")] = "Zone: choose a zone, or type a place with its radius, not both"
            found.append({"zone": row.text("zone"), **kept(row, "name", "note")})
            continue
        radius_m = number(row, "radius_m", LABELS["radius_m"], faults)
        if radius_m is None or not 1 <= radius_m <= 50_000:
            value = f" {row.text('radius_m')[:40]}" if row.text("radius_m") else " is missing"
            faults.setdefault(row.id("radius_m"), f"Radius{value}: expected metres from 1 to 50000")
        try:
            lat, lon = read_point(row.text("at"), "at")
            found.append({"lat": lat, "lon": lon, "radius_m": radius_m, **kept(row, "name", "note")})
        except InputError as fault:
            faults[row.id("at")] = sentence(fault, LABELS)
    if not found and not faults:
        faults["places.0.at"] = "Place is missing: expected coordinates, a grid reference, or a zone"
    return found[0] if len(found) == 1 else found


def _kept_digits(places: Any, base: Any) -> Any:
    """Places that were not typed anew with all the digits that they had."""
    before = base["place"] if base and isinstance(base["place"], list) else [base["place"]] if base else []
    known = {point_text(place["lat"], place["lon"]): place for place in before if "lat" in place}
    found = []
    for place in places if isinstance(places, list) else [places]:
        old = known.get(point_text(place["lat"], place["lon"])) if "lat" in place else None
        found.append({**place, "lat": old["lat"], "lon": old["lon"]} if old else place)
    return (
        found
        if isinstance(places, list) and not (base and isinstance(base["place"], dict) and len(found) == 1)
        else found[0]
    )


def fill(content: Any) -> Fields:
    """The fields of a content."""
    fields = fill_texts(content, *_TEXTS, *_NUMBERS, "timezone")
    places = content["place"] if isinstance(content["place"], list) else [content["place"]]
    for k, place in enumerate(places):
        told = {"at": point_text(place["lat"], place["lon"]) if "lat" in place else "", **place}
        for name in (*PLACE, "name", "note"):
            fields[f"places.{k}.{name}"] = fill_texts(told, name)[name]
    return fields | fill_weekly(content["weekly"]) | fill_exceptions(content.get("exceptions"))
