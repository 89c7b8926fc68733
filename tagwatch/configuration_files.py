"""What a file of configuration gives: read and checked, and put into the database, one version after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import InputError

if TYPE_CHECKING:
    from ingest.fault import Fault

SINGULAR = {
    "zones": "zone", "curfews": "curfew", "activations": "activation", "wearers": "wearer", "teams": "team",
    "proximities": "proximity",
}  # fmt: skip
"""What the database calls one of each kind."""
WITH_VERSIONS = ("zones", "curfews", "proximities")
"""Kinds whose rows may say from when on they hold."""

Version = tuple[int | None, Any]
"""From when on it holds (None: the file does not say), and its content (None: it ends what was before)."""


def read(kind: str, file: str, zones: Any, repair: bool) -> Any:
    """The content of a file, checked; of JSON the JSON itself. `zones` are those that a curfew's places may name."""
    from alerts.teams import read_teams
    from geofence.curfew import read_curfews
    from geofence.proximity import read_proximities
    from geofence.zone import read_zones
    from ingest.activation_files import read_activations
    from ingest.wearer_files import read_wearers
    from tagwatch.configuration import read_json

    if kind == "activations":
        return read_activations(file)
    if kind == "wearers":
        return read_wearers(file)
    raw = read_json(file)
    try:
        if kind == "zones":
            zones_read = read_zones(raw, repair=repair)
            if repair:
                _put_back(raw, zones_read)
        elif kind == "curfews":
            read_curfews(raw, zones)
        elif kind == "proximities":
            read_proximities(raw)
        else:
            read_teams(raw)
    except InputError as fault:
        raise fault.at(file) from None
    return raw


def faults_of(kind: str, file: str, zones: Any, *, repair: bool) -> list[Fault]:
    """Everything that is wrong with a file, each fault by itself; what rows are wrong only together comes last."""
    from ingest.activation_files import read_activations
    from ingest.fault import from_error
    from ingest.wearer_files import read_wearers

    found: list[Fault] = []
    try:
        if kind == "activations":
            read_activations(file, on_fault=found.append)
        elif kind == "wearers":
            read_wearers(file, on_fault=found.append)
        else:
            found += _row_faults(kind, file, zones, repair)
            if not found:
                read(kind, file, zones, repair)
    except InputError as fault:
        found.append(from_error(fault, 0))
    return found


def _row_faults(kind: str, file: str, zones: Any, repair: bool) -> list[Fault]:
    """The faults of the rows of a JSON file, each row read alone; a file that has no rows has its fault elsewhere."""
    from alerts.teams import read_teams
    from geofence.curfew import read_curfews
    from geofence.proximity import read_proximities
    from geofence.zone import read_zones
    from ingest.fault import from_error
    from tagwatch.configuration import read_json

    readers: dict[str, Callable[[Any], object]] = {
        "zones": lambda row: read_zones({"type": "FeatureCollection", "features": [row]}, repair=repair),
        "curfews": lambda row: read_curfews([row], zones),
        "proximities": lambda row: read_proximities([row]), "teams": lambda row: read_teams([row]),
    }  # fmt: skip
    raw = read_json(file)
    rows = raw.get("features") if kind == "zones" and isinstance(raw, dict) else raw
    found = []
    for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
        try:
            readers[kind](row)
        except InputError as fault:
            found.append(from_error(fault, number))
    return found


