"""Commands about what is kept for how long: the policy, legal holds, and erasure on order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagwatch.cli.options import Config, instant, say

if TYPE_CHECKING:
    from engine.database import Connection
    from tagwatch.settings import Settings

retention = typer.Typer(no_args_is_help=True, help="The retention policy: show, run, set terms of one wearer.")
hold = typer.Typer(no_args_is_help=True, help="Legal holds: add, release, list. A hold stops the policy and orders.")

Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done")]
Why = Annotated[str, typer.Option("--reason", help="Why: kept with it, and in the audit log")]
Since = Annotated[str | None, typer.Option("--from", help="From when on (default: from the beginning)")]
Until = Annotated[str | None, typer.Option("--to", help="Until when, that instant not included")]


@retention.command("show")
def show(json: Json = False, config: Config = None) -> None:
    """The terms by kind and basis, those of single wearers, and the latest orders and runs."""
    from engine.wearers import BASES
    from tagwatch.cli.retention_tables import order_row, print_orders, print_terms, term_row
    from tagwatch.retention.orders import latest
    from tagwatch.retention.term_store import set_terms
    from tagwatch.retention.terms import KINDS

    with _database(config) as (connection, settings):
        own, done = set_terms(connection), latest(connection, 20)
    policy = settings.retention
    terms = [{"basis": b or "any", **{k: str(policy.of_basis(k, b)) for k in KINDS}} for b in ("", *BASES)]
    told = [{**term_row(one)} for one in own]
    if json:
        _print({"enforce": policy.enforce, "terms": terms, "wearers": told, "erasures": [order_row(one) for one in done]})
        return
    print_terms(terms, told)
    print_orders([order_row(one) for one in done])
    if not policy.enforce:
        say("tagwatch: the policy is not in force ([retention] enforce = false): nothing is erased by it")


@retention.command("run")
def run(dry_run: DryRun = False, json: Json = False, config: Config = None) -> None:
    """Do what is left of orders and erase what is due, as the service does each day; prints a receipt."""
    from engine.errors import InputError
    from engine.times import system_clock
    from tagwatch.cli.retention_tables import print_counts
    from tagwatch.retention.policy import plan_policy, run_policy

    now_us = system_clock()
    with _database(config) as (connection, settings):
        if dry_run:
            found = plan_policy(connection, settings, now_us)
            _print(found) if json else print_counts(found)
            return
        receipt = run_policy(connection, settings, now_us, _actor())
    _print(receipt.told | {"state": receipt.state})
    if receipt.state == "not in force":
        raise InputError("the policy is not in force", field="[retention] enforce", value="false", expected="true")


@retention.command("set")
def set_(
    wearer: Annotated[str, typer.Option("--wearer", help="The wearer")], reason: Why,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Kind of data, once for each (default: all)")] = None,
    term: Annotated[str, typer.Option("--term", help='Days, "N days after the end", or kept')] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Have the settings file decide again")] = False,
    config: Config = None,
) -> None:  # fmt: skip
    """Decide for one wearer, before the settings file."""
    from engine.errors import InputError
    from engine.times import system_clock
    from tagwatch.access.by_command import log_change
    from tagwatch.retention.people import read_people, require_known
    from tagwatch.retention.term_store import SetTerm, clear_term, set_term
    from tagwatch.retention.terms import KINDS, read_term

    kinds, now_us = kind or list(KINDS), system_clock()
    if unknown := [name for name in kinds if name not in KINDS]:
        raise InputError(field="--kind", value=unknown[0], expected=f"one of {', '.join(KINDS)}")
    if clear == bool(term):
        raise InputError("one of both is needed", field="--term", value=term or None, expected="a term, or --clear")
    if not reason.strip():
        raise InputError(field="--reason", value=reason, expected="why")
    wanted = None if clear else read_term(term, "--term")
    with _database(config) as (connection, _), connection.transaction():
        require_known(connection, read_people(connection, now_us), wearer)
        for name in kinds:
            if wanted is None:
                clear_term(connection, wearer, name)
            else:
                set_term(connection, SetTerm(wearer, name, wanted, reason, _actor().name, now_us))
        log_change(
            connection, "retention set", wearer, reason=reason, kinds=kinds, term=str(wanted) if wanted else "cleared"
        )
    say(f"{wearer}: {', '.join(kinds)}: {wanted or 'as the settings say'}")


@hold.command("add")
def add(
    reason: Why,
    wearer: Annotated[list[str] | None, typer.Option("--wearer", help="Only these, once for each (default: all)")] = None,
    crime: Annotated[str | None, typer.Option("--crime", help="Reference of a stored crime")] = None,
    force: Annotated[str | None, typer.Option("--force", help="Its force, where several have that reference")] = None,
    from_: Since = None, to: Until = None, config: Config = None,
) -> None:  # fmt: skip
    """Hold data of wearers, of a crime, or of a span: neither policy nor orders erase them. Prints the hold's number."""
    from engine.times import system_clock, to_iso
    from tagwatch.access.by_command import log_change
    from tagwatch.retention import holds

    now_us = system_clock()
    with _database(config) as (connection, _), connection.transaction():
        found = _crime(connection, crime, force)
        asked = holds.Asked(tuple(wearer or ()), found, instant(from_, "--from"), instant(to, "--to"))
        number = holds.add(connection, asked, reason, _actor().name, now_us)
        [placed] = [one for one in holds.listed(connection) if one.number == number]
        log_change(
            connection, "hold placed", str(number), reason=reason, case_ref=crime or "", wearers=list(placed.wearers),
            crime=crime, force=placed.force, span=[to_iso(at) for at in placed.span],
        )  # fmt: skip
    whom = ", ".join(placed.wearers) or "everybody"
    say(f"hold {number}: {whom}, from {to_iso(placed.span[0])} to {to_iso(placed.span[1])}")
    print(number)


