"""Adding, changing and ending an entry: the form, what is wrong with it, and the draft that comes of it.

Nothing is saved here: what is right becomes a draft, which shows what it comes to and is saved from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import ModuleType
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from engine.error_model import DEVICE_MODELS
from engine.errors import InputError
from engine.times import from_datetime
from geofence.curfew import read_curfews
from geofence.schedule import time_zone, wall_instant
from geofence.store import Held, current, versions
from geofence.versions import FAR_US
from geofence.zone import Zone, read_zones
from tagwatch.configuration import zone_features
from tagwatch.console.administrators.change import Change, mark_of, marks_of, shown_of
from tagwatch.console.administrators.drafts import Kept
from tagwatch.console.administrators.entries import Of
from tagwatch.console.administrators.features import entry_features
from tagwatch.console.administrators.forms import activation, curfew, proximity, team, wearer, zone
from tagwatch.console.administrators.forms.parts import TIMEZONE, FormError
from tagwatch.console.administrators.kinds import KINDS, Kind, file_of, wearers_of
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.told import headline, holds_words, names_of, zone_of_time
from tagwatch.console.administrators.typed import Faults, Form, Typed, renumbered
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.geo_features import answer, ring_feature
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Edits = Annotated[Caller, needs("configuration.edit")]
FORMS: dict[str, ModuleType] = {
    "wearer": wearer, "team": team, "activation": activation, "zone": zone, "curfew": curfew, "proximity": proximity,
}  # fmt: skip
_ROWS = {"weekly": 1, "exceptions": 0, "members": 1, "places": 1}
_TIMES = ("now", "beginning", "at")


@router.get("/configuration/{plural}/edit")
def form(request: Request, office: Here, caller: Edits, drafts: Kept, kind: Of, id: str = "", draft: str = "") -> Response:
    """The form of a new entry, of an entry as it is, or of a draft as it was typed."""
    if draft:
        typed = Typed(drafts.find(caller, draft).typed or {})
        return _page(request, office, caller, kind, typed)
    now_us, content, planned = office.clock(), None, ""
    with office.database.reading() as connection:
        chain = versions(connection, kind.name).get(id, []) if id else []
        if id:
            content = _editable(reach_of(office, caller, connection), kind, id, chain, now_us)
    if chain and chain[-1].from_us > now_us:
        planned = holds_words(chain[-1].from_us, FAR_US, zone_of_time(kind, content))[0]
        planned += ": it ends then" if chain[-1].content is None else ": the form shows what holds then"
    if content and kind.versioned:  # where somebody lives, and must not go
        office.log(caller, f"{kind.name} opened", id, ids=[id], wearers=list(wearers_of(kind, id, content))[:50])
    values = FORMS[kind.name].fill(content) if content else _blank(kind, caller)
    return _page(request, office, caller, kind, Typed({**values, "of": [id], "mark": [mark_of(chain)]}), planned=planned)


@router.post("/configuration/{plural}/edit")
def check(request: Request, office: Here, caller: Edits, drafts: Kept, kind: Of, typed: Form) -> Response:
    """What was typed: another row, or a check that leads to a draft. What is wrong is told, and nothing typed is lost."""
    action, _, rest = typed.text("action").partition(" ")
    if action in ("more", "drop"):
        prefix, _, number = rest.partition(" ")
        drop = int(number) if number.isdigit() else -1
        return _page(
            request, office, caller, kind, renumbered(typed, prefix, drop=drop, more=action == "more"), jump=prefix
        )
    try:
        name, change = _change(office, caller, kind, typed)
    except FormError as fault:
        return _page(request, office, caller, kind, typed, fault.faults, status=422)
    verb = "Change" if typed.text("of") else "Add"
    values = {key: list(value) for key, value in typed.values.items() if key not in ("csrf", "action")}
    draft = drafts.keep(caller, f"{verb} {kind.name} {name}", change, values)
    return RedirectResponse(f"/configuration/drafts/{draft.id}#main", 303)


@router.get("/configuration/{plural}/end")
def end_form(request: Request, office: Here, caller: Edits, kind: Of, id: str) -> Response:
    """From when on is it gone, and why?"""
    return _end_page(request, office, caller, kind, Typed({"of": [id], "mark": [_mark(office, caller, kind, id)]}))


@router.post("/configuration/{plural}/end")
def end(request: Request, office: Here, caller: Edits, drafts: Kept, kind: Of, typed: Form) -> Response:
    """A draft that ends an entry."""
    name, faults = typed.text("of"), Faults()
    _mark(office, caller, kind, name)
    from_us = _since(typed, TIMEZONE, office.clock(), faults) if kind.versioned else None
    if not typed.text("reason"):
        faults["reason"] = "Reason is missing: say why it ends"
    if faults:
        return _end_page(request, office, caller, kind, typed, faults, status=422)
    change = Change(kind, None, (name,), from_us, {name: typed.text("mark")}, typed.text("reason")[:1000])
    verb = "End" if kind.versioned else "Remove"
    draft = drafts.keep(caller, f"{verb} {kind.name} {name}", change)
    return RedirectResponse(f"/configuration/drafts/{draft.id}#main", 303)


@router.post("/configuration/{plural}/preview.json")
def preview(office: Here, caller: Edits, kind: Of, typed: Form) -> Response:
    """The place that a form describes, for the map beside it; empty while it describes none."""
    try:
        with office.database.reading() as connection:
            areas = visible_zones(connection, reach_of(office, caller, connection))
        if kind.name == "zone":
            keep = ("shape", "centre", "radius_m", "corners", "geometry", "buffer_m")
            blank = {"id": ["?"], "kind": ["exclusion"], "whom": ["everybody"]}
            _, content = zone.read(Typed(blank | {name: [typed.text(name)] for name in keep}), None, areas)
            found = read_zones({"type": "FeatureCollection", "features": [content]})
            radius = {"radius_m": content["properties"].get("radius_m")}
            return answer([ring_feature(one) for one in found], drawn={**content, "properties": radius})
        if kind.name == "curfew":
            week = {"days": "mon", "start": "20:00", "end": "06:00"}
            hours = {"id": ["?"], "wearer": ["?"], **{f"weekly.0.{name}": [text] for name, text in week.items()}}
            values = hours | {name: list(v) for name, v in typed.values.items() if name.startswith("places.")}
            _, content = curfew.read(Typed(values), None, areas)
            return answer(entry_features([], [c._replace(id="this curfew") for c in read_curfews([content], areas)]))
    except (FormError, InputError):
        pass
    return answer([])


def _change(office: Office, caller: Caller, kind: Kind, typed: Typed) -> tuple[str, Change]:
    """The change that a form asks for; FormError with everything that is wrong."""
    old, now_us = typed.text("of"), office.clock()
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        held = versions(connection, kind.name)
        areas = visible_zones(connection, reach) if kind.name == "curfew" else ()
        base = _editable(reach, kind, old, held.get(old, []), now_us) if old else None
        name, content = FORMS[kind.name].read(typed, base, areas)
        faults = _faults_beyond(reach, kind, name, content, old, {*held})
        marks = {name: typed.text("mark")} if name == old else marks_of(connection, kind, [name])
        if old and name != old:
            marks[old] = typed.text("mark")
    from_us = _since(typed, zone_of_time(kind, content), now_us, faults) if kind.versioned else None
    if faults:
        raise FormError(faults)
    gone = (old,) if old and name != old else ()
    return name, Change(kind, file_of(kind, [content]), gone, from_us, marks, typed.text("reason")[:1000])


def _faults_beyond(reach: Reach, kind: Kind, name: str, content: Any, old: str, known: set[str]) -> Faults:
    """Faults that the readers cannot know: an identifier that is taken, somebody beyond the reach."""
    own_id = FORMS[kind.name].ID
    if old and name != old and kind.name != "activation":
        return {own_id: f"Identifier “{name[:60]}” is another than {old}: expected the same, or a new entry"}
    if name != old and name in known:
        expected = "one that is free (also those of the past, and of other forces, are taken)"
        return {own_id: f"{FORMS[kind.name].LABELS[own_id]} “{name[:60]}” is taken: expected {expected}"}
    if reach.edits(kind, name, content):
        return {}
    if kind.name == "wearer":
        return {"force": f"Force “{content['force'][:60]}” is not yours: expected {reach.force}"}
    if kind.name == "zone" and content["properties"]["wearers"] == "*":
        return {
            "whom": "For everybody: expected wearers of your force; only administrators for every force may choose this"
        }
    field = "wearers" if kind.name == "zone" else "wearer"
    return {field: "Wearer: expected wearers of your own force, whom the list of wearers names"}


def _since(typed: Typed, zone_name: str, now_us: int, faults: Faults) -> int:
    """From when on it holds [us UTC], by the local time of a zone."""
    chosen = typed.text("holds", "now")
    if chosen == "beginning":
        return -FAR_US
    if chosen != "at":
        return now_us
    text = typed.text("holds_at")
    try:
        moment = datetime.fromisoformat(text)
        zone_ = time_zone(zone_name)
        time_us = wall_instant(moment, zone_, is_end=False) if moment.tzinfo is None else from_datetime(moment)
        if not 2000 <= moment.year < 2100:
            raise ValueError
        return time_us
    except (ValueError, InputError):
        shown = f" “{text[:60]}”" if text else " is missing"
        faults["holds_at"] = f"Day and time{shown}: expected such as 2026-03-29 19:00, local to {zone_name}"
        return now_us


def _blank(kind: Kind, caller: Caller) -> dict[str, list[str]]:
    force = "" if caller.account.force == "*" else caller.account.force
    values = {
        "wearer": {"force": force}, "team": {"timezone": TIMEZONE},
        "activation": {"timezone": TIMEZONE, "percentile": "", "fix_interval_s": "", "upload_interval_s": "", "grace_s": ""},
        "zone": {"timezone": TIMEZONE, "shape": "circle", "kind": "exclusion", "whom": "some"},
        "curfew": {"timezone": TIMEZONE, "grace_minutes": "0", "unverified_minutes": "30"},
        "proximity": {"timezone": TIMEZONE},
    }  # fmt: skip
    return {name: [text] for name, text in values[kind.name].items()}


def _page(
    request: Request, office: Office, caller: Caller, kind: Kind, typed: Typed, faults: Faults | None = None, *,
    jump: str = "", status: int = 200, planned: str = "",
) -> Response:  # fmt: skip
    """The form with what was typed; of each kind of rows there is an empty one at least."""
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        areas = names_of(_visible_features(connection, reach)) if kind.name == "curfew" else []
        teams = [n for n, (_, c) in current(connection, "team").items() if reach.edits(KINDS["teams"], n, c)]
    for prefix, least in _ROWS.items():
        if len(typed.rows(prefix)) < least:
            typed = renumbered(typed, prefix, more=True)
    team_now = typed.text("team") if kind.name == "wearer" else ""
    return page(
        request, office, caller, f"administrators/{kind.name}_form.html", status=status, kind=kind, typed=typed,
        faults=faults or {}, form=FORMS[kind.name], areas=areas, teams=sorted({*teams, *([team_now] if team_now else [])}),
        wearers=[] if len(reach.wearers) > 2000 else sorted(caller.scope.only(reach.wearers)), old=typed.text("of"), jump=jump,
        planned=planned,
        times=_TIMES, models=DEVICE_MODELS, restricted=caller.account.force != "*", query=quote(typed.text("of"), safe=""),
    )  # fmt: skip


def _end_page(
    request: Request, office: Office, caller: Caller, kind: Kind, typed: Typed, faults: Faults | None = None,
    status: int = 200,
) -> Response:  # fmt: skip
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        content = shown_of(versions(connection, kind.name)[typed.text("of")], office.clock())
    return page(
        request, office, caller, "administrators/end.html", status=status, kind=kind, typed=typed, faults=faults or {},
        id=typed.text("of"), headline=headline(kind, content, reach), times=_TIMES,
    )  # fmt: skip


def _mark(office: Office, caller: Caller, kind: Kind, name: str) -> str:
    """The mark of an entry that the caller may change; NotAllowed alike where there is none."""
    with office.database.reading() as connection:
        chain = versions(connection, kind.name).get(name, [])
        _editable(reach_of(office, caller, connection), kind, name, chain, office.clock())
        return mark_of(chain)


def _editable(reach: Reach, kind: Kind, name: str, chain: Sequence[Held], now_us: int) -> Any:
    """What an entry says, if the caller may change it; NotAllowed alike where there is none."""
    content = shown_of(chain, now_us)
    if content is None or not reach.edits_all(kind, name, (held.content for held in chain)):
        raise NotAllowed(f"there is no {kind.name} {name[:100]!r} among those you may change")
    return content


def visible_zones(connection: Any, reach: Reach) -> Sequence[Zone]:
    """The zones that the caller sees, which a place may name."""
    return read_zones({"type": "FeatureCollection", "features": _visible_features(connection, reach)})


def _visible_features(connection: Any, reach: Reach) -> list[Any]:
    kind = KINDS["zones"]
    return [
        f for f in zone_features(connection) if f["properties"].get("removed") or reach.sees(kind, f["properties"]["id"], f)
    ]  # fmt: skip
