"""Commands of the operators: the queue, what is done with an alert, its history, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagwatch.cli.options import Config, instant, say

if TYPE_CHECKING:
    from engine.database import Connection
    from tagwatch.settings import Settings

alerts = typer.Typer(no_args_is_help=True, help="The queue of alerts, what is done with them, and the alarm figures.")

Alert = Annotated[str, typer.Argument(metavar="ALERT", help="The identifier of the alert")]
By = Annotated[str, typer.Option("--by", envvar="TAGWATCH_OPERATOR", help="Who does it")]
Role = Annotated[str, typer.Option("--role", envvar="TAGWATCH_ROLE", help="In which role: operator, senior operator, ...")]
Upon = Annotated[str | None, typer.Option("--upon", help="The mark that was looked at; refused where it has changed")]
Note = Annotated[str, typer.Option("--note", help="What is to be remembered")]
Reason = Annotated[str, typer.Option("--reason", help="Why")]
To = Annotated[str, typer.Option("--to", help="A person, or a role")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table")]
OPERATOR = "operator"


@alerts.command("queue")
def queue(
    json: Json = False, config: Config = None,
    grouped: Annotated[bool, typer.Option("--grouped/--all", help="Floods and outages under one head, or every alert")] = True,
) -> None:  # fmt: skip
    """Everything that is still open: by section, grade, and how long it waits."""
    from alerts.queue import to_dict
    from alerts.queue_store import incident_of, read_queue
    from engine.times import system_clock
    from tagwatch.cli.handle_tables import print_queue

    now_us = system_clock()
    with _database(config) as (connection, settings):
        lines = read_queue(connection, settings.flood_thresholds, now_us, grouped)
        causes = incident_of(connection)
    stale_us = round(settings.handling.stale_hours * 3_600_000_000)
    told = [to_dict(line, now_us, stale_us, causes) for line in lines]
    if json:
        _print_lines(told)
    else:
        print_queue(told)
    say(f"{sum(len(line.rows) for line in lines)} open alerts in {len(lines)} lines")


@alerts.command("show")
def show(alert: Alert, json: Json = False, config: Config = None) -> None:
    """One alert as it stands, and everything that was done with it and with those it took over."""
    from alerts.handling_store import actions, one
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.handle_tables import action_dict, print_actions, standing_dict

    with _database(config) as (connection, _):
        log_view(connection, "alert opened", alert)
        held, done = one(connection, alert), actions(connection, alert)
    if held is None:
        say(f"tagwatch: there is no alert {alert!r}")
        raise typer.Exit(1)
    if json:
        _print_lines([standing_dict(held), *(action_dict(d) for d in done)])
    else:
        print_actions(standing_dict(held), [action_dict(d) for d in done])


@alerts.command("ack")
def ack(
    alert: Alert, by: By, role: Role = OPERATOR, note: Note = "", upon: Upon = None, config: Config = None
) -> None:  # fmt: skip
    """Acknowledge: somebody has it in hand. Without an outcome it comes back after a time."""
    _act(config, alert, upon, kind="acknowledge", actor=by, role=role, note=note)


@alerts.command("note")
def note(
    alert: Alert, by: By, note: Note, role: Role = OPERATOR, upon: Upon = None, config: Config = None
) -> None:  # fmt: skip
    """Add a note to the history of an alert, closed or retracted ones too."""
    _act(config, alert, upon, kind="note", actor=by, role=role, note=note)


@alerts.command("assign")
def assign(
    alert: Alert, by: By, to: To, role: Role = OPERATOR, note: Note = "", upon: Upon = None, config: Config = None
) -> None:  # fmt: skip
    """Give it to a person or a role, who is told."""
    _act(config, alert, upon, kind="assign", actor=by, role=role, whom=to, note=note)


@alerts.command("escalate")
def escalate(
    alert: Alert, by: By, to: To = "senior operator", reason: Reason = "", role: Role = OPERATOR, upon: Upon = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Put it before somebody of a higher role, who is told."""
    _act(config, alert, upon, kind="escalate", actor=by, role=role, whom=to, reason=reason)


@alerts.command("shelve")
def shelve(
    alert: Alert, by: By, reason: Reason, role: Role = OPERATOR,
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 90m or 2h")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when")] = None,
    upon: Upon = None, config: Config = None,
) -> None:  # fmt: skip
    """Take it out of sight until a set time; a senior operator's or an administrator's to do."""
    from engine.times import system_clock

    now_us = system_clock()
    end_us = now_us + _length_us(for_) if for_ is not None else instant(until, "--until")
    _act(config, alert, upon, now_us, kind="shelve", actor=by, role=role, reason=reason, until_us=end_us)


