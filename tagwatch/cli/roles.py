"""The command that sets the rights of the database's roles."""

from __future__ import annotations

from typing import Annotated

import typer

from tagwatch.cli.options import Config, say


def roles(
    prefix: Annotated[str, typer.Option("--prefix", help="What the names of the roles begin with")] = "tagwatch",
    config: Config = None,
) -> None:
    """Set, as owner of the tables, what the roles of service, reports and backups may do; do it again after `db init`."""
    from engine import database
    from tagwatch.roles import grant
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        done = grant(connection, prefix)
    if done.made:
        say(f"made: {', '.join(done.made)}; they have no password yet")
    say(f"rights of {done.service}, {done.reader} and {done.backup} set on {done.n_tables} tables")
