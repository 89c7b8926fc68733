"""A change of the configuration: what it puts in or ends, whether it may, and writing it with its entry of the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from psycopg.errors import UniqueViolation

from engine.activations import Activations
from engine.database import Connection
from engine.errors import InputError, TagwatchError
from geofence.store import Held, current, remove_rows, versions
from geofence.zone import version_of
from tagwatch.access import audit
from tagwatch.configuration import activation_of, load, save, zone_features
from tagwatch.configuration_files import WITH_VERSIONS, put, refuse_in_use, refuse_strangers
from tagwatch.console.administrators.kinds import EVERYBODY, KINDS, Kind, rows_of, wearers_of
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.caller import Caller, NotAllowed
from tagwatch.console.office import Office
from tagwatch.settings import Settings

_MOST_IN_ENTRY = 50


class Change(NamedTuple):
    """`content` is as a file gives it (None: nothing); `marks` are the entries that were looked at, by id; `from_us` is from
    when on it holds, None for the way of the commands."""

    kind: Kind
    content: Any
    removed: tuple[str, ...]
    from_us: int | None
    marks: Mapping[str, str]
    reason: str = ""

    @property
    def ids(self) -> list[str]:
        """What is put in or ended."""
        return list(dict.fromkeys([*(name for name, _ in rows_of(self.kind, self.content)), *self.removed]))


class StaleError(TagwatchError):
    """Somebody else changed what was looked at; `ids` are which."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)
        super().__init__("changed by somebody else since you opened it: " + ", ".join(self.ids[:5]))


def mark_of(chain: Sequence[Held]) -> str:
    """A name for all versions of an entry as they are now; empty where there is none."""
    return version_of([[held.from_us, held.version] for held in chain]) if chain else ""


def shown_of(chain: Sequence[Held], now_us: int) -> Any:
    """What an entry says: its last content, also where its end is planned; None where there is none, or it was ended."""
    if not chain or (chain[-1].content is None and chain[-1].from_us <= now_us):
        return None
    return next((held.content for held in reversed(chain) if held.content is not None), None)


def marks_of(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, str]:
    """The marks of entries."""
    held = versions(connection, kind.name)
    return {name: mark_of(held.get(name, ())) for name in ids}


def write(office: Office, caller: Caller, change: Change) -> dict[str, int]:
    """Write a change and its entry of the audit log in one transaction; returns counts.

    StaleError where what was looked at is another now, NotAllowed beyond the caller's reach, InputError where the whole does
    not fit together.
    """
    try:
        with office.database.writing() as connection:
            # the entry comes first: its lock makes changes wait for one another, so that marks are true when they are read
            audit.write(connection, _entry(office, caller, change, connection), office.wall())
            return apply(connection, reach_of(office, caller, connection), change, office.clock(), office.settings)
    except UniqueViolation:
        raise StaleError(change.ids) from None


def apply(
    connection: Connection, reach: Reach, change: Change, now_us: int, settings: Settings, *, whole: bool = True
) -> dict[str, int]:  # fmt: skip
    """Apply a change in the caller's transaction, then read the `whole` configuration as the service will."""
    kind, held = change.kind, versions(connection, change.kind.name)
    stale = [name for name, mark in change.marks.items() if mark != mark_of(held.get(name, ()))]
    if stale:
        raise StaleError(stale)
    _refuse_beyond(connection, reach, change)
    counts = {"new": 0, "changed": 0, "same": 0, "removed": 0}
    if change.removed:
        if kind.name == "zone":
            refuse_in_use(connection, change.removed)
        counts["removed"] = remove_rows(connection, kind.name, change.removed, now_us, change.from_us)["removed"]
    if kind.plural in WITH_VERSIONS and change.content is not None:
        areas = _zones(connection) if kind.name == "curfew" else ()
        refuse_strangers(kind.plural, change.content, areas, connection, "")
        counts |= put(connection, kind.plural, change.content, now_us, change.from_us)
    elif change.content is not None:
        counts |= save(connection, now_us, **{kind.plural: change.content})[kind.name] if change.ids else {}
    if kind.name == "activation":
        refuse_two_wearers(connection, reach)
    if whole:
        _read_whole(connection, reach, settings)
    return counts


