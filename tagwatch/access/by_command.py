"""What is done from the command line with the database, in the same audit log: the actor is the machine's user."""

from __future__ import annotations

import getpass

from psycopg.pq import TransactionStatus

from engine.database import Connection
from engine.errors import StoreError
from engine.times import system_clock
from tagwatch.access import audit


def log_view(
    connection: Connection, action: str, subject: str = "", *, reason: str = "", case_ref: str = "", **detail: object
) -> None:  # fmt: skip
    """Append a row before anything is read and shown: it is committed here, so that a pipe that breaks takes nothing back.

    RuntimeError where the connection has read something already. StoreError where the database has no audit log.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RuntimeError(f"{action!r} must be in the audit log before anything is read")
    with connection.transaction():
        _append(connection, audit.Entry(operating_user(), "", "command", action, subject, reason, case_ref, detail))


def log_change(
    connection: Connection, action: str, subject: str = "", *, reason: str = "", case_ref: str = "", **detail: object
) -> None:  # fmt: skip
    """Append a row in the transaction of the change that it tells of: both are kept, or neither. StoreError as for views."""
    _append(connection, audit.Entry(operating_user(), "", "command", action, subject, reason, case_ref, detail))


def operating_user() -> str:
    """The machine's user as an actor."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "os:nobody"


def _append(connection: Connection, entry: audit.Entry) -> None:
    row = connection.execute("SELECT to_regclass('audit_entry')").fetchone()
    if row is None or row[0] is None:
        raise StoreError("the database has no audit log yet: run `tagwatch db init`")
    audit.write(connection, entry, system_clock())
