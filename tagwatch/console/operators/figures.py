"""The supervisor's pages: how well the stream of alerts can be handled, and deliveries that were given up."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from alerts.alarm_figures import Figures, figures
from alerts.dead_letters import Letter, dead_letters, resend
from alerts.queue_store import open_rows, raised_between
from alerts.records import rows_of
from engine.database import Connection
from engine.errors import InputError
from engine.times import HOUR_US, SECOND_US, to_iso
from tagwatch.access import audit
from tagwatch.access.scope import Scope
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.console.wording import duration_words

router = APIRouter(include_in_schema=False)
Supervises = Annotated[Caller, needs("alerts.figures")]
PERIODS = {
    "1": "the last hour", "8": "the last 8 hours", "24": "the last day", "168": "the last week", "720": "the last 30 days"
}  # fmt: skip
MOST_LETTERS = 200


class Measure(NamedTuple):
    """One figure beside its target; `met` is None where there is no target."""

    name: str
    value: str
    target: str
    met: bool | None


@router.get("/figures")
def figures_page(request: Request, office: Here, caller: Supervises, hours: str = "24") -> Response:
    """The figures of EEMUA 191 and ISA-18.2, with their bounds."""
    hours = hours if hours in PERIODS else "24"
    now_us = office.clock()
    with office.database.reading() as connection:
        found = scoped_figures(connection, office, caller.scope, now_us - int(hours) * HOUR_US, now_us)
        n_dead = len(_letters(connection, caller.scope))
    return page(
        request, office, caller, "operators/figures.html", figures=found, measures=measures(found), hours=hours,
        periods=PERIODS, n_dead=n_dead, whole=caller.scope.wearers is None,
    )  # fmt: skip


def scoped_figures(connection: Connection, office: Office, scope: Scope, from_us: int, to_us: int) -> Figures:
    """The figures of those whom a scope holds."""
    raised = [one for one in raised_between(connection, from_us, to_us) if scope.holds(one.wearer)]
    standing = [row for row in open_rows(connection) if scope.holds(row.wearer)]
    stale_us = round(office.settings.handling.stale_hours * 3600 * SECOND_US)
    return figures(raised, standing, from_us, to_us, to_us, office.settings.flood_thresholds, stale_us)


def measures(found: Figures) -> list[Measure]:
    """The figures that have a target, then the others."""
    bounds = found.bounds
    at_most = [
        ("Alerts an operator in 10 minutes, on average", found.average, bounds["average"], "{:g}"),
        ("Alerts an operator in the worst 10 minutes", found.peak, bounds["peak"], "{:g}"),
        ("Share of 10-minute spans with too many", found.share_over, bounds["share_over"], "{:.1%}"),
        ("Share of the time in a flood", found.share_in_flood, bounds["share_in_flood"], "{:.1%}"),
        ("Stale: active for longer than a day", found.stale, bounds["stale"], "{:g}"),
        ("Share of the ten most frequent sources", found.most_frequent_share, bounds["most_frequent_share"], "{:.1%}"),
        ("Share of critical and high", found.critical_and_high_share, bounds["critical_and_high_share"], "{:.1%}"),
    ]  # fmt: skip
    wait = [(None if s is None else duration_words(s)) or "–" for s in (found.answer_median_s, found.answer_p95_s)]
    others = [
        ("Raised", str(found.n_alerts)), ("of these retracted since", str(found.n_retracted)),
        ("Operators that the figures count with", str(found.n_operators)), ("Open now", str(found.standing)),
        ("Shelved now", str(found.shelved)), ("Answered by a person", str(found.n_answered)),
        ("Time to the answer, median", wait[0]), ("Time to the answer, 95 of 100", wait[1]),
    ]  # fmt: skip
    told = [Measure(name, f.format(value), f"at most {f.format(most)}", value <= most) for name, value, most, f in at_most]
    return told + [Measure(name, value, "", None) for name, value in others]


@router.get("/figures/dead-letters")
def letters_page(request: Request, office: Here, caller: Supervises, sent: int = -1) -> Response:
    """Deliveries that were given up, the newest first."""
    return _letters_answer(request, office, caller, sent=sent)


@router.post("/figures/dead-letters")
def resend_letters(
    request: Request, office: Here, caller: Supervises, number: Annotated[list[int] | None, Form()] = None,
    every: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Send some of them, or every one, again."""
    with office.database.writing() as connection:
        mine = {letter.id: letter for letter in _letters(connection, caller.scope)}
        chosen = sorted(mine) if every else [n for n in number or () if n in mine]
        if chosen:
            audit.write(connection, office.entry(caller, "dead letters sent again", ids=chosen[:1000]), office.wall())
            try:
                resend(connection, chosen, office.clock())
            except InputError:  # somebody else sent one of them a moment ago
                chosen = []
    if not chosen:
        fault = "Choose at least one that is still in the list."
        return _letters_answer(request, office, caller, status=422, fault=fault)
    return RedirectResponse(f"/figures/dead-letters?sent={len(chosen)}", 303)


def _letters_answer(
    request: Request, office: Office, caller: Caller, *, status: int = 200, fault: str = "", sent: int = -1
) -> Response:  # fmt: skip
    with office.database.reading() as connection:
        found = _letters(connection, caller.scope)
    return page(
        request, office, caller, "operators/dead_letters.html", status=status, letters=found[:MOST_LETTERS],
        n_letters=len(found), fault=fault, sent=sent, to_iso=to_iso, whole=caller.scope.wearers is None,
    )  # fmt: skip


def _letters(connection: Connection, scope: Scope) -> list[Letter]:
    found = dead_letters(connection)[::-1]
    if scope.wearers is not None:
        wearer_of = {row.id: row.wearer for row in rows_of(connection, {letter.alert_id for letter in found})}
        found = [letter for letter in found if scope.holds(wearer_of.get(letter.alert_id, ""))]
    return found
