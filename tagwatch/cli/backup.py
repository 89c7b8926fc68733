"""Commands of backups: make one, look whether one holds, and put one back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tagwatch.cli.options import Config, say

backup = typer.Typer(help="Back up database, raw log and settings; look whether a backup holds.")
Tools = Annotated[Path | None, typer.Option("--tools", help="Folder of pg_dump and pg_restore (default: on PATH)")]


@backup.callback(invoke_without_command=True)
def make(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Folder in which the new backup's folder is made")] = None,
    tools: Tools = None, config: Config = None,
) -> None:  # fmt: skip
    """Back up database, raw log and settings while the service goes on; prints the new folder."""
    if context.invoked_subcommand is not None:
        return
    from engine.errors import InputError
    from tagwatch.backup.make import make as make_backup
    from tagwatch.settings import read_settings

    if out is None:
        raise InputError(field="--out", expected="the folder for backups")
    with _telling() as tell:
        made = make_backup(read_settings(config), out, tools, tell)
    rows = sum(table.n_rows for table in made.manifest.tables.values())
    say(
        f"{rows:,} rows, {made.manifest.raw_n:,} messages of the raw log, {made.manifest.n_bytes / 1e6:,.1f} MB"
        f" ({made.manifest.n_linked} files as in the backup before) in {made.seconds:.1f} s"
    )
    print(made.folder)


@backup.command("verify")
def verify(folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="The folder of one backup")]) -> None:
    """Read every byte of a backup and compare; exit code 1 where something is wrong."""
    from tagwatch.backup.check import check

    with _telling() as tell:
        manifest, faults = check(folder, tell)
    for fault in faults:
        print(f"FAULT  {fault}")
    if faults:
        raise typer.Exit(1)
    rows = sum(table.n_rows for table in manifest.tables.values())
    print(
        f"ok     {folder}: {rows:,} rows as of {manifest.taken}, {manifest.raw_n:,} messages, {len(manifest.files)} files"
    )


def restore(
    folder: Annotated[Path | None, typer.Argument(metavar="[BACKUP]", help="The folder of one backup")] = None,
    raw_log_only: Annotated[
        bool, typer.Option("--raw-log-only", help="Without a backup: take all that the raw log of the settings holds")
    ] = False,
    tools: Tools = None, config: Config = None,
) -> None:  # fmt: skip
    """Put a backup into the empty database of the settings, and bring it up to the raw log; one that was cut off goes on."""
    from engine.errors import InputError
    from tagwatch.backup.restore import recover_all
    from tagwatch.backup.restore import restore as put_back
    from tagwatch.settings import read_settings

    if (folder is None) != raw_log_only:
        raise InputError(field="BACKUP", expected="either the folder of a backup, or --raw-log-only")
    settings = read_settings(config)
    _quiet()
    with _telling() as tell:
        done = recover_all(settings, tell) if folder is None else put_back(settings, folder, tools, tell)
    found = done.recovered
    say(
        f"{done.n_rows:,} rows put back, {done.n_orders} erasures done again, {found.n_messages:,} messages read from the raw"
        f" log with {found.n_fixes:,} fixes that were not there, {done.n_told} alerts to be told, in {done.seconds:.1f} s"
    )
    if found.n_broken:
        say(f"tagwatch: {found.n_broken} lines of the raw log are no messages: `tagwatch doctor` shows them")
        raise typer.Exit(1)


@contextmanager
def _telling() -> Iterator[Callable[[str, int], None]]:
    """What is being done and how far it is: on one line that is written anew, where a person looks."""
    seen = sys.stderr.isatty()

    def tell(what: str, n: int) -> None:
        if seen:
            print(f"\r\x1b[K{what}: {n:,}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if seen:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _quiet() -> None:
    """What sessions log of themselves is for a service."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
