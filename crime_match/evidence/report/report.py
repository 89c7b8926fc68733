"""The report as a PDF: tagged, PDF/A-3a and PDF/UA-1, set by Typst. All data go in as JSON, never as markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec
import typst

from crime_match.evidence.case import Case
from crime_match.evidence.drawing.svg import Drawing
from crime_match.evidence.report import tables, text
from crime_match.evidence.report.findings import Findings
from crime_match.evidence.report.others import surprise
from crime_match.evidence.report.words import shown
from crime_match.evidence.rows import fix_rows, utc_text

STANDARDS = ["a-3a", "ua-1"]
"""Archival with full structure, and accessible: what Typst cannot keep of either is an error, never a silent loss."""
TEMPLATES = ("report.typ", "page.typ", "front.typ", "exhibits.typ", "annexes.typ")
_MIMES = {"csv": "text/csv", "geojson": "application/geo+json", "json": "application/json", "txt": "text/plain"}
DRAWINGS = ("tracks_map", "detail_map", "key", "coverage_chart", "routine_chart")


def pdf(case: Case, drawings: Mapping[str, Drawing | None], attachments: Mapping[str, bytes] | None = None) -> bytes:
    """The report of a case with the drawings that there are, by the names in `DRAWINGS`; attachments are files that the
    PDF carries within it, by name. The same bytes each time.

    Raises ValueError where the trail is not the match's, TypstError where the page cannot be set.
    """
    there = {name: drawn for name in DRAWINGS if (drawn := drawings.get(name)) is not None}
    attached = attachments or {}
    sources = {name if name != "report.typ" else "main": template(name) for name in TEMPLATES}
    sources |= {f"{name}.svg": drawn.svg.encode() for name, drawn in there.items()}
    sources |= {f"attached/{name}": data for name, data in attached.items()}
    sources["report.json"] = msgspec.json.encode(content(case, there, list(attached)))
    made = typst.compile(
        cast(Any, sources), format="pdf", pdf_standards=cast(Any, STANDARDS), timestamp=case.dated_us // 1_000_000,
        ignore_system_fonts=True, font_paths=[],
    )  # fmt: skip
    if not isinstance(made, bytes):
        raise TypeError("Typst made no single document")
    return made


def content(case: Case, drawings: Mapping[str, Drawing], attached: Sequence[str] = ()) -> dict[str, Any]:
    """All that the templates are given: texts, and lists of them."""
    rows = fix_rows(case)
    dated = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=case.dated_us)
    return {
        "document": {
            "verdict": case.verdict, "timezone": case.timezone, "signed": bool(case.signer),
            "title": f"{text.title(case)}: crime {shown(case.crime.reference, 99)}, wearer {shown(case.person.wearer, 99)}",
            "running": f"Crime {shown(case.crime.reference, 54)}", "wearer": f"wearer {shown(case.person.wearer, 33)}",
            "run": case.run.id, "dated": [dated.year, dated.month, dated.day, dated.hour, dated.minute, dated.second],
            "dated_text": utc_text(case.dated_us),
        },
        "front": text.front(case, rows),
        "drawings": {
            name: {"alt": shown(drawn.alt), "width_mm": drawn.width_mm, "height_mm": drawn.height_mm}
            for name, drawn in drawings.items()
        },
        "positions": {"head": tables.POSITIONS, "rows": tables.positions(case, rows), "n_all": len(rows)},
        "gaps": tables.gap_rows(case, Findings(case, rows)), "annexes": tables.annexes(case),
        "routine": surprise(case), "attachments": [_attachment(name) for name in attached],
    }  # fmt: skip


def _attachment(name: str) -> dict[str, str]:
    mime = _MIMES.get(name.rpartition(".")[2], "application/octet-stream")
    return {"name": name, "mime": mime, "description": f"{name} as in the evidence pack"}


@cache
def template(name: str) -> bytes:
    """A template as it lies beside this module."""
    return files(__package__).joinpath(name).read_bytes()
