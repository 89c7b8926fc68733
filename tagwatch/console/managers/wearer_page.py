"""Where one wearer stands with the conditions: who that is, what must be kept, nights as a calendar, tags, alerts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from alerts.alert import GRADE_ORDER
from alerts.compliance import Period
from alerts.standing_store import alerts_of
from engine.activations import FOREVER_US, Activation
from engine.database import Connection
from engine.last_heard import last_heard
from engine.times import to_datetime, to_iso
from engine.wearers import Wearer
from geofence.schedule import time_zone
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.conditions import conditions_in_words
from tagwatch.console.managers.nights import LEGEND, calendar, night_of, sums
from tagwatch.console.managers.roll import roll
from tagwatch.console.managers.standings import Standings, Stood, known_at, last_days, read_day, zone_names
from tagwatch.console.managers.worn import worn_by
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.monitor import Conditions

router = APIRouter(include_in_schema=False)
WEEKS = (4, 8, 12)
FEW_ALERTS, MOST_ALERTS = 25, 2_000


class Tag(NamedTuple):
    """One device that the wearer wears or wore; times are ISO UTC, empty where there is none."""

    row: Activation
    since: str
    until: str
    heard: str


@router.get("/wearers/{wearer:path}")
def standing(
    request: Request, office: Here, caller: Annotated[Caller, needs("wearers.read")], stood: Stood, wearer: str,
    to: str = "", weeks: Annotated[int, Query(ge=1, le=12)] = WEEKS[0], every: bool = False,
) -> Response:  # fmt: skip
    """Where a wearer stands over the last weeks, or over those up to a day."""
    caller.require(wearer)
    last = read_day(to, "to", office.clock())
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        who = find(office, connection, conditions, caller, wearer)
        period = last_days(7 * weeks, known_at(office.clock), zone_names(conditions).get(wearer, "UTC"), last)
    office.log(caller, "wearer opened", wearer, first=str(period.first), last=str(period.last))
    with office.database.reading() as connection:
        told = _standing(office, connection, stood, caller, who, period)
        told |= {"who": who, "tags": _tags(connection, conditions, wearer), "period": period, "weeks": weeks}
        told["members"] = office.people.read(connection)[1].get(who.team, ())
    told |= {
        "conditions": conditions_in_words(conditions, wearer, office.clock()), "as_of": to_iso(period.as_of_us),
        "before": period.first - timedelta(days=1), "after": _after(period, weeks), "choices": WEEKS, "legend": LEGEND,
        "n_shown": MOST_ALERTS if every else FEW_ALERTS, "grades": tuple(reversed(GRADE_ORDER)),
    }  # fmt: skip
    return page(request, office, caller, "managers/wearer.html", **told)


def find(office: Office, connection: Connection, conditions: Conditions, caller: Caller, wearer: str) -> Wearer:
    """A wearer on the caller's roll; where there is none of this identifier, no page."""
    caller.require(wearer)
    found = next((w for w in roll(connection, office.people, conditions, caller.scope) if w.wearer == wearer), None)
    if found is None:
        raise HTTPException(404, f"There is no wearer {wearer!r} among those you may see.")
    return found


def _standing(
    office: Office, connection: Connection, stood: Standings, caller: Caller, who: Wearer, period: Period
) -> dict[str, Any]:
    """The calendar, the sums and the alerts, each where the caller may see it."""
    told: dict[str, Any] = {"report": None, "alerts": None}
    if caller.may("compliance.read"):
        report = stood.report(office, connection, who, period)
        curfews = [c for c in stood.conditions(office, connection).curfews if c.wearer == who.wearer]
        nights = [night_of(window, report.timezone) for window in reversed(report.windows)]
        told |= {"report": report, "calendar": calendar(report, period, curfews), "sums": sums(report), "nights": nights}
    if caller.may("alerts.read"):
        zone = time_zone(told["report"].timezone if told["report"] else "UTC")
        from_us, to_us = period.interval(zone)
        told["alerts"] = alerts_of(connection, who.wearer, from_us, to_us, MOST_ALERTS)
    return told


def _tags(connection: Connection, conditions: Conditions, wearer: str) -> list[Tag]:
    worn = worn_by(conditions, wearer)
    heard = last_heard(connection, worn)
    return [
        Tag(row, to_iso(row.from_us) if row.from_us > 0 else "", to_iso(row.to_us) if row.to_us != FOREVER_US else "",
            to_iso(heard[row]) if row in heard else "")
        for row in reversed(worn)
    ]  # fmt: skip


def _after(period: Period, weeks: int) -> date | None:
    """The last day of the weeks after these; None where those would lie in the future."""
    today = to_datetime(period.as_of_us).date()
    return min(today, period.last + timedelta(days=7 * weeks)) if period.last < today else None
