"""The `tagwatch` command: exit codes 0 done, 1 the answer is no, 2 bad input or wrong use, 3 a server is not reachable."""

from __future__ import annotations

import os
import sys

import typer

from engine.errors import InputError, StoreError, TagwatchError, UnreachableError
from tagwatch.cli import (
    about,
    archive,
    audit,
    backup,
    broker,
    configure,
    crimes,
    deliver,
    disclose,
    doctor,
    evidence,
    handle,
    match,
    operate,
    question,
    retention,
    review,
    roles,
    runs,
    serve,
    trails,
    users,
)

app = typer.Typer(
    name="tagwatch", no_args_is_help=True, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Watch GPS tags: exclusion zones, curfews, alerts, and who was near a crime.",
)  # fmt: skip
app.callback(invoke_without_command=True)(about.about)
app.command()(serve.demo)
app.command()(serve.run)
app.command()(trails.replay)
app.command()(trails.passed)
app.command()(trails.publish)
app.command()(question.near)
app.command()(match.match)
app.command()(review.compliance)
app.command()(review.whatif)
app.command()(trails.simulate)
for name in ("zones", "curfews", "proximities", "activations", "wearers", "teams"):
    app.add_typer(configure.group(name), name=name)
app.add_typer(crimes.crimes, name="crimes")
app.add_typer(runs.runs, name="runs")
app.add_typer(evidence.evidence, name="evidence")
app.add_typer(disclose.disclose, name="disclose")
app.add_typer(handle.alerts, name="alerts")
app.add_typer(deliver.outbox, name="outbox")
app.add_typer(users.users, name="users")
app.add_typer(audit.audit, name="audit")
app.add_typer(retention.retention, name="retention")
app.add_typer(retention.hold, name="hold")
app.command()(retention.erase)
app.add_typer(archive.archive, name="archive")
operate.db.command("roles")(roles.roles)
app.add_typer(operate.db, name="db")
app.add_typer(broker.broker, name="broker")
app.add_typer(backup.backup, name="backup")
app.command()(backup.restore)
app.command()(doctor.doctor)


def main() -> None:
    """Run the command; every error on purpose becomes one line on standard error and an exit code."""
    try:
        app(standalone_mode=True)
    except UnreachableError as fault:
        _leave(3, fault)
    except (InputError, StoreError, TagwatchError) as fault:
        _leave(2, fault)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _leave(code: int, fault: Exception) -> None:
    line = str(fault).replace("\n", " ")
    print(f"tagwatch: {line}", file=sys.stderr)
    sys.exit(code)
