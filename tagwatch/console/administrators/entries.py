"""The entries of one kind: a list with search, one entry with its history, a map of it, and all of them as a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from engine.activations import Activation
from engine.database import Connection
from engine.errors import InputError
from engine.wearers import Wearer
from geofence.schedule import read_date
from geofence.store import Held, current, versions
from ingest.activation_files import COLUMNS
from tagwatch.configuration import curfew_rows, zone_features
from tagwatch.console.administrators.change import mark_of, shown_of
from tagwatch.console.administrators.features import entry_features
from tagwatch.console.administrators.kinds import EVERYBODY, Kind, kind_of, wearers_of
from tagwatch.console.administrators.overview import changes
from tagwatch.console.administrators.preview import conditions_in
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.told import headline, holds_words, lines_of, zone_of_time
from tagwatch.console.administrators.weeks import weeks_of
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.geo_features import answer
from tagwatch.console.office import Here
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("configuration.read")]
A_PAGE = 100


Of = Annotated[Kind, Depends(kind_of)]
"""The type of a parameter that is to be given the kind that the path names."""


class Listed(NamedTuple):
    """One line of a list."""

    name: str
    href: str
    headline: str
    state: str
    edits: bool


class Version(NamedTuple):
    """One version of an entry: when it holds, and its lines."""

    version: str
    since: str
    until: str
    now: bool
    lines: list[tuple[str, str]]


@router.get("/configuration/{plural}")
def entries(
    request: Request, office: Here, caller: Reads, kind: Of, q: str = "", ended: bool = False, at: int = 0
) -> Response:
    """The entries that may be seen, those that were ended only when asked for."""
    with office.database.reading() as connection:
        reach, now_us = reach_of(office, caller, connection), office.clock()
        found = [
            listed for name, chain in versions(connection, kind.name).items()
            if (listed := _listed(kind, name, chain, reach, now_us, ended=ended)) and _meets(listed, q)
        ]  # fmt: skip
    at = max(0, at)
    return page(
        request, office, caller, "administrators/list.html", kind=kind, q=q, ended=ended, n_found=len(found), at=at,
        found=found[at : at + A_PAGE], a_page=A_PAGE, writes=reach.writes,
        others=not reach.every,
    )  # fmt: skip


@router.get("/configuration/{plural}/entry")
def entry(request: Request, office: Here, caller: Reads, kind: Of, id: str, week: str = "") -> Response:
    """One entry: what holds, its weeks and its map, every version and when it held, and who changed it."""
    with office.database.reading() as connection:
        reach, now_us = reach_of(office, caller, connection), office.clock()
        chain = _chain(connection, kind, id, reach)
        weeks, shown = None, shown_of(chain, now_us)
        if kind.name in ("zone", "curfew"):
            zones, curfews = conditions_in(connection, kind, id)
            mine: Any = [c for c in curfews if c.id == id]
            mine = mine if kind.name == "curfew" else [z for z in zones if z.id == id and z.schedule]
            weeks = weeks_of(mine, _day(week), now_us) if mine else None
        lately = changes(office, reach, connection, id)
        about = [w for held in chain for w in wearers_of(kind, id, held.content) if w == EVERYBODY or reach.scope.holds(w)]
        told = [_version(kind, id, held, reach, now_us) for held in reversed(chain)]
        edits = shown is not None and reach.edits_all(kind, id, (h.content for h in versions(connection, kind.name)[id]))
    if kind.name in ("zone", "curfew", "proximity"):  # where somebody lives, and must not go
        about = list(dict.fromkeys(about))
        office.log(caller, f"{kind.name} opened", id if len(about) != 1 else about[0], ids=[id], wearers=about[:50])
    return page(
        request, office, caller, "administrators/entry.html", kind=kind, id=id, versions=told, edits=edits, ended=shown is None,
        weeks=weeks, lately=lately, mark=mark_of(chain), timezone=zone_of_time(kind, shown),
        query=quote(id, safe=""), has_map=kind.name in ("zone", "curfew") and shown is not None,
    )  # fmt: skip


@router.get("/configuration/{plural}/map.json")
def entry_map(office: Here, caller: Reads, kind: Of, id: str) -> Response:
    """The place of a zone or a curfew as it is now, for the map."""
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        _chain(connection, kind, id, reach)
        zones, curfews = conditions_in(connection, kind, id)
    mine = [z for z in zones if kind.name == "zone" and z.id == id]
    return answer(entry_features(mine, [c for c in curfews if kind.name == "curfew" and c.id == id]))


@router.get("/configuration/{plural}/export")
def export(office: Here, caller: Reads, kind: Of, history: bool = False) -> Response:
    """All entries that may be seen as a whole, as the file that the import takes; with their history where asked for.

    An entry that names somebody whom the caller may not see is left out: half of it would be another entry.
    """
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        rows = _rows_to_export(connection, kind, reach, history=history)
    office.log(caller, f"{kind.plural} exported", n=len(rows), history=history)
    name = f"{kind.plural}.{'geojson' if kind.name == 'zone' else kind.form}"
    media = {"csv": "text/csv; charset=utf-8", "json": "application/json"}[kind.form]
    text = _as_csv(kind, rows) if kind.form == "csv" else json.dumps(
        {"type": "FeatureCollection", "features": rows} if kind.name == "zone" else rows, ensure_ascii=False, indent=1
    )  # fmt: skip
    return Response(text.encode(), media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})


def _listed(kind: Kind, name: str, chain: list[Held], reach: Reach, now_us: int, *, ended: bool) -> Listed | None:
    last = chain[-1]
    content = next((held.content for held in reversed(chain) if held.content is not None), None)
    if content is None or (shown_of(chain, now_us) is None) != ended or not reach.sees(kind, name, content):
        return None
    state = "ended" if ended else ""
    if last.from_us > now_us:
        words = "begins" if len(chain) == 1 else "ends" if last.content is None else "changes"
        state = f"{words} {holds_words(last.from_us, last.to_us, zone_of_time(kind, content))[0]}"
    href = f"/configuration/{kind.plural}/entry?id={quote(name, safe='')}"
    edits = reach.edits_all(kind, name, (held.content for held in chain))
    return Listed(name, href, headline(kind, content, reach), state, edits)


def _meets(listed: Listed, q: str) -> bool:
    text = f"{listed.name} {listed.headline}".casefold()
    return all(word in text for word in q.casefold().split())


def _chain(connection: Connection, kind: Kind, name: str, reach: Reach) -> list[Held]:
    """The versions of an entry; NotAllowed alike where there is none and where it may not be seen."""
    chain = versions(connection, kind.name).get(name, [])
    last = next((held.content for held in reversed(chain) if held.content is not None), None)
    if last is None or not reach.sees(kind, name, last):
        raise NotAllowed(f"there is no {kind.name} {name[:100]!r} among those you may see")
    return [held for held in chain if held.content is None or reach.sees(kind, name, held.content)]


def _version(kind: Kind, name: str, held: Held, reach: Reach, now_us: int) -> Version:
    since, until = holds_words(held.from_us, held.to_us, zone_of_time(kind, held.content))
    now = held.from_us <= now_us < held.to_us
    return Version(held.version, since, until, now, lines_of(kind, name, held.content, reach))


def _day(text: str) -> date | None:
    try:
        return read_date(text, "week")
    except InputError:
        return None


def _rows_to_export(connection: Connection, kind: Kind, reach: Reach, *, history: bool) -> list[Any]:
    if history and kind.versioned and kind.name in ("zone", "curfew"):
        raw = zone_features(connection) if kind.name == "zone" else curfew_rows(connection)
        names = [(row["properties"]["id"] if kind.name == "zone" else row["id"], row) for row in raw]
        kept = {n for n, row in names} - {n for n, row in names if not _is_whole(kind, n, row, reach)}
        return [row for name, row in names if name in kept]
    return [row for name, (_, row) in current(connection, kind.name).items() if _is_whole(kind, name, row, reach)]


def _is_whole(kind: Kind, name: str, content: Any, reach: Reach) -> bool:
    given = content["properties"] if kind.name == "zone" else content
    if given.get("removed"):
        return True
    return reach.sees(kind, name, content) and all(
        w == EVERYBODY or reach.scope.holds(w) for w in wearers_of(kind, name, content)
    )


def _as_csv(kind: Kind, rows: list[Any]) -> str:
    """Rows as CSV; the import takes it back as it is."""
    names = COLUMNS if kind.name == "activation" else Wearer._fields
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        told = {**row, "from": row["from_us"], "to": row["to_us"]} if kind.name == "activation" else row
        writer.writerow([told.get(name, Activation._field_defaults.get(name, "")) for name in names])
    return text.getvalue()
