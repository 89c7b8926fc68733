"""What a change comes to before it is saved: it is applied, looked at, and rolled back, so that nothing is calculated twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple

from engine.database import Connection
from engine.errors import InputError
from engine.times import DAY_US
from geofence.contradictions import contradictions
from geofence.curfew import Curfew, read_curfews
from geofence.store import Held, current, versions
from geofence.versions import FAR_US
from geofence.zone import Zone, read_zones
from tagwatch.configuration import curfew_rows, zone_features
from tagwatch.configuration_remarks import said
from tagwatch.console.administrators.change import Change, apply, concerned
from tagwatch.console.administrators.features import entry_features
from tagwatch.console.administrators.kinds import EVERYBODY, KINDS, Kind, rows_of, wearers_of, zones_named
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.told import holds_words, lines_of, zone_of_time
from tagwatch.console.administrators.weeks import Weeks, weeks_of
from tagwatch.console.caller import Caller
from tagwatch.console.office import Office

AHEAD_US = 28 * DAY_US


class Compared(NamedTuple):
    """One line of an entry before and after."""

    label: str
    before: str
    after: str


class Preview(NamedTuple):
    """Counts of what is new and changed, the lines of a single entry, what is worth saying, the weeks, the map's features."""

    counts: Mapping[str, int]
    compared: Sequence[Compared]
    holds_from: str
    warnings: Sequence[str]
    remarks: Sequence[str]
    weeks: Weeks | None
    features: Sequence[Any]


@contextmanager
def applied(office: Office, caller: Caller, change: Change) -> Iterator[tuple[Connection, Reach, dict[str, int]]]:
    """The database as it would be with a change, within the block; faults as those of writing it."""
    with office.database.writing() as connection, connection.transaction(force_rollback=True):
        reach = reach_of(office, caller, connection)
        yield connection, reach, apply(connection, reach, change, office.clock(), office.settings)


def preview_of(office: Office, caller: Caller, change: Change, at: date | None = None) -> Preview:
    """Look at a change; `at` is the day whose weeks are shown."""
    kind, now_us = change.kind, office.clock()
    with office.database.reading() as connection:
        before = versions(connection, kind.name)
    with applied(office, caller, change) as (connection, reach, counts):
        after = versions(connection, kind.name)
        zones, curfews = conditions_in(connection)
        single = change.ids[0] if len(change.ids) == 1 else ""
        compared: list[Compared] = []
        if single:
            compared = _compared(change, reach, before.get(single, ()), after.get(single, ()))
        warnings = [*_warnings(change, before, after, now_us), *_left_behind(connection, change)]
        remarks = _remarks(change, reach, zones, curfews, now_us)
        mine: Sequence[Curfew] | Sequence[Zone] = []
        if kind.name == "curfew":
            mine = [curfew for curfew in curfews if curfew.id == single]
        elif kind.name == "zone":
            mine = [zone for zone in zones if zone.id == single and zone.schedule]
        ids = set(change.ids[:200])
        features = entry_features([z for z in zones if kind.name == "zone" and z.id in ids],
                                  [c for c in curfews if kind.name == "curfew" and c.id in ids])  # fmt: skip
    zone_name = zone_of_time(kind, next((content for _, content in rows_of(kind, change.content) if content), None))
    since = "" if change.from_us is None else holds_words(change.from_us, FAR_US, zone_name)[0] + f" ({zone_name})"
    return Preview(
        counts, compared, since.replace(f"the beginning ({zone_name})", "the beginning"), warnings, remarks,
        weeks_of(mine, at, now_us) if mine else None, features,
    )  # fmt: skip


def conditions_in(connection: Connection, kind: Kind | None = None, name: str = "") -> tuple[list[Zone], list[Curfew]]:
    """The zones and curfews that the database holds, one a version; of one entry alone with the zones that it names."""
    features, rows = zone_features(connection), curfew_rows(connection)
    if kind is not None:
        rows = [row for row in rows if kind.name == "curfew" and row["id"] == name]
        named = {name} if kind.name == "zone" else {zone for row in rows for zone in zones_named(row)}
        features = [feature for feature in features if feature["properties"]["id"] in named]
    zones = read_zones({"type": "FeatureCollection", "features": features})
    return zones, read_curfews(rows, zones)