def refuse_two_wearers(connection: Connection, reach: Reach) -> None:
    """InputError where a device is on two wearers at one time; it names nobody who may not be seen."""
    rows = [activation_of(content) for _, content in current(connection, "activation").values()]
    rows.sort(key=lambda a: (a.device, a.from_us, a.to_us))
    for one, two in pairwise(rows):
        if one.device == two.device and two.from_us < one.to_us:
            first, second = (reach.told([row.wearer])[0] for row in (one, two))
            started = Activations([two]).rows[0]
            raise InputError(
                f"device {one.device} is on {first} and on {second} at {_iso(started.from_us)}", field="device",
                value=one.device, expected="one wearer at a time: end the one before the other begins",
            )  # fmt: skip


def concerned(connection: Connection, change: Change) -> set[str]:
    """The wearers whom a change is about, as they were and as they will be; EVERYBODY among them for all."""
    held = current(connection, change.kind.name)
    pairs = [*rows_of(change.kind, change.content), *((n, held[n][1]) for n in change.ids if n in held)]
    return {wearer for name, content in pairs for wearer in wearers_of(change.kind, name, content)}


def _refuse_beyond(connection: Connection, reach: Reach, change: Change) -> None:
    """NotAllowed where an entry, as it was, is or will be, is beyond the reach."""
    held, chains = current(connection, change.kind.name), versions(connection, change.kind.name)
    for name in change.ids:
        if not reach.edits_all(change.kind, name, (version.content for version in chains.get(name, ()))):
            raise NotAllowed(f"{change.kind.name} {name!r} is not one that you may change, or the name is taken")
    if change.removed and change.kind.name == "wearer" and not reach.every:
        raise NotAllowed(
            "a wearer is removed by an administrator for every force: without a force nobody else could see it"
        )
    for name, content in rows_of(change.kind, change.content):
        if content is None:
            continue
        if not reach.edits(change.kind, name, content):
            whom = "your own force" if change.kind.name == "wearer" else "wearers of your own force only"
            raise NotAllowed(f"{change.kind.name} {name!r} would be beyond what you may change: it must be for {whom}")
        _refuse_foreign_team(connection, reach, change.kind, content, held.get(name))


def _refuse_foreign_team(connection: Connection, reach: Reach, kind: Kind, content: Any, before: Any) -> None:
    team = content.get("team", "") if kind.name == "wearer" else ""
    if not team or reach.every or (before is not None and before[1].get("team") == team):
        return
    if team not in current(connection, "team") or not reach.edits(KINDS["teams"], team, {}):
        raise NotAllowed(f"team {team!r} is not one of your force")


def _read_whole(connection: Connection, reach: Reach, settings: Settings) -> None:
    try:
        load(connection, settings.filter_settings, settings.default_plan)
    except InputError as fault:
        if reach.every:
            raise
        raise InputError("does not fit together with other entries that hold", place=fault.place.split(",")[0]) from None


def _zones(connection: Connection) -> Any:
    from geofence.zone import read_zones

    return read_zones({"type": "FeatureCollection", "features": zone_features(connection)})


def _entry(office: Office, caller: Caller, change: Change, connection: Connection) -> audit.Entry:
    ids = change.ids
    action = f"{change.kind.plural} {'removed' if change.content is None else 'changed'}"
    wearers = sorted(concerned(connection, change))
    told: dict[str, Any] = {"n": len(ids), "ids": ids[:_MOST_IN_ENTRY]}
    if wearers:
        told["wearers"] = wearers if len(wearers) <= _MOST_IN_ENTRY else [EVERYBODY]
    if change.from_us is not None:
        told["holds_from"] = _iso(change.from_us)
    return office.entry(caller, action, ids[0] if len(ids) == 1 else "", reason=change.reason, **told)


def _iso(time_us: int) -> str:
    from engine.times import to_iso
    from geofence.zone import FAR_US

    return "the beginning" if time_us == -FAR_US else to_iso(time_us)