def put(connection: Any, kind: str, content: Any, now_us: int, from_us: int | None) -> dict[str, int]:
    """Import rows of a kind with versions: what they say of when they hold comes before `from_us`. Returns counts.

    Several rows of one id are the whole story of that id: what the database holds of it otherwise is replaced.
    """
    from geofence.store import import_rows, remove_rows, versions
    from geofence.versions import FAR_US
    from geofence.zone import version_of

    kind = SINGULAR[kind]
    chains = versions(connection, kind)
    counts = {"new": 0, "changed": 0, "same": 0}
    batches: dict[tuple[int, int | None], dict[str, Any]] = {}  # by number of the version and from when on it holds
    for name, story in _stories(kind, content).items():
        told, whole = story, len(story) > 1
        if whole:
            told = [(-FAR_US if start is None else start, row) for start, row in story]
            known = [(held.from_us, held.version) for held in chains.get(name, [])]
            same = known == [(start, "" if row is None else version_of(row)) for start, row in told]
            counts["same" if same else "changed" if known else "new"] += 1
            told = [] if same else told
        for number, (start, row) in enumerate(told, 1 if whole else 0):
            batches.setdefault((number, from_us if start is None else start), {})[name] = row
    for (number, when), rows in sorted(batches.items(), key=lambda b: b[0][0]):
        gone = [name for name, row in rows.items() if row is None]
        done = import_rows(connection, kind, {n: r for n, r in rows.items() if r is not None}, now_us, when)
        done["changed"] += remove_rows(connection, kind, gone, now_us, when)["removed"]
        if not number:
            counts = {key: n + done[key] for key, n in counts.items()}
    return counts


def _stories(kind: str, content: Any) -> dict[str, list[Version]]:
    """The versions of each id, oldest first, without what says when they hold."""
    from geofence.versions import read_key, without_key

    found: dict[str, list[tuple[int, Version]]] = {}
    for given in content["features"] if kind == "zone" else content:
        properties = given["properties"] if kind == "zone" else given
        key = read_key(properties, properties["id"])
        bare = without_key(properties) if {"holds_from", "removed"} & properties.keys() else properties
        row = None if key.removed else {**given, "properties": bare} if kind == "zone" else bare
        start = key.from_us if properties.get("holds_from") is not None else None
        found.setdefault(key.id, []).append((key.from_us, (start, row)))
    return {name: [v for _, v in sorted(story, key=lambda v: v[0])] for name, story in found.items()}


def refuse_strangers(kind: str, content: Any, zones: Sequence[Any], connection: Any, file: str) -> None:
    """Conditions for wearers whom neither activations nor wearers know are refused, once any are known."""
    from geofence.curfew import read_curfews
    from geofence.proximity import read_proximities, strangers
    from geofence.store import current
    from geofence.zone import read_zones
    from tagwatch.configuration import refuse_unknown_wearers

    known = set(current(connection, "wearer"))
    known |= {row["wearer"] for _, row in current(connection, "activation").values()}
    if not known or kind not in WITH_VERSIONS:
        return
    try:
        if kind == "zones":
            refuse_unknown_wearers(read_zones(content, repair=True), [], known)
        elif kind == "curfews":
            refuse_unknown_wearers([], read_curfews(content, zones), known)
        for name, field, wearer in strangers(read_proximities(content), known) if kind == "proximities" else ():
            expected = "a wearer whom the activations or the wearers file know"
            raise InputError(place=f"proximity {name}", field=field, value=wearer, expected=expected)
    except InputError as fault:
        raise fault.at(file) from None


def refuse_in_use(connection: Any, ids: Iterable[str]) -> None:
    """InputError for the first zone that the place of a curfew names."""
    from geofence.store import current

    gone = set(ids)
    for name, (_, row) in current(connection, "curfew").items():
        for place in row["place"] if isinstance(row["place"], list) else [row["place"]]:
            if place.get("zone") in gone:
                expected = f"a zone that no curfew names as its place (curfew {name} does)"
                raise InputError(field="id", value=place["zone"], expected=expected)


def _put_back(raw: Any, zones: Any) -> None:
    """Put the mended areas into the features, so that what is stored is what will be watched."""
    from shapely.geometry import mapping

    from geofence.versions import read_key

    mended = {(zone.id, zone.holds[0]): zone.place for zone in zones}
    for feature in raw["features"]:
        key = read_key(feature["properties"], feature["properties"]["id"])
        if not key.removed and feature["geometry"]["type"] != "Point":
            feature["geometry"] = mapping(mended[key[:2]])
