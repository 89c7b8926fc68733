"""The form of a match run: which crimes, by which parameters, why; what was typed becomes an order, or faults by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from crime_match.crimes.store import Choice
from crime_match.question import Parameters
from crime_match.verdicts import VERDICTS
from engine.times import DAY_US, MINUTE_US
from tagwatch.console.investigators.crimes import day_of
from tagwatch.console.investigators.form_fields import Fields
from tagwatch.console.investigators.reach import Reach

WHICH = {
    "needed": "What needs it: not matched yet, or changed since", "new": "Not matched yet", "stale": "Changed since matched",
    "batch": "One batch", "one": "One crime", "window": "All with a window in these days",
}  # fmt: skip
BLANK = {
    "which": "needed", "batch": "", "force": "", "reference": "", "from": "", "to": "", "radius": "100", "pad": "10",
    "max_speed": "55", "min_fixes": "1", "links": "", "reason": "", "case_ref": "",
    **{f"list_{verdict}": "yes" for verdict in VERDICTS},
}  # fmt: skip


class Order(NamedTuple):
    """What is to be matched, by which parameters, the verdicts that are listed, whether series are ranked too, and why."""

    choice: Choice
    parameters: Parameters
    only: tuple[str, ...]
    links: bool
    reason: str
    case_ref: str


def read_order(texts: Mapping[str, str], reach: Reach) -> tuple[Order | None, dict[str, str]]:
    """The order that a form gives, of crimes within this reach; None where there are faults, which come by field."""
    fields = Fields(texts)
    choice = _choice(fields)
    radius_m = fields.number("radius", None, 1, 100_000, "metres")
    pad = fields.number("pad", None, 0, 24 * 60, "minutes")
    speed_mps = fields.number("max_speed", None, 1, 1_000, "metres a second")
    n_least = fields.number("min_fixes", None, 1, 1_000, "fixes")
    if n_least is not None and n_least != int(n_least):
        fields.faults["min_fixes"] = "Give a whole number of fixes."
    only = tuple(verdict for verdict in VERDICTS if fields.text(f"list_{verdict}"))
    if not only:
        fields.faults["list_placed"] = "Choose at least one verdict to list."
    reason = fields.needed("reason", "Say why you match.")
    case_ref = fields.text("case_ref")[:200]
    if fields.faults or radius_m is None or pad is None or speed_mps is None or n_least is None:
        return None, fields.faults
    parameters = Parameters(radius_m, round(pad * MINUTE_US), speed_mps, int(n_least))
    return Order(choice._replace(forces=reach.forces), parameters, only, bool(fields.text("links")), reason, case_ref), {}


def _choice(fields: Fields) -> Choice:
    which = fields.text("which")
    if which == "batch":
        return Choice(batch=fields.needed("batch", "Say which batch, as the force calls it."))
    if which == "one":
        force = fields.needed("force", "Say of which force the crime is.")
        return Choice(force=force, reference=fields.needed("reference", "Give the reference of the crime."))
    if which == "window":
        from_us = fields.read("from", lambda text: day_of(text, "from"))
        to_us = fields.read("to", lambda text: day_of(text, "to"))
        if from_us is not None and to_us is not None and to_us < from_us:
            fields.faults["to"] = "The last day is before the first."
        return Choice(from_us=from_us, to_us=None if to_us is None else to_us + DAY_US - 1)
    if which not in WHICH:
        fields.faults["which"] = "Choose which crimes are to be matched."
    return Choice(new=which in ("needed", "new"), stale=which in ("needed", "stale"))
