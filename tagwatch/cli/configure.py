"""Commands about configuration: import, check and list zones, curfews, activations, wearers and teams."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.options import Config, say

File = Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard input")]
ZonesFile = Annotated[str | None, typer.Option("--zones", help="Zones that a curfew's places may name")]
Repair = Annotated[bool, typer.Option("--repair", help="Mend invalid geometry instead of refusing it")]


def group(kind: str) -> typer.Typer:
    """The commands `import`, `check` and `list` of one kind of configuration."""
    app = typer.Typer(no_args_is_help=True, help=f"Import, check and list {kind}.")

    @app.command("check")
    def check(file: File, zones: ZonesFile = None, repair: Repair = False) -> None:
        """Read the file and say what is wrong with it, without a database."""
        count = _count(_read(kind, file, zones, repair))
        say(f"{file}: {count} {kind if count != 1 else kind.removesuffix('s')}, no fault found")

    @app.command("import")
    def import_(file: File, zones: ZonesFile = None, repair: Repair = False, config: Config = None) -> None:
        """Make these the ones that hold from now on; earlier versions stay in the database."""
        from engine.times import system_clock
        from tagwatch.configuration import save

        with _connection(config) as connection:
            content = _read(kind, file, zones, repair, connection)
            _refuse_strangers(kind, content, zones, connection, file)
            with connection.transaction():
                counts = save(connection, system_clock(), **{kind: content})
        for name, count in counts.items():
            say(f"{name}: {count['new']} new, {count['changed']} changed, {count['same']} as before")

    @app.command("list")
    def list_(config: Config = None) -> None:
        """The ones that hold now, one line of JSON each."""
        import json

        from geofence.store import current

        with _connection(config) as connection:
            for name, (version, content) in current(connection, kind.removesuffix("s")).items():
                print(json.dumps({"id": name, "version": version, "content": content}, ensure_ascii=False))

    return app


def _connection(config: Any) -> Any:
    from engine import database
    from tagwatch.service import SCHEMAS
    from tagwatch.settings import read_settings

    connection = database.connect(read_settings(config).database.url)
    database.require_schema(connection, SCHEMAS)
    return connection


def _read(kind: str, file: str, zones: str | None, repair: bool, connection: Any = None) -> Any:
    """The content of a file, checked; of zones and curfews the JSON itself."""
    from geofence.curfew import read_curfews
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
            read_curfews(raw, _zones(zones, connection))
        else:
            _check_teams(raw)
    except InputError as fault:
        raise fault.at(file) from None
    return raw


def _put_back(raw: Any, zones: Any) -> None:
    """Put the mended areas into the features, so that what is stored is what will be watched."""
    from shapely.geometry import mapping

    for feature, zone in zip(raw["features"], zones, strict=True):
        if feature["geometry"]["type"] != "Point":
            feature["geometry"] = mapping(zone.place)


def _refuse_strangers(kind: str, content: Any, zones: str | None, connection: Any, file: str) -> None:
    """Zones and curfews for wearers whom neither activations nor wearers know are refused, once any are known."""
    from geofence.curfew import read_curfews
    from geofence.store import current
    from geofence.zone import read_zones
    from tagwatch.configuration import refuse_unknown_wearers

    known = set(current(connection, "wearer"))
    known |= {row["wearer"] for _, row in current(connection, "activation").values()}
    if not known or kind not in ("zones", "curfews"):
        return
    try:
        if kind == "zones":
            refuse_unknown_wearers(read_zones(content, repair=True), [], known)
        else:
            refuse_unknown_wearers([], read_curfews(content, _zones(zones, connection)), known)
    except InputError as fault:
        raise fault.at(file) from None


def _zones(path: str | None, connection: Any) -> Any:
    from geofence.store import current
    from geofence.zone import read_zones
    from tagwatch.configuration import zones_of

    if path:
        return zones_of(path)
    if connection is None:
        return []
    features = [content for _, content in current(connection, "zone").values()]
    return read_zones({"type": "FeatureCollection", "features": features})


def _check_teams(raw: Any) -> None:
    if not isinstance(raw, list):
        raise InputError(field="teams", value=type(raw).__name__, expected="a JSON list of teams")
    seen: set[str] = set()
    for number, team in enumerate(raw, 1):
        name = team.get("id") if isinstance(team, dict) else None
        if not isinstance(name, str) or not name or name in seen:
            raise InputError(place=f"team {number}", field="id", value=name, expected="a text that no other team has")
        if not isinstance(team.get("members"), list):
            raise InputError(place=f"team {number}", field="members", value=team.get("members"), expected="a list")
        seen.add(name)


def _count(content: Any) -> int:
    if isinstance(content, dict):
        return len(content["features"])
    return len(getattr(content, "rows", content))
