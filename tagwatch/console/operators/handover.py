"""Shift handover: what is open, who has what in hand, what is shelved until when, and what was done in the shift."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerts.queue import SECTIONS, Row, section_of
from alerts.records import Deed, Text, deeds_between, rows_raised, texts_of
from engine.times import HOUR_US, to_iso
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here
from tagwatch.console.operators.queue_page import desk_of
from tagwatch.console.rendering import page
from tagwatch.console.wording import GRADES

router = APIRouter(include_in_schema=False)
USUAL_H, MOST_H = 8, 24
MOST_LISTED = 50
_TALK = ("note", "contact", "escalate", "assign", "shelve", "unshelve", "reopen")


class Listed(NamedTuple):
    """Alerts of one kind: the first of them with their texts, and how many there are."""

    rows: list[tuple[Row, Text]]
    n_rows: int


@router.get("/handover")
def handover(
    request: Request, office: Here, caller: Annotated[Caller, needs("alerts.handle")], hours: int = USUAL_H
) -> Response:
    """The record of the last hours, for the screen and for paper."""
    hours = min(max(1, hours), MOST_H)
    now_us = office.clock()
    from_us = now_us - hours * HOUR_US
    with office.database.reading() as connection:
        open_rows = desk_of(request).queue(connection, office, caller.scope).rows
        raised = [row for row in rows_raised(connection, from_us, now_us + 1) if caller.scope.holds(row.wearer)]
        deeds = [deed for deed in deeds_between(connection, from_us, now_us + 1) if caller.scope.holds(deed.wearer)]
        by_section = {name: [row for row in open_rows if section_of(row) == name] for name in SECTIONS}
        texts = texts_of(connection, {row.id for rows in by_section.values() for row in rows[:MOST_LISTED]})
    listed = {name: Listed([(r, texts[r.id]) for r in rows[:MOST_LISTED]], len(rows)) for name, rows in by_section.items()}
    return page(
        request, office, caller, "operators/handover.html", hours=hours, from_=to_iso(from_us), listed=listed,
        counts={name: Counter(row.grade for row in rows) for name, rows in by_section.items()}, in_hand=_by_whom(by_section),
        raised=Counter(row.grade for row in raised), n_raised=len(raised), rules=Counter(r.rule for r in raised).most_common(),
        closed=_last_closings(deeds), n_closed=sum(deed.kind == "close" for deed in deeds), outcomes=_outcomes(deeds),
        talk=[deed for deed in deeds if deed.kind in _TALK or (deed.kind == "acknowledge" and deed.note)],
        whole=caller.scope.wearers is None, most=MOST_LISTED, to_iso=to_iso, n_acknowledged=sum(
            deed.kind == "acknowledge" for deed in deeds),
    )  # fmt: skip


def _by_whom(by_section: dict[str, list[Row]]) -> list[tuple[str, Counter[str], int]]:
    """Who has how many of each grade in hand, the most first."""
    rows = by_section["in_hand"]
    people = Counter(row.handling.assigned or row.handling.by for row in rows)
    grades = {who: Counter(r.grade for r in rows if (r.handling.assigned or r.handling.by) == who) for who in people}
    return [(who, grades[who], n) for who, n in people.most_common()]


def _last_closings(deeds: list[Deed]) -> list[Deed]:
    closings = [deed for deed in deeds if deed.kind == "close"]
    return sorted(closings, key=lambda deed: (GRADES.index(deed.grade), deed.at_us))[:MOST_LISTED]


def _outcomes(deeds: list[Deed]) -> list[tuple[str, int]]:
    return Counter(deed.outcome for deed in deeds if deed.kind == "close").most_common()
