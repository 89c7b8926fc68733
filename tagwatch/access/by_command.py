"""What is done from the command line with the database's locations, in the same audit log: the actor is the machine's user."""

from __future__ import annotations

import getpass

from engine.database import Connection
from engine.errors import StoreError
from engine.times import Clock, system_clock
from tagwatch.access import audit


def note(
    connection: Connection, action: str, subject: str = "", *, reason: str = "", case_ref: str = "",
    clock: Clock = system_clock, **detail: object,
) -> None:  # fmt: skip
    """Append a row about a command, committed before the command goes on. StoreError where the database has no audit log."""
    with connection.transaction():
        row = connection.execute("SELECT to_regclass('audit_entry')").fetchone()
        if row is None or row[0] is None:
            raise StoreError("the database has no audit log yet: run `tagwatch db init`")
        entry = audit.Entry(operating_user(), "", "command", action, subject, reason, case_ref, detail)
        audit.write(connection, entry, clock())


def operating_user() -> str:
    """The machine's user as an actor."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "os:nobody"
