"""Commands of disclosure: everything held about a person, or for a case, as one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.options import Case, Config, say

if TYPE_CHECKING:
    from engine.database import Connection
    from tagwatch.disclosure.container import Container

    Write = Callable[[Container, Connection, int, Path], dict[str, Any]]

disclose = typer.Typer(no_args_is_help=True, help="Disclosure: everything held about a person, or for a case.")

Out = Annotated[str, typer.Option("--out", help="Where to write the ZIP")]
Why = Annotated[str, typer.Option("--reason", envvar="TAGWATCH_REASON", help="Why: kept in the audit log")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there")]
Until = Annotated[
    int | None, typer.Option("--audit-until", min=0, help="Last row of the audit log: gives an earlier file again")
]


@disclose.command("subject")
def subject(
    wearer: Annotated[str, typer.Option("--wearer", help="Whose data")], out: Out, reason: Why,
    raw: Annotated[bool, typer.Option("--raw", help="List the messages of the raw log too: reads the whole log")] = False,
    overwrite: Overwrite = False, audit_until: Until = None, case: Case = "", config: Config = None,
) -> None:  # fmt: skip
    """Everything that is held about a wearer, for the wearer: no other wearer is in it."""

    def write(container: Container, connection: Connection, until: int, raw_log: Path) -> dict[str, Any]:
        from tagwatch.disclosure.subject import Asked, write_subject

        return write_subject(container, connection, Asked(wearer, until, raw_log if raw else None))

    _disclose("disclosed subject", wearer, (out, overwrite), (reason, case), (audit_until, config), write)


@disclose.command("case")
def case(
    crime: Annotated[str, typer.Option("--crime", help="Reference of the crime")], out: Out, reason: Why,
    force: Annotated[str | None, typer.Option("--force", help="Force of the crime, where several have that reference")] = None,
    with_names: Annotated[bool, typer.Option("--with-names", help="Name the wearers: for the prosecutor")] = False,
    overwrite: Overwrite = False, audit_until: Until = None, case: Case = "", config: Config = None,
) -> None:  # fmt: skip
    """Everything that is held for a crime, used and unused: every run, every verdict, with a schedule."""

    def write(container: Container, connection: Connection, until: int, raw_log: Path) -> dict[str, Any]:
        from tagwatch.disclosure.case import Asked, force_of, write_case

        return write_case(container, connection, Asked(force_of(connection, crime, force), crime, until, with_names))

    told = {"force": force, "with_names": with_names}
    _disclose("disclosed case", crime, (out, overwrite), (reason, case or crime), (audit_until, config), write, **told)


def _disclose(
    action: str, name: str, place: tuple[str, bool], why: tuple[str, str], where: tuple[int | None, Any], write: Write,
    **told: Any,
) -> None:  # fmt: skip
    """The view is in the audit log, then everything is read as it is at one moment, and written whole or not at all."""
    from engine.store.gate import one_instant
    from tagwatch.access.by_command import log_view, operating_user
    from tagwatch.cli.crimes import connected
    from tagwatch.disclosure.container import written
    from tagwatch.disclosure.looks import last_before
    from tagwatch.settings import read_settings

    (out, overwrite), (reason, case_ref), (audit_until, config) = place, why, where
    if not reason.strip():
        raise InputError(field="--reason", value=reason, expected="why it is disclosed")
    raw_log = read_settings(config).raw_log.folder
    with written(out, overwrite=overwrite) as container, connected(config) as connection:
        log_view(connection, action, name, reason=reason, case_ref=case_ref, **told)
        with one_instant(connection, read_only=True):
            last = last_before(connection, action, name, operating_user())
            about = write(container, connection, last if audit_until is None else min(last, audit_until), raw_log)
    n_bytes = sum(member.n_bytes for member in container.members)
    rows = f"rows of the audit log up to {about['audit_until']}"
    say(f"{out}: {len(container.members)} files, {n_bytes:,} bytes, dated {about['dated']}, {rows}")
    say("tagwatch: READ IT BEFORE YOU HAND IT OUT: what people wrote freely is in it as they wrote it")
