"""Entries of the configuration as people read them: lines of a name and a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.times import parse_time, to_iso
from geofence.versions import FAR_US
from tagwatch.coming_weeks import local_words
from tagwatch.console.administrators.forms.parts import TIMEZONE
from tagwatch.console.administrators.kinds import EVERYBODY, Kind
from tagwatch.console.administrators.places import point_text
from tagwatch.console.administrators.reach import Reach

Line = tuple[str, str]
NONE = "–"


def lines_of(kind: Kind, name: str, content: Any, reach: Reach) -> list[Line]:
    """What an entry says, without what names somebody of another force."""
    if content is None:
        return [("Ended", "it holds no longer")]
    return [(label, text or NONE) for label, text in _LINES[kind.name](name, content, reach)]


def headline(kind: Kind, content: Any, reach: Reach) -> str:
    """One line about an entry, for lists."""
    if kind.name == "wearer":
        return " · ".join(content[n] for n in ("name", "cohort", "scheme", "basis") if content.get(n)) or NONE
    if kind.name == "team":
        return ", ".join(f"{m['name']} ({m['role'].replace('_', ' ')})" for m in content["members"])
    if kind.name == "activation":
        return f"{content['device']} on {whom([content['wearer']], reach)}, {_span(content)}"
    if kind.name == "zone":
        given = content["properties"]
        return f"{given['kind']} for {_wearers(given, reach)}: {_area(content)}"
    if kind.name == "curfew":
        return f"{whom([content['wearer']], reach)}: {rows_text(content['weekly'])}"
    return f"{whom([content['wearer']], reach)} keeps {content['radius_m']:g} m from {whom([content['protected']], reach)}"


def whom(wearers: Sequence[str], reach: Reach) -> str:
    """Wearers by name as far as they may be seen."""
    told = reach.told(wearers)
    return (
        "everybody"
        if told == [EVERYBODY]
        else ", ".join(told[:40]) + (f" and {len(told) - 40} more" if len(told) > 40 else "")
    )


def rows_text(weekly: Sequence[Mapping[str, Any]]) -> str:
    """Weekly rows as courts write them."""
    from geofence.remarks import row_text
    from geofence.schedule import read_schedule

    return "; ".join(row_text(row) for row in read_schedule({"timezone": "UTC", "weekly": list(weekly)}).weekly)


def holds_words(from_us: int, to_us: int, zone_name: str = TIMEZONE) -> tuple[str, str]:
    """From when to when a version holds."""
    start = "the beginning" if from_us == -FAR_US else local_words(from_us, zone_name, year=True)
    return start, "further notice" if to_us == FAR_US else local_words(to_us, zone_name, year=True)


def zone_of_time(kind: Kind, content: Any) -> str:
    """The time zone in which an entry's times are told."""
    if content is None:
        return TIMEZONE
    given = content["properties"] if kind.name == "zone" else content
    return str((given.get("schedule") or {}).get("timezone") or given.get("timezone") or TIMEZONE)


def _wearer(name: str, content: Any, reach: Reach) -> list[Line]:
    names = ("name", "cohort", "scheme", "force", "basis", "team")
    return [(n.capitalize(), str(content.get(n) or "")) for n in names]


def _team(name: str, content: Any, reach: Reach) -> list[Line]:
    lines = [("Time zone", content.get("timezone") or TIMEZONE)]
    for number, member in enumerate(content["members"], 1):
        grades = ", ".join(member.get("grades") or ["every grade"])
        duty = f"on duty {member.get('hours') or 'always'}"
        role, channels = member["role"].replace("_", " "), ", ".join(member["channels"])
        lines.append((f"Member {number}", f"{member['name']}, {role}; {grades}; {duty}; {channels}"))
    return lines


def _activation(name: str, content: Any, reach: Reach) -> list[Line]:
    every = f"a fix every {content['fix_interval_s']} s, an upload every {content['upload_interval_s']} s"
    plan = f"{every}, grace {content['grace_s']} s"
    return [
        ("Device", content["device"]), ("Wearer", whom([content["wearer"]], reach)), ("Fitted", _time(content["from_us"])),
        ("Taken off", _time(content["to_us"]) if content["to_us"] else "not yet"), ("Reports", plan),
        ("Accuracy", f"the circle holds the truth with {content['percentile'] * 100:g} %"),
        ("Model", content.get("model") or ""),
    ]  # fmt: skip


