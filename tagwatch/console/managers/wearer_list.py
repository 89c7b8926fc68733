"""The wearers somebody may see, and how each stands: open alerts, last contact, the tag worn, the last night."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from alerts.alert import GRADE_ORDER
from alerts.compliance import Period
from alerts.standing_store import open_by_wearer
from engine.activations import Activation
from engine.database import Connection
from engine.errors import InputError
from engine.last_heard import last_heard
from engine.times import to_iso
from engine.wearers import Wearer
from tagwatch.compliance import Report
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.nights import LEGEND, Night, last_night
from tagwatch.console.managers.roll import PARTS, Sought, choices, roll
from tagwatch.console.managers.standings import Stood, known_at, last_days, zone_names
from tagwatch.console.managers.worn import worn_now
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.monitor import Conditions

router = APIRouter(include_in_schema=False)
ON_PAGE, MOST_NIGHTS = 50, 10
NIGHTS = 3
"""The last night is looked for among the windows of so many days."""
SORTS = {"wearer": "Identifier", "name": "Name", "alerts": "Gravest open alerts first"}
_GRADES = tuple(reversed(GRADE_ORDER))


class Line(NamedTuple):
    """One wearer on the page; `open` is empty where the caller may not read alerts."""

    who: Wearer
    open: Counter[str]
    worn: list[Activation]
    heard: str
    night: Night | None


@router.get("/wearers")
def wearers(
    request: Request, office: Here, caller: Annotated[Caller, needs("wearers.read")], stood: Stood, q: str = "",
    scheme: str = "", cohort: str = "", force: str = "", team: str = "", sort: str = "wearer", nights: bool = False,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:  # fmt: skip
    """The list, a page at a time."""
    sought, reads = Sought(q[:200], scheme, cohort, force, team), caller.may("alerts.read")
    if sought.text.strip():
        office.log(caller, "wearers searched", sought.text.strip())
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        everybody = roll(connection, office.people, conditions, caller.scope)
        found = [who for who in everybody if sought.holds(who)]
        counts = open_by_wearer(connection, [who.wearer for who in found]) if reads else {}
        n_pages = max(1, -(-len(found) // ON_PAGE))
        number = min(number, n_pages)
        here = _in_order(found, sort, counts)[(number - 1) * ON_PAGE : number * ON_PAGE]
        due = _due(office, conditions, here) if caller.may("compliance.read") else {}
        reports = stood.held(office, connection, due)
        for who in here if nights else ():
            if who.wearer in due.keys() - reports.keys():
                reports[who.wearer] = stood.report(office, connection, who, due[who.wearer])
        lines = _lines(office, connection, conditions, here, counts, reports)
    given = {"q": q, "sort": sort, **{part: getattr(sought, part) for part in PARTS}}
    return page(
        request, office, caller, "managers/wearers.html", lines=lines, n_all=len(everybody), n_found=len(found),
        number=number, n_pages=n_pages, given={key: value for key, value in given.items() if value}, sought=given,
        choices=choices(everybody), sorts=SORTS, parts=PARTS, legend=LEGEND, grades=_GRADES, due=due,
        pending=due.keys() - reports.keys(), some=caller.scope.wearers is not None,
    )  # fmt: skip


@router.get("/wearers-nights.json")
def last_nights(
    office: Here, caller: Annotated[Caller, needs("compliance.read")], stood: Stood,
    wearer: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:  # fmt: skip
    """How the last night of a few wearers was kept, null where none is due; for the cells of the list."""
    if len(wearer) > MOST_NIGHTS:
        raise InputError(field="wearer", value=len(wearer), expected=f"at most {MOST_NIGHTS}")
    for name in wearer:
        caller.require(name)
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        here = [who for who in roll(connection, office.people, conditions, caller.scope) if who.wearer in wearer]
        due = _due(office, conditions, here)
        nights = {
            who.wearer: last_night(stood.report(office, connection, who, due[who.wearer]))
            for who in here
            if who.wearer in due
        }
    return JSONResponse({name: night.told() if night else None for name, night in nights.items()})


def _in_order(found: Sequence[Wearer], sort: str, counts: dict[str, Counter[str]]) -> list[Wearer]:
    if sort == "name":
        return sorted(found, key=lambda who: (who.name.casefold(), who.wearer))
    if sort == "alerts":
        none: Counter[str] = Counter()
        return sorted(found, key=lambda who: [*(-counts.get(who.wearer, none)[grade] for grade in _GRADES), who.wearer])
    return list(found)


def _due(office: Office, conditions: Conditions, here: Sequence[Wearer]) -> dict[str, Period]:
    """Of those who have a curfew the days in which the last night is looked for."""
    zones, as_of_us = zone_names(conditions), known_at(office.clock)
    return {who.wearer: last_days(NIGHTS, as_of_us, zones[who.wearer]) for who in here if who.wearer in zones}


def _lines(
    office: Office, connection: Connection, conditions: Conditions, here: Sequence[Wearer],
    counts: Mapping[str, Counter[str]], reports: Mapping[str, Report],
) -> list[Line]:  # fmt: skip
    worn = worn_now(conditions, [who.wearer for who in here], office.clock())
    heard = last_heard(connection, [row for rows in worn.values() for row in rows])
    lines = []
    for who in here:
        newest = max((heard[row] for row in worn[who.wearer] if row in heard), default=None)
        night = last_night(reports[who.wearer]) if who.wearer in reports else None
        told = "" if newest is None else to_iso(newest)
        lines.append(Line(who, counts.get(who.wearer, Counter()), worn[who.wearer], told, night))
    return lines
