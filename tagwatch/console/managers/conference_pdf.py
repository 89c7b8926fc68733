"""The case conference as a PDF: tagged, PDF/UA-1, set by Typst. All data go in as JSON, never as markup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, cast

import msgspec
import typst

from alerts.compliance import Period
from crime_match.evidence.report.words import shown
from engine.times import SECOND_US
from tagwatch.compliance import Report
from tagwatch.console.managers import conference_table as form

STANDARDS = ["ua-1", "1.7"]
"""What Typst cannot keep of it is an error, never a silent loss."""
_TEMPLATE = "conference.typ"


def pdf(reports: Sequence[Report], period: Period, scheme: str, cohort: str, by: str) -> bytes:
    """The conference of these reports: the same bytes each time. TypstError where the page cannot be set."""
    told = msgspec.json.encode(content(reports, period, scheme, cohort, by))
    sources = {"main": files(__package__).joinpath(_TEMPLATE).read_bytes(), "conference.json": told}
    made = typst.compile(
        cast(Any, sources), format="pdf", pdf_standards=cast(Any, STANDARDS), timestamp=period.as_of_us // SECOND_US,
        ignore_system_fonts=True, font_paths=[],
    )  # fmt: skip
    if not isinstance(made, bytes):
        raise TypeError("Typst made no single document")
    return made


def content(reports: Sequence[Report], period: Period, scheme: str, cohort: str, by: str) -> dict[str, Any]:
    """All that the template is given: texts, and lists of them."""
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=period.as_of_us)
    asked = [f"scheme {shown(scheme, 80)}" if scheme else "every scheme", f"cohort {cohort}" if cohort else "every cohort"]
    return {
        "title": f"Case conference, {period.first:%d %B %Y} to {period.last:%d %B %Y}",
        "asked": ", ".join(asked).capitalize(), "by": shown(by, 80), "as_of": f"{as_of:%Y-%m-%d %H:%M} UTC",
        "dated": [as_of.year, as_of.month, as_of.day, as_of.hour, as_of.minute, as_of.second],
        "groups": [{"title": group.title, "columns": [c.head for c in group.columns]} for group in form.GROUPS],
        "rows": _rows(reports),
        "matters": [{"who": _named(matter.who), "sentences": matter.sentences} for matter in form.matters(reports)],
        "legend": [(f"{group.title}: {c.head}", c.meaning) for group in form.GROUPS for c in group.columns],
        "notes": form.NOTES,
    }  # fmt: skip


def _rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """A line for the name of each cohort, without cells, then those of its wearers and their sum; in the end everybody."""
    found: list[dict[str, Any]] = []
    for name, rows in (blocks := form.blocks(reports)):
        found += [{"title": f"Cohort: {shown(name, 40)}", "cells": [], "sum": True}, *map(_row, rows)]
    return found + [_row(form.total(reports))] * (len(blocks) > 1)


def _row(row: form.Row) -> dict[str, Any]:
    title = row.title if row.who is None else _named(row.who)
    return {"title": title, "cells": row.cells, "sum": row.who is None}


def _named(who: Any) -> str:
    return f"{shown(who.name, 40)} ({shown(who.wearer, 24)})" if who.name else shown(who.wearer, 40)