def _zone(name: str, content: Any, reach: Reach) -> list[Line]:
    given = content["properties"]
    schedule = given.get("schedule")
    return [
        ("Name", str(given.get("name") or "")), ("Kind", given["kind"]), ("For", _wearers(given, reach)),
        ("Where", _area(content)),
        ("Early warning", f"within {given['buffer_m']:g} m" if given.get("buffer_m") else ""),
        ("In force", rows_text(schedule["weekly"]) if schedule else "at all times"),
        ("Time zone", zone_of_time_of(given)), *_dates(given), ("Grade", given.get("grade") or "that of its rule"),
        *_exceptions(given),
    ]  # fmt: skip


def zone_of_time_of(given: Mapping[str, Any]) -> str:
    """The time zone of a zone's properties."""
    return str((given.get("schedule") or {}).get("timezone") or given.get("timezone") or "UTC")


def _curfew(name: str, content: Any, reach: Reach) -> list[Line]:
    places = content["place"] if isinstance(content["place"], list) else [content["place"]]
    at = [
        f"zone {p['zone']}" if "zone" in p else f"{p['radius_m']:g} m about {point_text(p['lat'], p['lon'])}"
        for p in places
    ]
    named = [text + (f" ({p['name']})" if p.get("name") else "") for text, p in zip(at, places, strict=True)]
    return [
        ("Wearer", whom([content["wearer"]], reach)), ("Name", str(content.get("name") or "")), ("Where", ", or ".join(named)),
        ("Hours", rows_text(content["weekly"])), ("Time zone", content["timezone"]), *_dates(content),
        ("Grace", f"{content.get('grace_minutes') or 0:g} min"),
        ("Limit for the unknown", f"{content.get('unverified_minutes', 30):g} min"), *_exceptions(content),
        ("Note", str(content.get("note") or "")),
    ]  # fmt: skip


def _proximity(name: str, content: Any, reach: Reach) -> list[Line]:
    schedule = content.get("schedule")
    return [
        ("Wearer", whom([content["wearer"]], reach)), ("Protected person", whom([content["protected"]], reach)),
        ("Distance", f"{content['radius_m']:g} m"),
        ("Oldest position", f"{content['stale_minutes']:g} min" if content.get("stale_minutes") else "by the fix interval"),
        ("In force", rows_text(schedule["weekly"]) if schedule else "at all times"), *_dates(content),
        ("Grade", content.get("grade") or "that of its rule"), *_exceptions(content), ("Note", str(content.get("note") or "")),
    ]  # fmt: skip


def _wearers(given: Mapping[str, Any], reach: Reach) -> str:
    return "everybody" if given["wearers"] == EVERYBODY else whom(given["wearers"], reach)


def _area(content: Any) -> str:
    geometry = content["geometry"]
    if geometry["type"] == "Point":
        lon, lat = geometry["coordinates"][:2]
        return f"{content['properties']['radius_m']:g} m about {point_text(lat, lon)}"
    rings = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    n_corners = sum(len(ring) - 1 for polygon in rings for ring in polygon)
    lon, lat = rings[0][0][0][:2]
    many = f"{len(rings)} areas" if len(rings) > 1 else "an area"
    return f"{many} of {n_corners} corners, the first {point_text(lat, lon)}"


def _dates(given: Mapping[str, Any]) -> list[Line]:
    first, last = given.get("valid_from"), given.get("valid_to")
    return [("Valid", " ".join(([f"from {first}"] if first else []) + ([f"to {last}, that day included"] if last else [])))]


def _exceptions(given: Mapping[str, Any]) -> list[Line]:
    return [
        (f"Exception {k}", f"{e['kind']}: {e['from']} to {e['to']}" + (f", {e['reason']}" if e.get("reason") else ""))
        for k, e in enumerate(given.get("exceptions") or (), 1)
    ]


def _span(content: Any) -> str:
    return f"from {_time(content['from_us'])}" + (f" to {_time(content['to_us'])}" if content["to_us"] else "")


def _time(iso: str) -> str:
    return to_iso(parse_time(iso))[:16].replace("T", " ") + " UTC"


_LINES = {
    "wearer": _wearer, "team": _team, "activation": _activation, "zone": _zone, "curfew": _curfew, "proximity": _proximity,
}  # fmt: skip


def names_of(features: Sequence[Any]) -> list[tuple[str, str]]:
    """Zones by id and name, each once, for choosing."""
    given = [f["properties"] for f in features if not f["properties"].get("removed")]
    return list({one["id"]: str(one.get("name") or one["id"]) for one in given}.items())
