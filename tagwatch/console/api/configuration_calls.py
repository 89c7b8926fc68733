"""The configuration: the entries of each kind, one with its versions, and its change or end from an instant on."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import Body, Header, HTTPException, Path, Query, Request
from fastapi.responses import Response

from engine.database import Connection
from engine.errors import InputError
from engine.times import to_iso
from geofence.store import Held, versions
from tagwatch.configuration_files import read
from tagwatch.console.administrators.change import Change, StaleError, mark_of, write
from tagwatch.console.administrators.editing import visible_zones
from tagwatch.console.administrators.kinds import EVERYBODY, KINDS, Kind, rows_of, wearers_of
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.uploads import held, one_row
from tagwatch.console.api.answers import After, Limit, Page, after_key, read_cursor, told, told_page
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.contract import problems
from tagwatch.console.api.entry_told import Entry, EntryWhole, Written, version_of
from tagwatch.console.api.values import KNOWN, Instant, Word
from tagwatch.console.caller import Caller
from tagwatch.console.office import Here, Office

router = new_router("configuration")
MOST_DEPTH = 30
Reads = Annotated[Caller, calls("configuration.read")]
Edits = Annotated[Caller, calls("configuration.edit")]
Plural = Literal["wearers", "teams", "activations", "zones", "curfews", "proximities"]
Of = Annotated[Plural, Path(alias="kind")]
Named = Annotated[Word, Path(description="The entry's identifier")]
Since = Annotated[
    Instant | None, Query(alias="from", description="From when on it holds; not for facts, which hold always")
]
IfMatch = Annotated[
    str, Header(max_length=200, description="ETag of the entry as it was looked at; 412 where it is another")
]
IfNone = Annotated[str, Header(max_length=200, description="`*` for an entry that is not there yet")]
Reason = Annotated[str, Header(max_length=1000, description="Why, for the audit log")]


@router.get("/configuration/{kind}", summary="Entries of a kind", response_model=Page[Entry], responses=KNOWN)
def list_entries(request: Request, office: Here, caller: Reads, of: Of, limit: Limit = 100, after: After = "") -> Response:
    """Those that are only about wearers whom the account may see, or about everybody; by identifier."""
    kind, key = KINDS[of], read_cursor(after, str)
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        chains = {
            name: chain for name, chain in sorted(versions(connection, kind.name).items())
            if chain[-1].content is not None and _is_seen(kind, name, chain, reach)
        }  # fmt: skip
    names = after_key(list(chains), key and (key[0],), lambda name: (name,), limit)
    office.log(caller, f"{kind.plural} exported", n=len(names[:limit]))
    return told_page(request, Page[Entry], names, limit, lambda name: (name,), lambda here: [
        Entry(id=name, mark=mark_of(chains[name]), content=chains[name][-1].content) for name in here
    ])  # fmt: skip


@router.get("/configuration/{kind}/{identifier:path}", summary="One entry", response_model=EntryWhole, responses=KNOWN)
def get_entry(request: Request, office: Here, caller: Reads, of: Of, identifier: Named) -> Response:
    """As it is now and as it was; its ETag is what a change says in `If-Match`."""
    kind = KINDS[of]
    with office.database.reading() as connection:
        chain = _chain(connection, kind, identifier, reach_of(office, caller, connection))
    office.log(caller, f"{kind.name} opened", identifier)
    found = EntryWhole(
        id=identifier, mark=mark_of(chain), content=chain[-1].content, versions=[version_of(one) for one in chain]
    )
    return told(request, found, tag=found.mark)


@router.put(
    "/configuration/{kind}/{identifier:path}", summary="Change or add an entry", response_model=Written,
    responses=problems(412, 428) | {201: {"model": Written, "description": "Added"}},
)  # fmt: skip
def put_entry(
    request: Request, office: Here, caller: Edits, of: Of, identifier: Named, content: Annotated[dict[str, Any], Body()],
    since: Since = None, if_match: IfMatch = "", if_none_match: IfNone = "", x_reason: Reason = "",
) -> Response:  # fmt: skip
    """The content as a file of this kind has it: a feature for zones, an object for the others. The whole configuration must
    fit together with it."""
    kind = KINDS[of]
    mark = _asked_mark(if_match, if_none_match)
    with office.database.reading() as connection:
        zones = visible_zones(connection, reach_of(office, caller, connection)) if kind.name == "curfew" else ()
    given = _read(kind, identifier, content, zones)
    counts = _write(office, caller, Change(kind, given, (), _since(kind, since), {identifier: mark}, x_reason.strip()))
    return _written(request, office, kind, identifier, counts, status=200 if mark else 201)


@router.delete(
    "/configuration/{kind}/{identifier:path}", summary="End an entry", response_model=Written, responses=problems(412, 428)
)
def end_entry(
    request: Request, office: Here, caller: Edits, of: Of, identifier: Named, since: Since = None, if_match: IfMatch = "",
    x_reason: Reason = "",
) -> Response:  # fmt: skip
    """From an instant on, or from now; what held before stays as it was. Facts are removed as if they had never been."""
    kind, mark = KINDS[of], _asked_mark(if_match, "")
    if not x_reason.strip():
        raise InputError(field="X-Reason", expected="why it ends")
    with office.database.reading() as connection:
        _chain(connection, kind, identifier, reach_of(office, caller, connection))
    change = Change(kind, None, (identifier,), _since(kind, since), {identifier: mark}, x_reason.strip())
    return _written(request, office, kind, identifier, _write(office, caller, change))


def _read(kind: Kind, identifier: str, content: dict[str, Any], zones: Any) -> Any:
    """The content, checked by the readers of the files; InputError where it is not what they take."""
    if _is_deep(content):
        raise InputError("is nested too deeply", field="body", expected=f"at most {MOST_DEPTH} levels")
    inner = content.get("properties") if kind.name == "zone" else content
    for name in ("holds_from", "removed"):
        if isinstance(inner, dict) and name in inner:
            raise InputError(field=name, value=inner[name], expected="the parameter from, or DELETE")
    if kind.form == "csv":
        data = one_row({name: "" if value is None else str(value) for name, value in content.items()})
    else:
        rows = {"type": "FeatureCollection", "features": [content]} if kind.name == "zone" else [content]
        data = json.dumps(rows).encode()
    with held(data) as path:
        try:
            given = read(kind.plural, path, zones, repair=False)
        except InputError as fault:
            place = fault.place.replace(path, kind.name)
            raise InputError(
                fault.message, place=place, field=fault.field, value=fault.value, expected=fault.expected
            ) from None
    names = [name for name, _ in rows_of(kind, given)]
    if names != [identifier]:
        raise InputError(field="identifier", value=identifier, expected=f"that of the content, {', '.join(names)}")
    return given


def _is_deep(content: Any) -> bool:
    """Whether there are more levels in it than any content needs: readers and writers go down level by level."""
    level = [content]
    for _ in range(MOST_DEPTH):
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [part for parts in inside for part in parts]
        if not level:
            return False
    return True


def _asked_mark(if_match: str, if_none_match: str) -> str:
    """The mark of what was looked at, empty for nothing; 428 where a change does not say."""
    if if_none_match.strip() == "*":
        return ""
    mark = if_match.strip().removeprefix("W/").strip('"')
    if not mark:
        raise HTTPException(428, "say what is changed: If-Match with its ETag, or If-None-Match: * for a new entry")
    return mark


def _since(kind: Kind, since_us: int | None) -> int | None:
    if since_us is not None and not kind.versioned:
        raise InputError("is a fact, which holds always", field="from", value=to_iso(since_us), expected="no instant")
    return since_us


def _write(office: Office, caller: Caller, change: Change) -> dict[str, int]:
    try:
        return write(office, caller, change)
    except StaleError as fault:
        raise HTTPException(412, f"{fault}: look at it again") from None


def _written(
    request: Request, office: Office, kind: Kind, identifier: str, counts: dict[str, int], status: int = 200
) -> Response:
    with office.database.reading() as connection:
        chain = versions(connection, kind.name).get(identifier, [])
    mark = mark_of(chain) if chain and chain[-1].content is not None else ""
    return told(request, Written.model_validate({"id": identifier, "mark": mark, **counts}), status=status, tag=mark)


def _chain(connection: Connection, kind: Kind, name: str, reach: Reach) -> list[Held]:
    """The versions of an entry that is not ended; 404 alike where there is none and where it may not be seen."""
    chain = versions(connection, kind.name).get(name, [])
    if not chain or chain[-1].content is None or not _is_seen(kind, name, chain, reach):
        raise HTTPException(404, f"there is no {kind.name} {name[:100]!r} among those you may see")
    return chain


def _is_seen(kind: Kind, name: str, chain: list[Held], reach: Reach) -> bool:
    """Whether an entry may be seen as a whole: half of what names somebody else would be another entry."""
    contents = [one.content for one in chain if one.content is not None]
    about = {wearer for content in contents for wearer in wearers_of(kind, name, content)} - {EVERYBODY}
    return all(reach.sees(kind, name, content) for content in contents) and all(map(reach.scope.holds, about))
