"""Commands about delivery: what is waiting, what was given up, sending it again, and trying a channel."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tagwatch.cli.options import Config, say

outbox = typer.Typer(
    no_args_is_help=True, help="The outbox: what waits, what was given up, sending again, trying a channel."
)

State = Annotated[str, typer.Option("--state", help="pending, delivered or dead")]
Most = Annotated[int, typer.Option("--most", min=1, help="At most so many")]


@outbox.command("list")
def list_(state: State = "pending", most: Most = 1_000, config: Config = None) -> None:
    """Deliveries in a state, one line of JSON each: pending by when they are due, the others newest first."""
    from alerts.dead_letters import STATES, letters
    from engine.errors import InputError

    if state not in STATES:
        raise InputError(field="--state", value=state, expected=f"one of {', '.join(STATES)}")
    with _connection(config) as connection:
        _print(letters(connection, state, most))


@outbox.command("dead")
def dead(config: Config = None) -> None:
    """What was given up, oldest first, one line of JSON each with its last error; exit code 1 where there is any."""
    from alerts.dead_letters import dead_letters

    with _connection(config) as connection:
        found = dead_letters(connection)
    _print(found)
    if found:
        raise typer.Exit(1)


@outbox.command("resend")
def resend_(
    number: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Ids of dead letters")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them")] = False,
    config: Config = None,
) -> None:
    """Send dead letters again, under their old identifiers; prints them."""
    from alerts.dead_letters import resend
    from engine.errors import InputError
    from engine.times import system_clock

    if bool(number) == all_:
        raise InputError(field="ID", expected="ids of dead letters, or --all")
    with _connection(config) as connection:
        found = resend(connection, None if all_ else number, system_clock())
    _print(found)
    say(f"{len(found)} will be sent again")


@outbox.command("test")
def try_(
    channel: Annotated[str, typer.Argument(help="terminal, webhook, mqtt, mqtt:TOPIC or mail:ADDRESS")],
    role: Annotated[str, typer.Option("--role", help="Show it as to a member of a team with this role")] = "",
    config: Config = None,
) -> None:
    """Send an alert that is plainly a test by a channel now, past the outbox; exit code 3 where that failed."""
    from alerts.delivery import DeliveryError
    from alerts.routing import ROLE_ORDER, kind_of
    from engine.errors import InputError, UnreachableError
    from engine.times import system_clock
    from tagwatch.channels import notifiers_of
    from tagwatch.settings import read_settings

    if role not in ROLE_ORDER:
        raise InputError(field="--role", value=role, expected=f"one of {', '.join(r for r in ROLE_ORDER if r)}")
    notifiers = notifiers_of(read_settings(config), system_clock)
    if kind_of(channel) not in notifiers:
        raise InputError(field="CHANNEL", value=channel, expected=f"one that the settings serve: {', '.join(notifiers)}")
    try:
        notifiers[kind_of(channel)].send(_trial(channel, role, system_clock()))
    except DeliveryError as fault:
        raise UnreachableError(str(fault)) from None
    finally:
        for notifier in notifiers.values():
            getattr(notifier, "close", lambda: None)()
    say(f"{channel} has taken it")


def _trial(channel: str, role: str, now_us: int) -> Any:
    import msgspec

    from alerts.alert import Alert, to_json
    from alerts.delivery import Delivery
    from engine.times import to_iso

    now = to_iso(now_us)
    why = {"text": "This is a test of a channel. No wearer is concerned, nothing is to be done."}
    alert = Alert("TEST", "TEST", "test", "test", "low", "cleared", now, None, now, 0.0, 0.0, 0, [], why)
    content = msgspec.Raw(to_json(alert))
    return Delivery(f"test-{now_us}", 1, "raised", 0.0, 0, content, channel, role, kind="test", time=now)


def _print(found: Any) -> None:
    import msgspec

    from alerts.delivery import key_of
    from engine.times import to_iso

    for letter in found:
        told = letter._asdict()
        told["at"] = to_iso(told.pop("at_us"))
        told["delivery"] = key_of(letter.alert_id, letter.version, letter.kind, letter.notice)
        print(msgspec.json.encode(told).decode())


def _connection(config: Any) -> Any:
    from engine import database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    connection = database.connect(read_settings(config).database.url)
    database.require_schema(connection, SCHEMAS)
    return connection
