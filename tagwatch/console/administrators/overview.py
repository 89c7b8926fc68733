"""The configuration at a glance: how much of what there is, what changed lately and by whom, and the devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from engine.database import Connection
from engine.store.fixes import FixStore
from engine.times import to_iso
from geofence.store import current, versions
from tagwatch.access.audit_search import Search, found_rows
from tagwatch.console.administrators.change import shown_of
from tagwatch.console.administrators.kinds import KINDS
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.told import whom
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("configuration.read")]
_LATELY = 12
_LOOKED_AT = 300
_VERBS = ("changed", "removed", "imported")


class Happened(NamedTuple):
    """One change as the audit log has it."""

    at: str
    actor: str
    action: str
    subject: str
    href: str
    reason: str


class Device(NamedTuple):
    """A device: on whom it is now, and how many fittings there were that may be seen."""

    name: str
    wearer: str
    since: str
    n_fittings: int
    activation: str


@router.get("/configuration")
def overview(request: Request, office: Here, caller: Reads) -> Response:
    """Counts by kind, and the last changes."""
    now_us = office.clock()
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        counts = []
        for kind in KINDS.values():
            chains = versions(connection, kind.name)
            held = {n: content for n, chain in chains.items() if (content := shown_of(chain, now_us)) is not None}
            seen = [n for n, content in held.items() if reach.sees(kind, n, content)]
            planned = sum(chains[n][-1].from_us > now_us for n in seen)
            counts.append((kind, len(seen), planned, len(seen) < len(held)))
        lately = changes(office, reach, connection)
        n_devices = len(_devices(reach, connection, now_us))
    return page(request, office, caller, "administrators/overview.html", counts=counts, lately=lately, n_devices=n_devices)


@router.get("/configuration/devices")
def devices(request: Request, office: Here, caller: Reads, q: str = "") -> Response:
    """The devices: those that were fitted to wearers who may be seen; with every force also those that only sent."""
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        found = _devices(reach, connection, office.clock())
    sought = q.strip().casefold()
    found = [one for one in found if sought in one.name.casefold() or sought in one.wearer.casefold()]
    return page(request, office, caller, "administrators/devices.html", devices=found, q=q)


def changes(office: Office, reach: Reach, connection: Connection, subject: str = "") -> list[Happened]:
    """The last changes of the configuration that concern what may be seen, newest first; of one entry where it is named."""
    actions = tuple(f"{plural} {verb}" for plural in KINDS for verb in _VERBS)
    search = Search(actions=actions, subject=subject)
    rows = found_rows(connection, search, most=_LOOKED_AT)
    found = []
    for row in rows:
        detail = msgspec.json.decode(row.detail)
        if not reach.every and not _is_seen(reach, detail):
            continue
        plural = row.action.partition(" ")[0]
        name = row.subject or f"{detail.get('n', 'some')} entries"
        href = f"/configuration/{plural}"
        found.append(Happened(to_iso(row.at_us), row.actor, row.action, name, href, row.reason))
    return found[:_LATELY]


def _is_seen(reach: Reach, detail: Mapping[str, Any]) -> bool:
    wearers = detail.get("wearers") or []
    return bool(wearers) and all(reach.scope.holds(wearer) for wearer in wearers)


def _devices(reach: Reach, connection: Connection, now_us: int) -> list[Device]:
    now = to_iso(now_us)
    fittings: dict[str, list[tuple[str, Any]]] = {}
    for name, (_, row) in current(connection, "activation").items():
        if reach.scope.holds(row["wearer"]):
            fittings.setdefault(row["device"], []).append((name, row))
    names = {*fittings, *(FixStore(connection).devices() if reach.every else ())}
    found = []
    for device in sorted(names):
        rows = fittings.get(device, [])
        on = next(((n, r) for n, r in rows if r["from_us"] <= now and (not r["to_us"] or now < r["to_us"])), None)
        wearer = whom([on[1]["wearer"]], reach) if on else ""
        found.append(Device(device, wearer, on[1]["from_us"] if on else "", len(rows), on[0] if on else ""))
    return found
