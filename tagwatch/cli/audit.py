"""Commands about the audit log: whether it is whole, what it says; and whether what is stored is what was received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tagwatch.cli.options import Config, say

if TYPE_CHECKING:
    from tagwatch.monitor import Conditions

audit = typer.Typer(
    no_args_is_help=True, help="The audit log: verify, list. What is stored against what was received: compare."
)


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


@audit.command("compare")
def compare(
    from_: Annotated[str | None, typer.Option("--from", help="Of fixes: arrived from then on (default: a day ago)")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Of fixes: arrived before then (default: a minute ago)")] = None,
    config: Config = None,
) -> None:
    """What is stored against the raw log and against itself: exit code 1, and a JSON line for each difference, where one is."""
    import msgspec

    from engine import database
    from engine.times import DAY_US, MINUTE_US, SECOND_US, system_clock
    from tagwatch import comparison, configuration
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.options import instant
    from tagwatch.comparison.received import Span
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    settings, now_us = read_settings(config), system_clock()
    to_us = instant(to, "--to") or now_us - MINUTE_US
    from_us = instant(from_, "--from") or to_us - DAY_US
    span = Span(from_us // SECOND_US, to_us // SECOND_US)
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        log_view(connection, "records compared", span=[span.from_s, span.to_s])

        def conditions() -> Conditions:
            return configuration.load(connection, settings.filter_settings, settings.default_plan)

        with connection.transaction():
            activations = conditions().activations
        found = comparison.compare_received(connection, settings.raw_log.folder, span, activations)
        found.take(comparison.compare_ledger(connection, conditions, system_clock))
        found.take(comparison.compare_acts(connection))
    for one in found.told:
        print(msgspec.json.encode(one._asdict()).decode())
    say("compared: " + ", ".join(f"{n:,} {what}" for what, n in sorted(found.counts.items())))
    if found.differences:
        say("tagwatch: " + ", ".join(f"{n:,} times {kind}" for kind, n in sorted(found.differences.items())))
        raise typer.Exit(1)


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
