"""The queue as operators see it, the changes since a number, and the figures of a period."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import HTTPException, Query, Request
from fastapi.responses import Response

from alerts.alarm_figures import figures
from alerts.changes import bounds, read_changes
from alerts.queue import Line
from alerts.queue_store import open_rows, raised_between
from engine.errors import InputError
from engine.times import DAY_US, SECOND_US, to_iso
from tagwatch.console.api.alert_told import lines_of
from tagwatch.console.api.answers import After, Limit, cursor, read_cursor, told
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.contract import problems
from tagwatch.console.api.queue_told import MOST_UNDER, AlarmFigures, Change, Changes, Queue, QueueLine
from tagwatch.console.api.values import KNOWN, Instant, Number
from tagwatch.console.caller import Caller
from tagwatch.console.office import Here
from tagwatch.console.operators.queue_page import desk_of

router = new_router("alerts")
Reads = Annotated[Caller, calls("alerts.read")]
MOST_DAYS = 400


@router.get("/queue", summary="The open queue", response_model=Queue, responses=KNOWN)
def get_queue(request: Request, office: Here, caller: Reads, limit: Limit = 500, after: After = "") -> Response:
    """What waits first, by grade and time waited; then what is in hand, shelved, and closed while it goes on."""
    key = read_cursor(after, int, int, int, str)
    with office.database.reading() as connection:
        found = desk_of(request).queue(connection, office, caller.scope)
        rest = [line for line in found.lines if key is None or line.sort_key > key]
        here = rest[:limit]
        alerts = iter(lines_of([row for line in here for row in line.rows[:MOST_UNDER]], connection))
    next_ = cursor(here[-1].sort_key) if len(rest) > limit else None
    return told(request, Queue(number=found.number, items=[_line(line, alerts) for line in here], next=next_))


@router.get("/changes", summary="Changes of alerts after a number", response_model=Changes, responses=KNOWN | problems(410))
def list_changes(
    request: Request, office: Here, caller: Reads,
    after: Annotated[Number | None, Query(description="`last` of the call before; none: the newest number alone")] = None,
    limit: Limit = 500,
) -> Response:  # fmt: skip
    """Numbers are given in the order of commits: who goes on from `last` misses nothing. 410 where these changes are not kept
    any more: then read the queue, and go on from its `number`."""
    with office.database.reading() as connection:
        kept = bounds(connection)
        after = kept.newest if after is None else after
        if not kept.holds(after):
            raise HTTPException(410, f"changes after {after} are not kept: read the queue and go on from its number")
        found = read_changes(connection, after, limit)
    last = found[-1].number if found else after
    seen = [
        Change(
            number=c.number, alert=c.alert_id, wearer=c.wearer, grade=c.grade, kind=c.kind, version=c.version, action=c.action
        )
        for c in found
        if c.wearer is not None and caller.scope.holds(c.wearer)
    ]  # fmt: skip
    return told(request, Changes(items=seen, last=last, more=last < kept.newest))


@router.get("/figures", summary="Figures of the alarms", response_model=AlarmFigures, responses=KNOWN)
def get_figures(
    request: Request, office: Here, caller: Annotated[Caller, calls("alerts.figures")],
    from_: Annotated[Instant, Query(alias="from")], to: Annotated[Instant, Query()],
) -> Response:  # fmt: skip
    """Of the alerts raised from one instant to another, of the wearers whom the account may see."""
    if to - from_ > MOST_DAYS * DAY_US:
        raise InputError(field="to", value=to_iso(to), expected=f"at most {MOST_DAYS} days after from")
    settings, scope = office.settings, caller.scope
    with office.database.reading() as connection:
        raised = [one for one in raised_between(connection, from_, to) if scope.holds(one.wearer)]
        standing = [row for row in open_rows(connection) if scope.holds(row.wearer)]
    stale_us = round(settings.handling.stale_hours * 3600 * SECOND_US)
    found = figures(raised, standing, from_, to, office.clock(), settings.flood_thresholds, stale_us)
    return told(request, AlarmFigures.model_validate(msgspec.to_builtins(found)))


def _line(line: Line, alerts: Any) -> QueueLine:
    """A line; takes its part of the alerts."""
    under = [next(alerts) for _ in line.rows[:MOST_UNDER]]
    ids = [row.id for row in line.rows]
    head = line.head
    return QueueLine(section=line.section, head=head and head.kind, text=head.text if head else "", ids=ids, alerts=under)
