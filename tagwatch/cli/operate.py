"""Commands of operations: the database's schema, and the doctor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from engine.errors import StoreError, TagwatchError
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


def doctor(config: Config = None) -> None:
    """Look at everything the service needs and say what is wrong and what to do; exit code 1 where something is."""
    faults = 0
    for name, examine in (
        ("kernels", _kernels), ("settings", lambda: _settings(config)), ("database", lambda: _database(config)),
        ("broker", lambda: _broker(config)), ("raw log", lambda: _raw_log(config)),
    ):  # fmt: skip
        faults += _told(name, examine)
    if faults:
        raise typer.Exit(1)


def _told(name: str, examine: Callable[[], str]) -> int:
    try:
        print(f"ok     {name}: {examine()}")
    except (TagwatchError, OSError) as fault:
        print(f"FAULT  {name}: {fault}")
        return 1
    return 0


def _kernels() -> str:
    import time

    from tagwatch.warm import warm

    started = time.perf_counter()
    warm()
    return f"compiled and ready in {time.perf_counter() - started:.1f} s"


def _settings(config: Any) -> str:
    from tagwatch.settings import read_settings

    read_settings(config)
    return str(config or "tagwatch.toml")


def _database(config: Any) -> str:
    from engine import database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url, 3.0) as connection:
        told = database.server(connection)
        database.require_schema(connection, SCHEMAS)
    extension = f"TimescaleDB {told['timescaledb']}" if told["timescaledb"] else "without TimescaleDB (plain tables)"
    return f"PostgreSQL {told['postgresql']}, {extension}"


def _broker(config: Any) -> str:
    from ingest.mqtt_link import Link
    from tagwatch.settings import read_settings

    broker = read_settings(config).broker
    probe = Link(broker.url, f"{broker.client_id}-doctor", broker.protocol, persistent=False, cafile=broker.cafile)
    try:
        probe.connect(3.0)
        return f"{broker.url.rpartition('@')[2]}, MQTT {probe.protocol}"
    finally:
        probe.close()


def _raw_log(config: Any) -> str:
    from ingest.raw_verify import verify
    from tagwatch.settings import read_settings

    folder = read_settings(config).raw_log.folder
    if not folder.exists():
        return f"{folder} is not there yet; the service makes it"
    found = verify(folder)
    if found.faults:
        raise StoreError(f"{folder}: {len(found.faults)} faults in the chain, the first: {found.faults[0]}")
    roots = f"{found.n_rooted} days have a root, {found.n_signed} of them signed"
    lacking = f", {len(found.unrooted)} closed days have none" if found.unrooted else ""
    erased = f"; {found.n_erased:,} erased by order, {found.n_partly:,} of them in part" if found.n_erased else ""
    return f"{folder}: {found.n_messages:,} messages, the chain holds; {roots}{lacking}{erased}"
