"""The slow work of matching: a run over chosen crimes, kept in the database; and the ranking of series over a kept run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crime_match.crimes.store import crimes, key_of, versions_of
from crime_match.question import Parameters
from crime_match.runs.results_links import records_of
from crime_match.runs.seen import SeenRun
from crime_match.runs.staleness import run_crimes
from engine.database import Connection
from engine.errors import InputError
from tagwatch.access import audit
from tagwatch.console.caller import Caller
from tagwatch.console.investigators.match_form import Order
from tagwatch.console.jobs import Progress, Result
from tagwatch.console.office import Office
from tagwatch.evidence import parameters_in
from tagwatch.matching import match_crimes, run_of
from tagwatch.settings import Settings
from tagwatch.stored_runs import keep_run, stored_trails

_READ, _MATCHED = 0.15, 0.95
"""How far the work is when the trails are read, and when all crimes are matched."""


Series = list[dict[str, Any]]
"""The records of `records_of`: one of kind series, then those of kind group, pair and company."""


def match(
    office: Office, caller: Caller, order: Order, keep_series: Callable[[Series], str], progress: Progress
) -> Result:  # fmt: skip
    """Match what is ordered and keep the run; who made it stands in the audit log together with it. Where series are asked
    for, they are handed to `keep_series`, which says under which number they are kept."""
    progress(0.0, "Reading the crimes and the trails of everybody")
    with office.database.writing() as connection:
        latest = crimes(connection, order.choice)
        if not latest:
            raise InputError("no crime is left to match: another run was quicker")
        trails = stored_trails(connection, office.settings)
        made_us = office.clock()
        if not len(trails.rows.fixes):
            raise InputError("the database holds no fixes of anybody: a run would answer nothing")
        chosen = [version.crime for version in latest]
        counted = len(order.only) < 4
        run = run_of(chosen, trails, order.parameters, only=order.only, counted=counted)

        def tell(n: int) -> None:
            share = _READ + (_MATCHED - _READ) * n / len(chosen)
            progress(share, f"Matched {n:,} of {len(chosen):,} crimes with {len(trails):,} wearers")

        progress(_READ, f"Matching {len(chosen):,} crimes with {len(trails):,} wearers")
        results = match_crimes(trails, chosen, order.parameters, only=order.only, progress=tell)
        versions = {key_of(version.crime): version.version for version in latest}
        keep_run(connection, run, results, versions, made_us, caller.account.login, order.reason)
        told: dict[str, Any] = {"crimes": len(chosen)}
        entry = office.entry(caller, "match kept", run.id, reason=order.reason, case_ref=order.case_ref, **told)
        audit.write(connection, entry, office.wall())
    page = f"/matches/{run.id}"
    if order.links:
        progress(_MATCHED, "Ranking series")
        page += f"/series?told={keep_series(list(records_of(run, trails, chosen, order.parameters)))}"
    return Result(page=page, note=f"{len(chosen):,} crime{'s' if len(chosen) != 1 else ''} matched.")


def series_of(connection: Connection, settings: Settings, run: SeenRun, progress: Progress) -> Series:
    """What the crimes of a kept run show together, computed from what the run was made of.

    InputError where that is not there any more: fixes, activations or events have come or gone since.
    """
    progress(0.0, "Reading the crimes and the trails of everybody")
    keys = [(one.force, one.reference, one.version) for one in run_crimes(connection, run.id)]
    chosen = [version.crime for version in versions_of(connection, keys)]
    trails = stored_trails(connection, settings, run.made.made_us if run.made else None)
    parameters: Parameters = parameters_in(run.parameters)
    asked: dict[str, Any] = {"only": run.listed, "compatible": bool(run.parameters.get("compatible"))}
    again = run_of(chosen, trails, parameters, counted=bool(run.parameters.get("counted")), **asked)
    if again.id != run.id:
        raise InputError("what this run was made of has changed since (late fixes, activations or events)",
                         expected="a new run over these crimes")  # fmt: skip
    progress(0.3, f"Ranking over {len(chosen):,} crimes")

    def tell(n: int) -> None:
        progress(0.3 + 0.7 * n / len(chosen), f"Ranked over {n:,} of {len(chosen):,} crimes")

    return list(records_of(again, trails, chosen, parameters, progress=tell))
