"""Configuration from files and from the database into the conditions that the monitor keeps watch on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.activations import FOREVER_US, Activation, Activations
from engine.database import Connection
from engine.errors import InputError
from engine.times import parse_time, to_iso
from engine.wearers import Wearer
from geofence.check import FilterSettings
from geofence.curfew import Curfew, read_curfews
from geofence.store import current, import_rows
from geofence.zone import Zone, read_zones
from ingest.activation_files import read_activations
from tagwatch.monitor import Conditions


def read_json(path: str | Path) -> Any:
    """A JSON file, or standard input for `-`; InputError names the file, the line and the column."""
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", place=str(path)) from None
    if not text.strip():
        raise InputError("is empty", place=str(path), expected="JSON")
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"is not JSON: {fault}", place=str(path)) from None


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
) -> Conditions:  # fmt: skip
    """Conditions from files; InputError where a curfew or a zone is for a wearer whom no activation knows."""
    read = zones_of(zones, repair=repair) if zones else []
    kept = curfews_of(curfews, read) if curfews else []
    worn = read_activations(activations) if activations else Activations()
    if worn.rows:
        refuse_unknown_wearers(read, kept, {row.wearer for row in worn.rows})
    plan = plan or Activation("", "", -(2**62))
    return Conditions(read, kept, worn, filter_settings, plan)


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
    wearers: Sequence[Wearer] = (), teams: Any = None,
) -> dict[str, dict[str, int]]:  # fmt: skip
    """Import what is given (zones and curfews as JSON, checked already); returns counts by kind."""
    done: dict[str, dict[str, int]] = {}
    if zones is not None:
        rows = {f["properties"]["id"]: f for f in zones["features"]}
        done["zone"] = import_rows(connection, "zone", rows, now_us)
    if curfews is not None:
        done["curfew"] = import_rows(connection, "curfew", {c["id"]: c for c in curfews}, now_us)
    if activations is not None:
        done["activation"] = import_rows(connection, "activation", _activation_rows(activations), now_us)
    if wearers:
        rows = {w.wearer: w._asdict() for w in wearers}
        done["wearer"] = import_rows(connection, "wearer", rows, now_us)
    if teams is not None:
        done["team"] = import_rows(connection, "team", {t["id"]: t for t in teams}, now_us)
    return done


def load(connection: Connection, filter_settings: FilterSettings, plan: Activation) -> Conditions:
    """The conditions that the database holds now."""
    zones = read_zones(
        {"type": "FeatureCollection", "features": [content for _, content in current(connection, "zone").values()]}
    )
    curfews = read_curfews([content for _, content in current(connection, "curfew").values()], zones)
    rows = [content for _, content in current(connection, "activation").values()]
    worn = Activations(_activation(row) for row in rows)
    return Conditions(zones, curfews, worn, filter_settings, plan)


def _activation_rows(activations: Activations) -> dict[str, Any]:
    return {
        f"{row.device} {to_iso(row.from_us)}": {
            **row._asdict(), "from_us": to_iso(row.from_us), "to_us": "" if row.to_us == FOREVER_US else to_iso(row.to_us)
        }
        for row in activations.rows
    }  # fmt: skip


def _activation(row: dict[str, Any]) -> Activation:
    to = FOREVER_US if row["to_us"] == "" else parse_time(row["to_us"])
    return Activation(**{**row, "from_us": parse_time(row["from_us"]), "to_us": to})