@alerts.command("unshelve")
def unshelve(
    alert: Alert, by: By, reason: Reason, role: Role = OPERATOR, upon: Upon = None, config: Config = None
) -> None:  # fmt: skip
    """Put it back into the queue before its time."""
    _act(config, alert, upon, kind="unshelve", actor=by, role=role, reason=reason)


@alerts.command("close")
def close(
    alert: Alert, by: By, outcome: Annotated[str, typer.Option("--outcome", help="What it was, as the settings name it")],
    note: Note = "", role: Role = OPERATOR, upon: Upon = None, config: Config = None,
) -> None:  # fmt: skip
    """Close it with an outcome; a tamper needs a note too."""
    _act(config, alert, upon, kind="close", actor=by, role=role, outcome=outcome, note=note)


@alerts.command("reopen")
def reopen(
    alert: Alert, by: By, reason: Reason, role: Role = OPERATOR, upon: Upon = None, config: Config = None
) -> None:  # fmt: skip
    """Put a closed one back into the queue."""
    _act(config, alert, upon, kind="reopen", actor=by, role=role, reason=reason)


@alerts.command("contact")
def contact(
    alert: Alert, by: By, whom: Annotated[str, typer.Option("--with", help="Who was called")],
    channel: Annotated[str, typer.Option("--channel", help="How: phone, visit, message, ...")],
    said: Annotated[str, typer.Option("--said", help="What they said, or that nobody answered")],
    role: Role = OPERATOR, note: Note = "", upon: Upon = None, config: Config = None,
) -> None:  # fmt: skip
    """Log a contact: who was called, how, and what they said."""
    _act(config, alert, upon, kind="contact", actor=by, role=role, whom=whom, channel=channel, said=said, note=note)


@alerts.command("figures")
def figures(
    from_: Annotated[str | None, typer.Option("--from", help="Start of the period (default: a day before its end)")] = None,
    to: Annotated[str | None, typer.Option("--to", help="End of the period (default: now)")] = None,
    operators: Annotated[int | None, typer.Option("--operators", min=1, help="How many shared the work")] = None,
    json: Json = False, config: Config = None,
) -> None:  # fmt: skip
    """Alarm figures by EEMUA 191 and ISA-18.2: rates, floods, stale and frequent alerts, time to answer."""
    from alerts.queue_store import read_figures
    from engine.times import DAY_US, HOUR_US, system_clock
    from tagwatch.cli.handle_tables import print_figures

    now_us = system_clock()
    end_us = instant(to, "--to") or now_us
    start_us = instant(from_, "--from") or end_us - DAY_US
    with _database(config) as (connection, settings):
        thresholds = settings.flood_thresholds
        thresholds = thresholds._replace(n_operators=operators or thresholds.n_operators)
        stale_us = round(settings.handling.stale_hours * HOUR_US)
        found = read_figures(connection, start_us, end_us, now_us, thresholds, stale_us)
    if json:
        print(found.to_json().decode())
    else:
        print_figures(found)


def _act(config: Any, alert: str, upon: str | None, now_us: int | None = None, **told: Any) -> None:
    """Take one action and print how the alert stands after it; exit code 1 where somebody was faster."""
    from alerts.handling import Action, StaleActionError
    from alerts.handling_store import act
    from engine.times import system_clock
    from tagwatch.cli.handle_tables import standing_dict

    action = Action(at_us=now_us or system_clock(), **told)
    with _database(config) as (connection, settings):
        try:
            with connection.transaction():
                held = act(connection, alert, action, settings.handling_limits, upon)
        except StaleActionError as fault:
            say(f"tagwatch: {fault}")
            raise typer.Exit(1) from None
    _print_lines([standing_dict(held)])


@contextmanager
def _database(config: Any) -> Iterator[tuple[Connection, Settings]]:
    from alerts.handling_store import SCHEMA  # not all schemas of the service: that would load every kernel
    from engine import database
    from tagwatch.settings import read_settings

    settings = read_settings(config)
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, [SCHEMA])
        yield connection, settings


def _print_lines(told: list[dict[str, Any]]) -> None:
    import json

    for line in told:
        print(json.dumps(line, ensure_ascii=False))


def _length_us(text: str) -> int:
    from engine.errors import InputError
    from engine.times import HOUR_US, MINUTE_US

    unit_us = {"m": MINUTE_US, "h": HOUR_US}.get(text[-1:])
    if unit_us is None or not text[:-1].isdecimal():
        raise InputError(field="--for", value=text, expected="a time such as 90m or 2h")
    return int(text[:-1]) * unit_us
