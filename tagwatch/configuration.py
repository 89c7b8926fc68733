"""Configuration from files and from the database into the conditions that the monitor keeps watch on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alerts.teams import Team, read_teams
from engine.activations import FOREVER_US, Activation, Activations
from engine.database import Connection
from engine.errors import InputError
from engine.times import parse_time, to_iso
from engine.wearers import Wearer
from geofence.check import FilterSettings
from geofence.curfew import KEYS as CURFEW_KEYS
from geofence.curfew import Curfew, read_curfews
from geofence.proximity import Proximity, read_proximities
from geofence.store import Held, current, import_rows, versions
from geofence.zone import FAR_US, Zone, read_zones
from ingest.activation_files import read_activations
from ingest.file_bytes import read_file
from tagwatch.monitor import Conditions

MOST_BYTES = 64 << 20
"""Of a JSON file: some two million vertices."""
_MOST_NAMED = 5
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read_json(path: str | Path) -> Any:
    """A JSON file, or standard input for `-`; InputError names the file, the line and the column."""
    _, text = read_file(path, MOST_BYTES)
    if not text.strip():
        raise InputError("is empty", place=str(path), expected="JSON")
    try:
        raw = json.loads(text.decode("utf-8-sig"), parse_constant=_no_constant)
        if _NUL.search(text):
            raise ValueError("a text holds a NUL, which no database takes")
        if b"\\u" in text:
            json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError("is not JSON: a text holds half a surrogate pair", place=str(path)) from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"is not JSON: {fault}", place=str(path)) from None
    return raw


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def zones_of(path: str | Path, *, repair: bool = False) -> list[Zone]:
    """The zones of a GeoJSON file."""
    raw = read_json(path)
    try:
        return read_zones(raw, repair=repair)
    except InputError as fault:
        raise fault.at(str(path)) from None


def curfews_of(path: str | Path, zones: Sequence[Zone] = ()) -> list[Curfew]:
    """The curfews of a JSON file."""
    raw = read_json(path)
    try:
        return read_curfews(raw, zones)
    except InputError as fault:
        raise fault.at(str(path)) from None


def conditions_of(
    zones: str | Path | None, curfews: str | Path | None, activations: str | Path | None,
    filter_settings: FilterSettings = FilterSettings(), plan: Activation | None = None, *, repair: bool = False,
    proximities: str | Path | None = None,
) -> Conditions:  # fmt: skip
    """Conditions from files; InputError where a curfew or a zone is for a wearer whom no activation knows."""
    read = zones_of(zones, repair=repair) if zones else []
    kept = curfews_of(curfews, read) if curfews else []
    worn = read_activations(activations) if activations else Activations()
    if worn.rows:
        refuse_unknown_wearers(read, kept, {row.wearer for row in worn.rows})
    near = proximities_of(proximities) if proximities else []
    plan = plan or Activation("", "", -(2**62))
    return Conditions(read, kept, worn, filter_settings, plan, near)


def proximities_of(path: str | Path) -> list[Proximity]:
    """The proximities of a JSON file."""
    raw = read_json(path)
    try:
        return read_proximities(raw)
    except InputError as fault:
        raise fault.at(str(path)) from None


def refuse_unknown_wearers(zones: Iterable[Zone], curfews: Iterable[Curfew], known: set[str]) -> None:
    """InputError for the first curfew or zone that names a wearer who is not known."""
    expected = "a wearer whom the activations or the wearers file know"
    for curfew in curfews:
        if curfew.wearer not in known:
            raise InputError(place=f"curfew {curfew.id}", field="wearer", value=curfew.wearer, expected=expected)
    for zone in zones:
        for wearer in () if zone.wearers == ("*",) else zone.wearers:
            if wearer not in known:
                raise InputError(place=f"zone {zone.id}", field="wearers", value=wearer, expected=expected)


def save(
    connection: Connection, now_us: int, *, zones: Any = None, curfews: Any = None, activations: Activations | None = None,
    wearers: Sequence[Wearer] = (), teams: Any = None, proximities: Any = None, from_us: int | None = None,
) -> dict[str, dict[str, int]]:  # fmt: skip
    """Import what is given (zones and curfews as JSON, checked already), to hold from an instant on; returns counts by kind.

    See `geofence.store.import_rows` for what holds from when without an instant.
    """
    kinds: dict[str, dict[str, Any]] = {}
    if zones is not None:
        kinds["zone"] = {f["properties"]["id"]: f for f in zones["features"]}
    if curfews is not None:
        kinds["curfew"] = {c["id"]: c for c in curfews}
    if activations is not None:
        kinds["activation"] = activation_rows(activations)
    if wearers:
        kinds["wearer"] = {w.wearer: w._asdict() for w in wearers}
    if teams is not None:
        kinds["team"] = {t["id"]: t for t in teams}
    if proximities is not None:
        kinds["proximity"] = {p["id"]: p for p in proximities}
    return {kind: import_rows(connection, kind, rows, now_us, from_us) for kind, rows in kinds.items()}


def load(connection: Connection, filter_settings: FilterSettings, plan: Activation) -> Conditions:
    """The conditions that the database holds, each version for its own moments."""
    zones = read_zones({"type": "FeatureCollection", "features": zone_features(connection)})
    curfews = read_curfews(curfew_rows(connection), zones)
    rows = [content for _, content in current(connection, "activation").values()]
    worn = Activations(activation_of(row) for row in rows)
    near = read_proximities([_row(name, held) for name, held in _held(connection, "proximity")])
    return Conditions(zones, curfews, worn, filter_settings, plan, near)


def load_teams(connection: Connection) -> tuple[list[Team], dict[str, str]]:
    """The teams, and the team of each wearer, that the database holds now."""
    teams = read_teams([content for _, content in current(connection, "team").values()])
    wearers = current(connection, "wearer")
    return teams, {name: content["team"] for name, (_, content) in wearers.items() if content.get("team")}


def difference(before: Conditions, now: Conditions) -> str:
    """What was changed from one to the other, in a few words: the reason of what is decided anew for that."""
    then, since = ({*_named(conditions)} for conditions in (before, now))
    names = sorted({name for name, _ in then ^ since})
    if before.activations.rows != now.activations.rows:
        names.append("activations")
    return "changed: " + ", ".join(names[:_MOST_NAMED] + ["..."] * (len(names) > _MOST_NAMED)) if names else ""


def _named(conditions: Conditions) -> Iterable[tuple[str, object]]:
    kinds = (("zone", conditions.zones), ("curfew", conditions.curfews), ("proximity", conditions.proximities))
    for kind, each in kinds:
        for one in each:
            yield f"{kind} {one.id}", (one.version, one.holds)


def zone_features(connection: Connection) -> list[Any]:
    """The zones of the database as the features of a file, one a version."""
    return [_feature(name, held) for name, held in _held(connection, "zone")]


def curfew_rows(connection: Connection) -> list[Any]:
    """The curfews of the database as the rows of a file, one a version."""
    # what earlier versions of this program let pass must not keep the service from starting
    known = {*CURFEW_KEYS}
    rows = [_row(name, held) for name, held in _held(connection, "curfew")]
    return [{key: value for key, value in row.items() if key in known} for row in rows]


def _held(connection: Connection, kind: str) -> Iterable[tuple[str, Held]]:
    """The versions of a kind; what was ended from the beginning has never been."""
    for name, chain in versions(connection, kind).items():
        for held in chain:
            if held.content is not None or held.from_us > -FAR_US:
                yield name, held


def _feature(name: str, held: Held) -> Any:
    if held.content is None:
        ended = {"id": name, "holds_from": to_iso(held.from_us), "removed": True}
        return {"type": "Feature", "geometry": None, "properties": ended}
    if held.from_us == -FAR_US:
        return held.content
    return {**held.content, "properties": {**held.content["properties"], "holds_from": to_iso(held.from_us)}}


def _row(name: str, held: Held) -> Any:
    if held.content is None:
        return {"id": name, "holds_from": to_iso(held.from_us), "removed": True}
    return held.content if held.from_us == -FAR_US else {**held.content, "holds_from": to_iso(held.from_us)}


def activation_rows(activations: Activations) -> dict[str, Any]:
    """Activations as the database keeps them, by device and start."""
    return {
        f"{row.device} {to_iso(row.from_us)}": {
            **row._asdict(), "from_us": to_iso(row.from_us), "to_us": "" if row.to_us == FOREVER_US else to_iso(row.to_us)
        }
        for row in activations.rows
    }  # fmt: skip


def activation_of(row: dict[str, Any]) -> Activation:
    """The activation that the database keeps in this form."""
    to = FOREVER_US if row["to_us"] == "" else parse_time(row["to_us"])
    return Activation(**{**row, "from_us": parse_time(row["from_us"]), "to_us": to})
