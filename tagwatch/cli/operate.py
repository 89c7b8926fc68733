"""Commands of operations: the database's schema, its upkeep, and how it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tagwatch.cli.options import Config, say

db = typer.Typer(no_args_is_help=True, help="The database: bring its schema up to date, and say how it is.")


@db.command("init")
def init(config: Config = None) -> None:
    """Create or update the schema."""
    from tagwatch.service import initialise
    from tagwatch.settings import read_settings

    count = initialise(read_settings(config).database.url)
    say(f"{count} migrations applied" if count else "the schema is up to date")


@db.command("upkeep")
def upkeep(config: Config = None) -> None:
    """Summarise the hours that are over and compress old days at once, as the service does every ten minutes; one line of
    JSON."""
    import json

    from engine import database
    from engine.times import SECOND_US, system_clock, to_iso
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings
    from tagwatch.upkeep import keep_up

    with database.connect(read_settings(config).database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        done = keep_up(connection, system_clock())
    told = {"summarised_until": to_iso(done.until_s * SECOND_US), "stale": done.n_stale, "compressed": done.n_compressed}
    print(json.dumps(told))


@db.command("coverage")
def coverage(
    from_: Annotated[
        str | None, typer.Option("--from", help="The first day, UTC (2026-11-22); default: 7 days ago")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="The last day; default: today")] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", help="A row a day for this device; more than once")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="A line of JSON each")] = False,
    config: Config = None,
) -> None:
    """How much of each day was covered by fixes, as far as hours are summarised.

    Covered: minutes with a fix, of all minutes of the devices that were heard of that day.
    """
    import json

    from engine import database
    from engine.store.coverage import coverage as covered
    from engine.times import DAY_US, SECOND_US, system_clock, to_iso
    from tagwatch.access.by_command import log_view
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    today = system_clock() // DAY_US
    first, last = _day(from_, "--from", today - 7), _day(to, "--to", today)
    with database.connect(read_settings(config).database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        if device:
            log_view(connection, "coverage read", ", ".join(device))
        found = covered(connection, first * 86_400, (last + 1) * 86_400, device or ())
    if not json_:
        print(f"{'day':10}  {'device':16}  {'devices':>7}  {'fixes':>11}  {'covered':>7}  {'longest gap':>11}")
    for row in found:
        day = to_iso(row.day_s * SECOND_US)[:10]
        if json_:
            print(json.dumps(row._asdict() | {"day": day, "covered": round(row.share, 4)}))
        else:
            name = row.device or "all"
            print(f"{day}  {name:16}  {row.n_devices:7,}  {row.n_fixes:11,}  {row.share:7.1%}  {row.gap_s:9,} s")


def _day(text: str | None, option: str, default: int) -> int:
    """A day as its number since 1970."""
    from datetime import date

    from engine.errors import InputError

    try:
        return default if text is None else (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        raise InputError(field=option, value=text, expected="a day such as 2026-11-22") from None


@db.command("status")
def status(config: Config = None) -> None:
    """Versions, missing migrations and counts, as one line of JSON; exit code 1 where a migration is missing."""
    import json

    from engine import database
    from engine.store.fixes import FixStore
    from ingest.store import count_quarantine
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url) as connection:
        missing = database.missing_migrations(connection, SCHEMAS)
        told: dict[str, Any] = {**database.server(connection), "missing_migrations": missing}
        if not missing:
            told |= {"fixes": FixStore(connection).count(), "quarantine": count_quarantine(connection)}
            for table in ("alert", "outbox"):
                column = "condition" if table == "alert" else "status"
                rows = connection.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
                told[table] = dict(rows.fetchall())
    print(json.dumps(told))
    if missing:
        raise typer.Exit(1)
