"""A wearer's trail: the window, the map with playback, and every fix in a table. A reason is asked for."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from engine.errors import InputError
from tagwatch.console import reason
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.fault import Fault
from tagwatch.console.managers.standings import Stood, zone_names
from tagwatch.console.managers.trail_map import chosen, gap_rows, scenery_of
from tagwatch.console.managers.trail_reading import Trails
from tagwatch.console.managers.trail_window import LABELS, USUAL_ZONE, ZONES, beside, read_window
from tagwatch.console.managers.trail_words import fix_rows
from tagwatch.console.managers.wearer_page import find
from tagwatch.console.office import Here
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
ON_PAGE, MOST_GAPS = 200, 100
Reads = Annotated[Caller, needs("trails.read")]


@router.get("/wearers/{wearer:path}/trail")
def trail(
    request: Request, office: Here, caller: Reads, stood: Stood, trails: Trails, wearer: str,
    from_: Annotated[str, Query(alias="from", max_length=40)] = "", to: Annotated[str, Query(max_length=40)] = "",
    tz: Annotated[str, Query(max_length=60)] = "", number: Annotated[int, Query(alias="page", ge=1, le=10_000_000)] = 1,
) -> Response:  # fmt: skip
    """The page; a window that is no window is told, and nothing of it is lost."""
    caller.require(wearer)
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        who = find(office, connection, conditions, caller, wearer)
    usual = zone_names(conditions).get(wearer, USUAL_ZONE)
    told: dict[str, Any] = {"who": who, "zones": dict.fromkeys((usual, *ZONES)), "fault": None}
    try:
        window = read_window(from_, to, tz, usual, office.clock())
    except InputError as fault:
        told |= {"fault": Fault(fault, LABELS), "typed": {"from": from_, "to": to, "tz": tz or usual}, "window": None}
        return page(request, office, caller, "managers/trail.html", status=422, **told)
    given = window.given()
    said, case_ref = reason.require(request, office, caller, wearer, "trail opened", page=number, **given)
    with office.database.reading() as connection:
        found = trails.read(office, connection, conditions, wearer, window)
    scenery = scenery_of(conditions, wearer, window)
    n_pages = max(1, -(-len(found) // ON_PAGE))
    number = min(number, n_pages)
    first = (number - 1) * ON_PAGE
    gaps = gap_rows(found, window, office.clock())
    told |= {
        "typed": given, "window": window, "given": given, "said": said, "case_ref": case_ref, "n_fixes": len(found),
        "rule": chosen(found, scenery).rule, "number": number, "n_pages": n_pages, "first": first, "n_gaps": len(gaps),
        "rows": list(fix_rows(found, range(first, min(first + ON_PAGE, len(found))), window.timezone)),
        "gaps": gaps[:MOST_GAPS], "n_weightless": int((~found.weighs).sum()), "query": urlencode(given),
        "place": f"/wearers/{quote(wearer, safe='')}", "scenery": scenery,
        "others": {words: other.given() for words, other in beside(window, office.clock()).items()},
    }  # fmt: skip
    return page(request, office, caller, "managers/trail.html", **told)
