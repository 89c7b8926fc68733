"""One alert as its page shows it: what is said, why, what was done, and what the caller may do now."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from alerts.alert import Alert
from alerts.changes import bounds
from alerts.guidance import GUIDANCE, Guidance
from alerts.handling import Action, HandlingError, Limits
from alerts.handling_checks import About, check
from alerts.handling_store import actions
from alerts.queue import Row, section_of
from alerts.records import incident_heads, rows_of, rows_of_wearer, versions_of
from engine.database import Connection
from engine.times import DAY_US, HOUR_US, MINUTE_US, parse_time, to_datetime
from geofence.schedule import time_zone
from tagwatch.access.roles import MANAGER, OPERATOR, SENIOR
from tagwatch.console.caller import Caller, NotAllowed
from tagwatch.console.managers.standings import Standings, conditions_of, zone_names
from tagwatch.console.managers.trail_window import Window
from tagwatch.console.office import Office
from tagwatch.console.operators.alert_words import KINDS, facts, history
from tagwatch.console.operators.desk import Shown, shown_rows
from tagwatch.console.operators.presence import local_day, read_day, stretches
from tagwatch.console.rendering import page
from tagwatch.monitor import Conditions

NO_GUIDANCE = Guidance("No text is written for this rule.", "–", "Look at the fixes; ask a senior operator.")
MOST_OTHERS, MOST_DAYS = 20, 31


def seen_row(connection: Connection, caller: Caller, identifier: str) -> Row:
    """An alert that the caller may see; NotAllowed, in the same words, where there is none or it is another's."""
    rows = rows_of(connection, [identifier])
    if not rows or not caller.scope.holds(rows[0].wearer):
        raise NotAllowed(f"there is no alert {identifier!r} among those you may see")
    return rows[0]


def alert_answer(
    request: Request, office: Office, caller: Caller, stood: Standings, identifier: str, *, status: int = 200,
    kind: str = "", typed: Any = None, fault: str = "", day: str = "",
) -> Response:  # fmt: skip
    """The page of an alert; after an action that was not taken with its form as it was typed, and what has changed since."""
    with office.database.reading() as connection:
        row = seen_row(connection, caller, identifier)
        conditions = stood.conditions(office, connection)
    office.log(caller, "alert opened", row.wearer, alert=identifier)
    with office.database.reading() as connection:
        row = seen_row(connection, caller, identifier)
        steps, done = versions_of(connection, identifier), actions(connection, identifier)
        (shown,) = shown_rows(connection, office, [row], incident_heads(connection, [row.wearer]))
        others = _others(connection, office, row)
        days = _days(connection, office, conditions, shown.text.alert, day)
        number = bounds(connection).newest
    seen = typed.upon if typed is not None and status == 409 else ""
    return page(
        request, office, caller, "operators/alert.html", status=status, row=row, shown=shown, alert=shown.text.alert,
        number=number, others=others[:MOST_OTHERS], n_others=len(others), guidance=GUIDANCE.get(row.rule, NO_GUIDANCE),
        events=history(steps, done, seen), facts=facts(shown.text, steps[-1].latency_ms if steps else None),
        kinds=offered(row, caller, office), kind=kind, typed=typed.to_dict() if typed is not None else {}, fault=fault,
        conflict=status == 409, limits=office.settings.handling_limits, **days,
    )  # fmt: skip


def role_of(caller: Caller) -> str:
    """In which role an action is taken: the one that may most."""
    return next((role for role in (SENIOR, OPERATOR, MANAGER) if role in caller.account.roles), "")


def offered(row: Row, caller: Caller, office: Office) -> dict[str, str]:
    """What the caller may do with it as it stands."""
    now_us, limits, role = office.clock(), office.settings.handling_limits, role_of(caller)
    return {kind: words for kind, words in KINDS.items() if _may(row, kind, role, caller.account.login, now_us, limits)}


def _may(row: Row, kind: str, role: str, login: str, now_us: int, limits: Limits) -> bool:
    action = Action(kind=kind, actor=login, role=role, at_us=now_us, note="-", reason="-", outcome=limits.outcomes[0],
                    whom="-", channel="-", said="-", until_us=now_us + MINUTE_US)  # fmt: skip
    try:
        check(row.handling, action, About(row.rule, row.condition), limits)
    except HandlingError:
        return False
    return True


def _others(connection: Connection, office: Office, row: Row) -> list[Shown]:
    rows = [one for one in rows_of_wearer(connection, row.wearer) if one.id != row.id and section_of(one)]
    return shown_rows(connection, office, rows, {})


def _days(connection: Connection, office: Office, conditions: Conditions, alert: Alert, asked: str) -> dict[str, Any]:
    """The timeline of a local day (without one that is asked for, of that on which the alert began) and its neighbours."""
    now_us, began_us = office.clock(), parse_time(alert.began)
    zone_name = zone_names(conditions).get(alert.wearer, "UTC")
    days = days_of(alert, zone_name, now_us)
    names = list(days)
    usual = max((k for k, name in enumerate(names) if days[name] <= began_us), default=0)
    at = names.index(asked) if asked in days else usual
    own = conditions_of(conditions, alert.wearer)
    day = read_day(connection, own, alert.wearer, days.get(asked, began_us), now_us, zone_name)
    ended_us = max(parse_time(alert.ended) if alert.ended else now_us, began_us + 1)
    return {
        "day": day, "span": stretches(day, [("alert", began_us, ended_us)]), "day_before": names[at - 1] if at else "",
        "day_after": names[at + 1] if at + 1 < len(names) else "",
    }  # fmt: skip


def days_of(alert: Alert, zone_name: str, now_us: int) -> dict[str, int]:
    """The local days that an alert touches, with the day before and after, up to a month: the beginning of each by its name."""
    end_us = min(parse_time(alert.ended) if alert.ended else now_us, parse_time(alert.began) + MOST_DAYS * DAY_US)
    found, at_us = {}, local_day(parse_time(alert.began), zone_name)[0] - HOUR_US
    while at_us < min(end_us + DAY_US, now_us):
        start_us, at_us = local_day(at_us, zone_name)
        found[to_datetime(start_us).astimezone(time_zone(zone_name)).date().isoformat()] = start_us
    return found


def window_of(alert: Alert, now_us: int) -> Window:
    """What the map shows: the alert with an hour before and after, of a long one the first day."""
    began_us = parse_time(alert.began)
    ended_us = parse_time(alert.ended) if alert.ended else now_us
    return Window(began_us - HOUR_US, min(max(ended_us, began_us) + HOUR_US, began_us + DAY_US), "UTC")
