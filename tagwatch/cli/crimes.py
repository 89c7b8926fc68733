"""Commands about crimes: import and check files of them, list what is stored, and show one with its versions and runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagwatch.cli.choosing import Batch, Force, From, New, Stale, To, choice_of
from tagwatch.cli.crime_tables import counted, print_lines
from tagwatch.cli.options import Config, Tz, say

if TYPE_CHECKING:
    from crime_match.crimes.store import Version
    from engine.database import Connection

crimes = typer.Typer(no_args_is_help=True, help="Crimes: import and check files, list what is stored, show one.")

FileName = Annotated[str, typer.Argument(metavar="FILE", help="The file, plain or gzip, or - for standard input")]
Form = Annotated[str | None, typer.Option("--format", help="moj, csv or police-uk (default: told by the content)")]
Check = Annotated[bool, typer.Option("--check", help="Only look for faults: no database is needed, nothing is stored")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
Most = Annotated[int | None, typer.Option("--most", min=1, help="At most so many (default: 100 in a table, all as JSON)")]
IN_A_TABLE = 100
LOOK_S = 3.0
"""So long a look-up waits for the database: somebody sits there and waits too."""


@crimes.command("import")
def import_(file: FileName, form: Form = None, check: Check = False, tz: Tz = None, config: Config = None) -> None:
    """Store a file's crimes. Each fault is a line of JSON and keeps its row out, the good rows go in.

    Exit code 1 where there are rows and none could be taken; with --check where there is any fault.
    """
    from tagwatch.access.by_command import log_change
    from tagwatch.cli.crime_intake import read, store, tell

    found, told = read(file, form, tz)
    if check:
        tell(found, told)
        raise typer.Exit(1 if found.faults else 0)
    with connected(config) as connection:
        tell(found, told)
        log_change(connection, "crimes imported", told.name, n_crimes=len(found.crimes), sha256=told.sha256)
        store(connection, found, told)
    if told.n_rows and told.n_rows == told.n_refused:
        raise typer.Exit(1)


@crimes.command("list")
def list_(
    force: Force = None, batch: Batch = None, from_: From = None, to: To = None, new: New = False, stale: Stale = False,
    most: Most = None, json: Json = False, tz: Tz = None, config: Config = None,
) -> None:  # fmt: skip
    """The latest version of every crime, newest first, and in how many runs it was matched."""
    from crime_match.runs.staleness import newest_crimes
    from tagwatch.cli.crime_tables import listed_dict, print_crimes

    choice = choice_of(force, batch, from_, to, stale, new, tz)
    limit = most or (None if json else IN_A_TABLE)
    with connected(config, LOOK_S) as connection:
        shown, total = newest_crimes(connection, limit, choice)
    if json:
        print_lines(map(listed_dict, shown))
    elif shown:
        print_crimes(shown)
    say(counted(len(shown), "crime", of=total))


@crimes.command("show")
def show(
    reference: Annotated[str, typer.Argument(metavar="REF", help="The force's reference of the crime")],
    force: Force = None, json: Json = False, config: Config = None,
) -> None:  # fmt: skip
    """All versions of a crime, what changed between them, and the runs built on each; exit code 1 where there is none."""
    from crime_match.crimes.store import history

    with connected(config, LOOK_S) as connection:
        versions = history(connection, reference, force)
        if not versions:
            say(f"tagwatch: there is no crime {reference!r}" + (f" of {force}" if force else ""))
            raise typer.Exit(1)
        for name in sorted({version.crime.force for version in versions}):
            _show_one(connection, [v for v in versions if v.crime.force == name], json=json)


@contextmanager
def connected(config: Any, wait_s: float = 30.0) -> Iterator[Connection]:
    """The database of the settings, waited for at most so long, once its schema is known to be there."""
    from engine import database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url, wait_s) as connection:
        database.require_schema(connection, SCHEMAS)
        yield connection


def _show_one(connection: Connection, versions: list[Version], *, json: bool) -> None:
    from crime_match.crimes.store import batches, key_of, seen_again
    from crime_match.runs.staleness import runs_of
    from crime_match.runs.store import makings
    from tagwatch.cli.crime_history import History, history_dicts, print_history

    force, reference = key_of(versions[0].crime)
    again, runs = seen_again(connection, reference, force), runs_of(connection, force, reference)
    numbers = {version.batch_number for version in versions} | {repeated.batch_number for repeated in again}
    imports = {batch.number: batch for batch in batches(connection, numbers=numbers)}
    found = History(versions, again, runs, imports, {run.run: makings(connection, run.run) for run in runs})
    if json:
        print_lines(history_dicts(found))
    else:
        print_history(found)
