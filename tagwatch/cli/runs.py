"""Commands about match runs: list what was recorded, and show one with its crimes or its results."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError
from tagwatch.cli.crime_tables import counted, print_lines
from tagwatch.cli.crimes import IN_A_TABLE, LOOK_S, Json, Most, connected
from tagwatch.cli.options import Case, Config, Reason, output, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crime_match.runs.staleness import RunCrime
    from crime_match.runs.store import Result

    Marked = Iterator[tuple[Result, RunCrime]]

runs = typer.Typer(no_args_is_help=True, help="Match runs: list what was recorded, show one; stale results are marked.")


@runs.command("list")
def list_(most: Most = None, json: Json = False, config: Config = None) -> None:
    """Every recorded run, the one that was made last first, and how many of its crimes have changed since."""
    from crime_match.runs import staleness
    from crime_match.runs.store import makings
    from tagwatch.cli.crime_tables import print_runs, run_dict

    limit = most or (None if json else IN_A_TABLE)
    with connected(config, LOOK_S) as connection:
        found = staleness.runs(connection)
        shown = [(run, makings(connection, run.id)) for run in found[:limit]]
    if json:
        print_lines(run_dict(run, made) for run, made in shown)
    elif shown:
        print_runs(shown)
    say(counted(len(shown), "run", of=len(found)))


@runs.command("show")
def show(
    run: Annotated[str, typer.Argument(metavar="ID", help="The run's id, or the beginning of it")],
    results: Annotated[bool, typer.Option("--results", help="Each recorded result instead of the sums by crime")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Only crimes that have changed since they were matched")] = False,
    most: Most = None, json: Json = False,
    out: Annotated[str | None, typer.Option("--out", help="Only write the run's JSON lines to a file, byte for byte")] = None,
    reason: Reason = "", case: Case = "", config: Config = None,
) -> None:  # fmt: skip
    """One run: its parameters and inputs, when and by whom it was made, and what it found; stale results are marked."""
    from crime_match.runs import staleness
    from crime_match.runs.results import kept_lines
    from crime_match.runs.store import makings, results_of
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.crime_tables import print_run, run_dict

    limit = most or (None if json else IN_A_TABLE)
    if out is not None and (stale or most):
        raise InputError("--out writes all lines of the run", expected="neither --stale nor --most beside it")
    with connected(config, LOOK_S) as connection:
        log_view(connection, "run shown" if out is None else "run exported", run, reason=reason, case_ref=case)
        found = staleness.run(connection, run)
        crimes = [c for c in staleness.run_crimes(connection, found.id) if c.stale or not stale]
        if out is not None:
            with_counts = bool(found.parameters.get("counted"))
            _write(out, kept_lines(crimes, results_of(connection, found.id), counted=with_counts))
            return
        made = makings(connection, found.id)
        if json:
            print_lines([run_dict(found, made)])
        else:
            print_run(found, made)
        if results:
            of = {(c.force, c.reference): c for c in crimes}
            every = (
                (r, of[r.force, r.reference]) for r in results_of(connection, found.id) if (r.force, r.reference) in of
            )
            n, total = _print_results(islice(every, limit), json=json), sum(c.n_lines for c in crimes)
        else:
            n, total = _print_crimes(crimes[:limit], json=json), len(crimes)
    say(counted(n, "result" if results else "crime", of=total))


def _write(path: str, lines: Iterable[bytes]) -> None:
    with output(path) as file:
        file.writelines(lines)


def _print_crimes(crimes: list[RunCrime], *, json: bool) -> int:
    from tagwatch.cli.crime_tables import print_run_crimes, run_crime_dict

    if json:
        return print_lines(map(run_crime_dict, crimes))
    if crimes:
        print_run_crimes(crimes)
    return len(crimes)


def _print_results(marked: Marked, *, json: bool) -> int:
    """The results, each marked stale or not; returns how many. As JSON the line stands in it as it was written."""
    from tagwatch.cli.crime_tables import print_results, result_dict

    if json:
        return print_lines(result_dict(result, crime) for result, crime in marked)
    shown = list(marked)
    if shown:
        print_results(shown)
    return len(shown)
