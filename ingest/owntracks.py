"""OwnTracks JSON: one object as the phone sends it, into the values of a fix. Used by payloads and recorder files."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from engine.errors import InputError
from ingest.json_text import error_of

NAMES = {"accuracy_m": "acc", "speed_mps": "vel", "course_deg": "cog", "altitude_m": "alt", "battery_pct": "batt",
         "time": "tst"}  # fmt: skip
"""Our field names to theirs, for messages about faults."""

KNOWN_TYPES = ("location", "lwt", "transition", "waypoint", "waypoints", "beacon", "card", "cmd", "configuration", "dump",
               "encrypted", "request", "status", "step", "steps")  # fmt: skip
_KMH_PER_MPS = 3.6


class Location(msgspec.Struct):
    """The fields of a `location` that we take: tst [s], lat, lon [degrees], acc, alt [m], vel [km/h], cog, batt [%]."""

    tst: int | float
    lat: float
    lon: float
    acc: float | None = None
    alt: float | None = None
    vel: float | None = None
    cog: float | None = None
    batt: float | None = None


class Values(NamedTuple):
    """One location in our units; None is absent: the app leaves out what is zero, so absent never means accurate."""

    time: int | float
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    course_deg: float | None
    altitude_m: float | None
    battery_pct: float | None


def type_of(document: Any) -> str:
    """The `_type` of a decoded object; InputError where there is none that OwnTracks knows, or where it is encrypted."""
    if not isinstance(document, dict):
        raise InputError("not a JSON object", expected="an OwnTracks object with _type")
    kind = document.get("_type")
    if kind == "encrypted":
        raise InputError("encrypted: cannot be read here", field="_type", value=kind, expected="a plain OwnTracks payload")
    if kind not in KNOWN_TYPES:
        raise InputError(field="_type", value=kind, expected=f"one of {', '.join(KNOWN_TYPES)}")
    return str(kind)


def is_ping(document: dict[str, Any]) -> bool:
    """Whether a location is a ping: its `tst` is the time of sending, not of the fix, so it is contact, not a fix."""
    return document.get("t") == "p"


def last_will_s(document: dict[str, Any]) -> int | float:
    """The `tst` of a last will [s]: when the phone made the connection that was lost. InputError where it has none."""
    tst = document.get("tst")
    if isinstance(tst, bool) or not isinstance(tst, (int, float)):
        raise InputError(field="tst", value=tst, expected="a number of seconds")
    return tst


def location(document: dict[str, Any]) -> Values:
    """The values of a `location` object; InputError naming the field that is missing or of a wrong type."""
    try:
        read = msgspec.convert(document, Location)
    except msgspec.ValidationError as error:
        raise error_of(error, document) from None
    vel, course, battery = (_measured(v) for v in (read.vel, read.cog, read.batt))
    speed = None if vel is None else vel / _KMH_PER_MPS
    return Values(read.tst, read.lat, read.lon, read.acc, speed, course, read.alt, battery)


def _measured(value: float | None) -> float | None:
    """None for a negative reading: phones write -1 where they could not measure a speed, a course or a battery."""
    return None if value is None or value < 0 else value
