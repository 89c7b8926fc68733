"""Commands about configuration: import, check, list and remove zones, curfews, activations, wearers, teams and proximities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.given import SINGULAR, WITH_VERSIONS, put, read, refuse_in_use, refuse_strangers, said
from tagwatch.cli.options import Config, instant, say

File = Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard input")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The ids, as `list` shows them")]
ZonesFile = Annotated[str | None, typer.Option("--zones", help="Zones that a curfew's places may name")]
Repair = Annotated[bool, typer.Option("--repair", help="Mend invalid geometry instead of refusing it")]
At = Annotated[str | None, typer.Option("--at", help="Show the seven days from this instant (default: now)")]
All = Annotated[bool, typer.Option("--all", help="Show each of a long list, not only those with a note")]
From = Annotated[
    str | None, typer.Option("--from", help="From when on it holds (default: now; what is new, from the beginning)")
]
End = Annotated[str | None, typer.Option("--from", help="From when on it is gone (default: now)")]
History = Annotated[bool, typer.Option("--history", help="Every version and when it holds, not only the last")]

AHEAD_US = 28 * 86_400_000_000
"""How far ahead conditions are looked through for those that cannot both be kept."""


def group(kind: str) -> typer.Typer:
    """The commands `import`, `check`, `list` and `remove` of one kind of configuration."""
    app = typer.Typer(no_args_is_help=True, help=f"Import, check, list and remove {kind}.")

    @app.command("check")
    def check(file: File, zones: ZonesFile = None, repair: Repair = False, at: At = None, all_: All = False) -> None:
        """Read the file, say what is wrong with it or odd, and show what zones and curfews come to in the next seven days."""
        content = read(kind, file, known := _zones(zones, None), repair)
        for line in _shown(kind, content, known, _instant(at, "--at"), every=all_):
            print(line)
        count = _count(content)
        say(f"{file}: {count} {kind if count != 1 else SINGULAR[kind]}, no fault found")

    @app.command("import")
    def import_(
        file: File, zones: ZonesFile = None, repair: Repair = False, from_: From = None, config: Config = None
    ) -> None:
        """Make these the ones that hold from an instant on; earlier versions stay in the database."""
        from tagwatch.access.by_command import log_change
        from tagwatch.configuration import save

        now_us, from_us = _instant(None, ""), instant(from_, "--from")
        with _connection(config) as connection:
            content = read(kind, file, known := _zones(zones, connection), repair)
            refuse_strangers(kind, content, known, connection, file)
            with connection.transaction():
                log_change(connection, f"{kind} changed", file=file, n=_count(content))
                if kind in WITH_VERSIONS:
                    counts = {SINGULAR[kind]: put(connection, kind, content, now_us, from_us)}
                else:
                    counts = save(connection, now_us, **{kind: content}, from_us=from_us)
                if kind == "activations":
                    _refuse_overlaps(connection, file)
            for line in (*said(kind, content, known, now_us), *_contradictions(kind, content, connection, now_us)):
                say(line)
        for name, count in counts.items():
            say(f"{name}: {count['new']} new, {count['changed']} changed, {count['same']} as before")

    @app.command("list")
    def list_(history: History = False, config: Config = None) -> None:
        """The last version of each, one line of JSON each; with --history all of them and the moments for which they hold."""
        import json

        with _connection(config) as connection:
            for row in _listed(kind, connection, history=history):
                print(json.dumps(row, ensure_ascii=False))

    @app.command("remove")
    def remove(ids: Ids, from_: End = None, config: Config = None) -> None:
        """End these from an instant on: they hold no longer, but what they were stays in the database."""
        from geofence.store import current, remove_rows
        from tagwatch.access.by_command import log_change

        now_us, from_us = _instant(None, ""), instant(from_, "--from")
        with _connection(config) as connection, connection.transaction():
            log_change(connection, f"{kind} removed", ", ".join(ids)[:1000])
            there = current(connection, SINGULAR[kind])
            for name in ids:
                if name not in there:
                    raise InputError(place=kind, field="id", value=name, expected="one that `list` shows")
            if kind == "zones":
                refuse_in_use(connection, ids)
            counts = remove_rows(connection, SINGULAR[kind], ids, now_us, from_us)
        say(f"{SINGULAR[kind]}: {counts['removed']} removed")

    return app


def _connection(config: Any) -> Any:
    from engine import database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    connection = database.connect(read_settings(config).database.url)
    database.require_schema(connection, SCHEMAS)
    return connection


def _refuse_overlaps(connection: Any, file: str) -> None:
    """InputError where an activation of the file overlaps one that the database had: nothing of the file is stored then."""
    from engine.activations import Activations
    from geofence.store import current
    from tagwatch.configuration import activation_of

    try:
        Activations(activation_of(content) for _, content in current(connection, "activation").values())
    except InputError as fault:
        raise fault.at(f"{file}, together with what the database holds") from None


def _instant(text: str | None, option: str) -> int:
    from engine.times import system_clock

    at = instant(text, option)
    return system_clock() if at is None else at


def _zones(path: str | None, connection: Any) -> Any:
    from geofence.zone import read_zones
    from tagwatch.configuration import zone_features, zones_of

    if path:
        return zones_of(path)
    if connection is None:
        return []
    return read_zones({"type": "FeatureCollection", "features": zone_features(connection)})


def _shown(kind: str, content: Any, zones: Any, at_us: int, *, every: bool) -> Iterator[str]:
    """The text of `check`: what was understood, what was made of it, what cannot both be kept."""
    from geofence.contradictions import contradictions
    from geofence.curfew import read_curfews
    from geofence.remarks import foreign_properties
    from geofence.zone import read_zones
    from tagwatch.cli.coming_week import curfew_lines, zone_lines

    if kind == "zones":
        yield from zone_lines(read_zones(content, repair=True), at_us, every=every)
        for line in foreign_properties(content):
            say(line)
    elif kind == "curfews":
        curfews = read_curfews(content, zones)
        yield from curfew_lines(content, curfews, at_us, every=every)
        for line in contradictions(zones, curfews, at_us, at_us + AHEAD_US):
            say(line)


def _contradictions(kind: str, content: Any, connection: Any, now_us: int) -> list[str]:
    """What of the imported cannot be kept together with what the database holds."""
    from geofence.contradictions import contradictions
    from geofence.curfew import read_curfews
    from tagwatch.configuration import curfew_rows

    if kind not in ("zones", "curfews"):
        return []
    zones = _zones(None, connection)
    curfews = read_curfews(curfew_rows(connection), zones)
    if kind == "zones":
        mine = {feature["properties"]["id"] for feature in content["features"]}
        zones = [zone for zone in zones if zone.id in mine]
    else:
        mine = {row["id"] for row in content}
        curfews = [curfew for curfew in curfews if curfew.id in mine]
    return contradictions(zones, curfews, now_us, now_us + AHEAD_US)


def _listed(kind: str, connection: Any, *, history: bool) -> Iterator[dict[str, Any]]:
    from engine.times import to_iso
    from geofence.store import current, versions
    from geofence.versions import FAR_US

    if not history:
        for name, (version, content) in current(connection, SINGULAR[kind]).items():
            yield {"id": name, "version": version, "content": content}
        return
    for name, chain in versions(connection, SINGULAR[kind]).items():
        for held in chain:
            start = None if held.from_us == -FAR_US else to_iso(held.from_us)
            end = None if held.to_us == FAR_US else to_iso(held.to_us)
            yield {"id": name, "version": held.version, "holds_from": start, "holds_to": end, "content": held.content}


def _count(content: Any) -> int:
    """How many there are; the versions of one id are one."""
    if isinstance(content, dict):
        return len({feature["properties"]["id"] for feature in content["features"]})
    rows = getattr(content, "rows", content)
    return len({row["id"] for row in rows}) if rows and isinstance(rows[0], dict) else len(rows)