@hold.command("release")
def release(
    number: Annotated[int, typer.Argument(metavar="HOLD", help="The hold's number")], reason: Why, config: Config = None
) -> None:  # fmt: skip
    """Release a hold: what is due, and what orders had to leave, is erased by the next run."""
    from engine.times import system_clock
    from tagwatch.access.by_command import log_change
    from tagwatch.retention import holds
    from tagwatch.retention.orders import unfinished

    with _database(config) as (connection, _), connection.transaction():
        holds.release(connection, number, reason, _actor().name, system_clock())
        log_change(connection, "hold released", str(number), reason=reason)
        left = [str(one.number) for one in unfinished(connection)]
    say(f"hold {number} is released" + (f"; orders not done yet: {', '.join(left)}" if left else ""))


@hold.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Released ones too")] = False, json: Json = False, config: Config = None
) -> None:  # fmt: skip
    """The holds, whom and what they cover, why and by whom."""
    from tagwatch.cli.retention_tables import hold_row, print_holds
    from tagwatch.retention.holds import listed

    with _database(config) as (connection, _):
        found = [one for one in listed(connection) if every or one.released_us is None]
    rows = [hold_row(one) for one in found]
    if json:
        for row in rows:
            _print(row)
    else:
        print_holds(rows)
    say(f"{len(rows)} holds")


def erase(
    wearer: Annotated[str, typer.Option("--wearer", help="Whose data")], reason: Why,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Kind of data, once for each (default: all)")] = None,
    from_: Since = None, to: Until = None,
    order: Annotated[str, typer.Option("--order", help="Reference of the order, such as that of a court")] = "",
    dry_run: DryRun = False, json: Json = False, config: Config = None,
) -> None:  # fmt: skip
    """Erase a wearer's data on order: the plan is told first and audited; the receipt is printed as JSON.

    Exit code 1 where something is left: a hold stops it, or a day of the raw log is still open.
    """
    from engine.times import system_clock
    from tagwatch.cli.retention_tables import print_counts
    from tagwatch.retention.orders import Request
    from tagwatch.retention.work import order as carry_out

    asked = Request(wearer, instant(from_, "--from"), instant(to, "--to"), tuple(kind or ()), reason, order)
    with _database(config) as (connection, settings):
        receipt = carry_out(
            connection, settings, asked, _actor(), system_clock(), dry_run=dry_run, tell=None if json else print_counts
        )
    if not dry_run or json:
        _print(receipt.told)
    if receipt.state in ("begun", "held"):
        say(f"tagwatch: order {receipt.number} is not done: {receipt.state}; `tagwatch retention run` goes on with it")
        raise typer.Exit(1)


def _crime(connection: Connection, reference: str | None, force: str | None) -> tuple[str, str] | None:
    """The crime's force and reference; InputError where it is not stored, or several are."""
    from crime_match.crimes.store import history
    from engine.errors import InputError

    if reference is None:
        if force is not None:
            raise InputError(field="--force", value=force, expected="--crime beside it")
        return None
    forces = sorted({v.crime.force for v in history(connection, reference) if force in (None, v.crime.force)})
    if not forces:
        raise InputError(field="--crime", value=reference, expected="a stored crime, as `crimes list` shows them")
    if len(forces) > 1:
        raise InputError(field="--force", expected=f"one of {', '.join(forces)}: they all have a crime {reference}")
    return forces[0], reference


def _actor() -> Any:
    from tagwatch.access.by_command import operating_user
    from tagwatch.retention.work import Actor

    return Actor(operating_user(), "command")


@contextmanager
def _database(config: Any) -> Iterator[tuple[Connection, Settings]]:
    from engine import database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    settings = read_settings(config)
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        yield connection, settings


def _print(told: dict[str, Any]) -> None:
    import json

    print(json.dumps(told, ensure_ascii=False))