def _compared(change: Change, reach: Reach, before: Sequence[Held], after: Sequence[Held]) -> list[Compared]:
    name = change.ids[0]
    old, new = (
        dict(lines_of(change.kind, name, chain[-1].content, reach)) if chain and chain[-1].content is not None else {}
        for chain in (before, after)
    )
    return [Compared(label, old.get(label, ""), new.get(label, "")) for label in dict.fromkeys([*old, *new])]


def _warnings(
    change: Change, before: Mapping[str, Sequence[Held]], after: Mapping[str, Sequence[Held]], now_us: int
) -> Iterator[str]:
    kind, since = change.kind, change.from_us
    if kind.versioned and since is not None and since < now_us - 60_000_000 and any(before.get(n) for n in change.ids):
        yield "It holds from a time that is past: alerts of that time are decided anew, and some may be taken back or added."
    for name in change.ids[:20]:
        planned = [h for h in before.get(name, ()) if kind.versioned and h.from_us > now_us]
        if planned and len(change.ids) < 20 and planned[-1] not in after.get(name, ()):
            start = holds_words(planned[-1].from_us, FAR_US)[0]
            yield f"A version of {name} that was planned from {start} on is given up by this."
    if kind.name == "activation":
        there = [any(chain[-1].content is not None for chain in chains.values()) for chains in (before, after)]
        if there == [False, True]:
            yield "This is the first activation: devices that no activation names are not monitored any more."
        if there == [True, False]:
            yield "No activation is left: every device then counts as a wearer of its own name."
        if any(content and content["to_us"] == "" and change.removed for _, content in rows_of(kind, change.content)):
            yield "The fitting is put in the place of another one: its device or its beginning is another."
    if kind.name == "zone" and any(EVERYBODY in wearers_of(kind, n, c) for n, c in rows_of(kind, change.content)):
        yield "It is for everybody: every wearer of every force."


def _left_behind(connection: Connection, change: Change) -> Iterator[str]:
    """What still names a wearer who is removed, and curfews whose place a changed zone is."""
    if change.kind.name == "wearer":
        for name in change.removed[:20]:
            for kind in KINDS.values():
                found = [n for n, (_, c) in current(connection, kind.name).items() if name in wearers_of(kind, n, c)]
                if found and kind.name != "wearer":
                    yield f"{name} is still named by {kind.plural}: {', '.join(found[:10])}."
    if change.kind.name == "zone":
        ids = set(change.ids)
        for name, (_, row) in current(connection, "curfew").items():
            if ids & zones_named(row):
                yield f"It is the place of curfew {name}, which changes with it."


def _remarks(
    change: Change, reach: Reach, zones: Sequence[Zone], curfews: Sequence[Curfew], now_us: int
) -> list[str]:  # fmt: skip
    """What is odd, and what cannot both be kept in the coming four weeks."""
    kind, ids = change.kind, set(change.ids)
    if kind.name not in ("zone", "curfew") or change.content is None:
        return []
    lines = list(said(kind.plural, change.content, zones, now_us))
    seen = [curfew for curfew in curfews if reach.scope.holds(curfew.wearer)]
    if kind.name == "zone":
        zones = [zone for zone in zones if zone.id in ids]
    else:
        seen = [curfew for curfew in seen if curfew.id in ids]
    return [*lines, *contradictions(zones, seen, now_us, now_us + AHEAD_US)]


def whose(office: Office, caller: Caller, change: Change) -> set[str]:
    """The wearers whom a change is about, as far as the caller sees them; of a place also those of its curfews."""
    with office.database.reading() as connection:
        reach, found = reach_of(office, caller, connection), concerned(connection, change)
        if change.kind.name == "zone":
            found |= {wearer for name in change.ids for wearer in reach.places.get(name, ())}
        if change.kind.name == "team" or not found:
            raise InputError("a team changes who is told, not what alerts there are", field="what-if")
        if EVERYBODY in found:
            worn = current(connection, "activation").values()
            found = {*reach.wearers, *(content["wearer"] for _, content in worn)}
        return {wearer for wearer in found if caller.scope.holds(wearer)}
