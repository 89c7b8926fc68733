"""The form of a wearer."""

from __future__ import annotations

from typing import Any

from engine.wearers import BASES, COHORTS, Wearer
from ingest.fault import Fault
from ingest.wearer_files import read_wearers
from tagwatch.console.administrators.forms.parts import Fields, FormError, fill_texts
from tagwatch.console.administrators.typed import Typed, sentence
from tagwatch.console.administrators.uploads import held, one_row

LABELS = {
    "wearer": "Identifier", "name": "Name", "cohort": "Cohort", "scheme": "Scheme", "force": "Force", "basis": "Basis",
    "team": "Team",
}  # fmt: skip
ID = "wearer"
CHOICES = {"cohort": COHORTS, "basis": BASES}


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier and the content; FormError says what is wrong."""
    found: list[Fault] = []
    with held(one_row({name: typed.text(name) for name in Wearer._fields})) as path:
        rows = read_wearers(path, on_fault=found.append)
    if found or not rows:
        raise FormError({f.field or ID: sentence(f._replace(file="").error(), LABELS) for f in found} or
                        {ID: "Identifier is missing: expected what the wearer is called here"})  # fmt: skip
    return rows[0].wearer, rows[0]._asdict()


def fill(content: Any) -> Fields:
    """The fields of a content."""
    return fill_texts(content, *Wearer._fields)
