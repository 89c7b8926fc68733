"""Commands about the audit log: whether it is whole, and what it says."""

from __future__ import annotations

from typing import Annotated

import typer

from tagwatch.cli.options import Config, say

audit = typer.Typer(no_args_is_help=True, help="The audit log: verify, list.")


@audit.command("verify")
def verify(
    head: Annotated[str, typer.Option("--head", help="A hash noted earlier: rows cut off after it are found")] = "",
    config: Config = None,
) -> None:
    """Look at every row of the log: exit code 1, and which row is wrong, where one is."""
    from engine import database
    from tagwatch.access import audit as log
    from tagwatch.access.accounts import SCHEMA
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url) as connection:
        database.require_schema(connection, [SCHEMA])
        found = log.verify(connection, head)
    if found.broken:
        say(f"tagwatch: the audit log is broken: {found.broken} ({found.n_rows} rows before it hold)")
        raise typer.Exit(1)
    say(f"the audit log holds: {found.n_rows} rows; note its head, to find rows that are cut off later")
    print(found.head)


@audit.command("list")
def list_(
    actor: Annotated[str, typer.Option("--actor", help="Only what this login did")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only what was about this wearer, crime or login")] = "",
    action: Annotated[str, typer.Option("--action", help="Only this action")] = "",
    most: Annotated[int, typer.Option("--most", min=1, max=1_000_000, help="How many rows at most")] = 1_000,
    config: Config = None,
) -> None:
    """Rows as JSON lines, the newest first."""
    import msgspec

    from engine import database
    from engine.times import to_iso
    from tagwatch.access import audit as log
    from tagwatch.access.accounts import SCHEMA
    from tagwatch.access.by_command import log_view
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url) as connection:
        database.require_schema(connection, [SCHEMA])
        log_view(connection, "audit log read", searched={"actor": actor, "subject": subject, "action": action})
        found = log.rows(connection, actor=actor, subject=subject, action=action, most=most)
    for row in found:
        told = {
            **row._asdict(),
            "at": to_iso(row.at_us),
            "detail": msgspec.Raw(row.detail.encode()),
            "hash": row.hash.hex(),
        }
        del told["at_us"]
        print(msgspec.json.encode(told).decode())
