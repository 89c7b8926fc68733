"""Wearers: the list, one with the tags and open alerts, the fixes, and how conditions were kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, HTTPException, Path, Query, Request
from fastapi.responses import Response

from alerts.compliance import Period
from alerts.standing_store import open_by_wearer
from engine.activations import FOREVER_US, Activation
from engine.database import Connection
from engine.errors import InputError
from engine.last_heard import last_heard
from engine.times import DAY_US, to_iso
from engine.wearers import Wearer
from tagwatch.compliance import Report
from tagwatch.compliance_table import records
from tagwatch.console import reason
from tagwatch.console.api.answers import After, Limit, Page, after_key, read_cursor, told, told_page
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.fix_stream import FIXES, Form, fix_answer
from tagwatch.console.api.values import KNOWN, Day, Instant, Text, Word
from tagwatch.console.api.wearer_told import Compliance, WearerTold, WearerWhole, Worn
from tagwatch.console.caller import Caller
from tagwatch.console.managers.roll import Sought, roll
from tagwatch.console.managers.standings import Standings, Stood, known_at
from tagwatch.console.managers.trail_window import LONGEST_US
from tagwatch.console.managers.worn import worn_by
from tagwatch.console.office import Here, Office

router = new_router("wearers")
Reads = Annotated[Caller, calls("wearers.read")]
Named = Annotated[Word, Path(description="The wearer's identifier")]
Part = Annotated[Text, Query(description="`-` for those who have none; empty for any")]
MOST_DAYS, MOST_REPORTS = 100, 50


@router.get("/wearers", summary="Wearers", response_model=Page[WearerTold], responses=KNOWN)
def list_wearers(
    request: Request, office: Here, caller: Reads, stood: Stood, limit: Limit = 100, after: After = "",
    q: Annotated[Text, Query(description="A piece of a name or an identifier")] = "", scheme: Part = "", cohort: Part = "",
    force: Part = "", team: Part = "",
) -> Response:  # fmt: skip
    """Those whom the account may see, by identifier."""
    key, sought = read_cursor(after, str), Sought(q, scheme, cohort, force, team)
    if q.strip():
        office.log(caller, "wearers searched", q.strip())
    with office.database.reading() as connection:
        everybody = roll(connection, office.people, stood.conditions(office, connection), caller.scope)
    found = after_key([who for who in everybody if sought.holds(who)], key, _key, limit)
    return told_page(
        request, Page[WearerTold], found, limit, _key, lambda rows: [WearerTold(**row._asdict()) for row in rows]
    )


@router.get("/compliance", summary="Compliance of wearers", response_model=Page[Compliance], responses=KNOWN)
def list_compliance(
    request: Request, office: Here, caller: Annotated[Caller, calls("compliance.read")], stood: Stood,
    from_: Annotated[Day, Query(alias="from")], to: Annotated[Day, Query()], cohort: Part = "",
    limit: Annotated[int, Query(ge=1, le=MOST_REPORTS)] = 20, after: After = "",
) -> Response:  # fmt: skip
    """Of those who wore a tag or had a curfew in these days, by identifier."""
    key, period = read_cursor(after, str), _period(office, from_, to)
    with office.database.reading() as connection:
        active = stood.monitored(office, connection, period)
        everybody = roll(connection, office.people, stood.conditions(office, connection), caller.scope)
    sought = Sought(cohort=cohort)
    found = after_key([w for w in everybody if w.wearer in active and sought.holds(w)], key, _key, limit)
    office.log(caller, "compliance opened", first=str(from_), last=str(to), wearers=[who.wearer for who in found[:limit]])
    reports = dict(zip(found[:limit], stood.reports(office, found[:limit], period), strict=True))
    return told_page(
        request, Page[Compliance], found, limit, _key, lambda rows: [_compliance(reports[who], period) for who in rows]
    )


@router.get(
    "/wearers/{wearer:path}/compliance", summary="Compliance of one wearer", response_model=Compliance, responses=KNOWN
)
def get_compliance(
    request: Request, office: Here, caller: Annotated[Caller, calls("compliance.read")], stood: Stood, wearer: Named,
    from_: Annotated[Day, Query(alias="from")], to: Annotated[Day, Query()],
) -> Response:  # fmt: skip
    """Curfew windows, zones, care of the tag and alerts over some days."""
    period = _period(office, from_, to)
    with office.database.reading() as connection:
        who = seen_wearer(office, connection, stood, caller, wearer)
    office.log(caller, "compliance opened", wearer, first=str(from_), last=str(to))
    with office.database.reading() as connection:
        return told(request, _compliance(stood.report(office, connection, who, period), period))


@router.get("/wearers/{wearer:path}/fixes", summary="Fixes of a wearer", responses=FIXES, response_class=Response)
def stream_fixes(
    request: Request, office: Here, caller: Annotated[Caller, calls("trails.read")], stood: Stood, wearer: Named,
    from_: Annotated[Instant, Query(alias="from")], to: Annotated[Instant, Query()],
    format: Annotated[Form, Query()] = "ndjson",
    x_reason: Annotated[str, Header(max_length=1000, description="Why; tokens must say it")] = "",
    x_case_ref: Annotated[str, Header(max_length=200, description="Which case; tokens must say it")] = "",
) -> Response:  # fmt: skip
    """Every fix of the tags while this wearer wore them, flagged ones too, both ends included, in the order of time. It is
    sent as it is read: an answer that ends without the end of its chunks is not whole."""
    if not 0 <= to - from_ <= LONGEST_US:
        raise InputError(field="to", value=to_iso(to), expected=f"from 0 to {LONGEST_US // DAY_US} days after from")
    with office.database.reading() as connection:
        seen_wearer(office, connection, stood, caller, wearer)
        conditions = stood.conditions(office, connection)
    if caller.scopes is not None and x_reason.strip() and not x_case_ref.strip():
        raise InputError(field="X-Case-Ref", expected="the case that these locations are looked at for")
    detail = {"from": to_iso(from_), "to": to_iso(to), "format": format}
    reason.require(request, office, caller, wearer, "trail opened", **detail)
    return fix_answer(request, office, conditions, wearer, from_, to, format)


@router.get("/wearers/{wearer:path}", summary="One wearer", response_model=WearerWhole, responses=KNOWN)
def get_wearer(request: Request, office: Here, caller: Reads, stood: Stood, wearer: Named) -> Response:
    """Who that is, the tags worn, and the open alerts."""
    with office.database.reading() as connection:
        who = seen_wearer(office, connection, stood, caller, wearer)
    office.log(caller, "wearer opened", wearer)
    with office.database.reading() as connection:
        rows = worn_by(stood.conditions(office, connection), wearer)
        heard = last_heard(connection, rows)
        open_now = dict(open_by_wearer(connection, [wearer]).get(wearer, {})) if caller.may("alerts.read") else None
    worn = [_worn(row, heard.get(row)) for row in rows]
    return told(request, WearerWhole(**who._asdict(), worn=worn, open=open_now))


def seen_wearer(office: Office, connection: Connection, stood: Standings, caller: Caller, wearer: str) -> Wearer:
    """A wearer on the caller's roll; 404 where there is none."""
    everybody = roll(connection, office.people, stood.conditions(office, connection), caller.scope)
    found = next((who for who in everybody if who.wearer == wearer), None)
    if found is None:
        raise HTTPException(404, f"there is no wearer {wearer!r} among those you may see")
    return found


def _key(who: Wearer) -> tuple[str]:
    return (who.wearer,)


def _period(office: Office, first: Any, last: Any) -> Period:
    if not 0 <= (last - first).days < MOST_DAYS:
        raise InputError(field="to", value=str(last), expected=f"not before from, {MOST_DAYS} days with it at most")
    return Period(first, last, known_at(office.clock))


def _compliance(report: Report, period: Period) -> Compliance:
    return Compliance.model_validate(next(records([report], period)))


def _worn(row: Activation, heard_us: int | None) -> Worn:
    start = to_iso(row.from_us) if row.from_us > 0 else None
    end = to_iso(row.to_us) if row.to_us < FOREVER_US else None
    return Worn(device=row.device, from_=start, to=end, heard=None if heard_us is None else to_iso(heard_us))
