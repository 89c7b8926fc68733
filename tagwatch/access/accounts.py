"""Accounts: who may sign in, with which roles, for which force; grants of another force's wearers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.database import Connection
from engine.errors import InputError
from engine.times import from_datetime, to_datetime
from tagwatch.access.passwords import hash_password, is_right
from tagwatch.access.roles import ROLES

SCHEMA = Path(__file__).resolve().parents[1] / "schema"
EVERY_FORCE = "*"
MOST_FAILURES, LOCKED_US = 8, 15 * 60 * 1_000_000
_COLUMNS = "SELECT a.id, a.login, a.name, a.roles, a.force, a.member, a.disabled IS NOT NULL FROM account a"


class Account(NamedTuple):
    """One account; `force` is `*` for every force; `member` is how teams name an offender manager."""

    id: int
    login: str
    name: str
    roles: frozenset[str]
    force: str
    member: str = ""
    disabled: bool = False


class Grant(NamedTuple):
    """Another force's wearers for an account, from one instant to another [us]; who granted it and why."""

    id: int
    force: str
    reason: str
    granted_by: str
    from_us: int
    until_us: int


def add(
    connection: Connection, login: str, name: str, roles: Sequence[str], force: str, password: str, now_us: int,
    *, member: str = "",
) -> Account:  # fmt: skip
    """Make an account. InputError where the login is taken, a role unknown, or the password weak."""
    _check(name, roles, force)
    if not login.strip() or login != login.strip().lower() or len(login) > 100:
        raise InputError(field="login", value=login, expected="up to 100 small letters, digits or signs, as in an address")
    row = connection.execute(
        "INSERT INTO account (login, name, roles, force, member, password, created) VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (login) DO NOTHING RETURNING id",
        [login, name, list(roles), force, member, hash_password(password), to_datetime(now_us)],
    ).fetchone()
    if row is None:
        raise InputError(field="login", value=login, expected="a login that nobody has yet")
    return Account(row[0], login, name, frozenset(roles), force, member)


def change(connection: Connection, identifier: int, name: str, roles: Sequence[str], force: str, member: str) -> None:
    """Change who an account is and what it may; InputError as for `add`. It holds from the next request on."""
    _check(name, roles, force)
    connection.execute(
        "UPDATE account SET name = %s, roles = %s, force = %s, member = %s WHERE id = %s",
        [name, list(roles), force, member, identifier],
    )


def everybody(connection: Connection) -> list[Account]:
    """All accounts, by login."""
    return [_account(row) for row in connection.execute(f"{_COLUMNS} ORDER BY login".encode())]


def account_of(connection: Connection, login: str) -> Account | None:
    """The account with this login."""
    row = connection.execute(f"{_COLUMNS} WHERE login = %s".encode(), [login]).fetchone()
    return None if row is None else _account(row)


def by_id(connection: Connection, identifier: int) -> Account | None:
    """The account with this number."""
    row = connection.execute(f"{_COLUMNS} WHERE id = %s".encode(), [identifier]).fetchone()
    return None if row is None else _account(row)


def sign_in(connection: Connection, login: str, password: str, now_us: int) -> Account | None:
    """The account whose login and password these are, else None: also while it is disabled, or locked after too many
    failures. What was tried is counted; to be committed either way."""
    row = connection.execute(
        "SELECT id, password, disabled IS NULL AND coalesce(locked_until <= %s, true) FROM account"
        " WHERE login = %s FOR UPDATE",
        [to_datetime(now_us), login.strip().lower()],
    ).fetchone()
    right = is_right(row[1] if row else None, password)
    if row is None:
        return None
    if not (right and row[2]):
        connection.execute(
            "UPDATE account SET failures = failures + 1,"
            " locked_until = CASE WHEN failures + 1 >= %s THEN %s ELSE locked_until END WHERE id = %s",
            [MOST_FAILURES, to_datetime(now_us + LOCKED_US), row[0]],
        )
        return None
    connection.execute("UPDATE account SET failures = 0, locked_until = NULL WHERE id = %s", [row[0]])
    return by_id(connection, row[0])


def set_password(connection: Connection, identifier: int, password: str) -> None:
    """Change a password; every session of the account ends. InputError where it is weak."""
    connection.execute(
        "UPDATE account SET password = %s, failures = 0, locked_until = NULL WHERE id = %s",
        [hash_password(password), identifier],
    )
    connection.execute("DELETE FROM session WHERE account_id = %s", [identifier])


def disable(connection: Connection, identifier: int, now_us: int) -> None:
    """Nobody signs in with it any more; its sessions end and its tokens are revoked."""
    now = to_datetime(now_us)
    connection.execute("UPDATE account SET disabled = coalesce(disabled, %s) WHERE id = %s", [now, identifier])
    connection.execute("DELETE FROM session WHERE account_id = %s", [identifier])
    connection.execute("UPDATE api_token SET revoked = coalesce(revoked, %s) WHERE account_id = %s", [now, identifier])


def enable(connection: Connection, identifier: int) -> None:
    """It may be signed in with again."""
    connection.execute("UPDATE account SET disabled = NULL, failures = 0, locked_until = NULL WHERE id = %s", [identifier])


def grant(
    connection: Connection, identifier: int, force: str, reason: str, granted_by: str, from_us: int, until_us: int
) -> None:
    """Let an account see another force's wearers for a time. InputError without a reason, a force or an end."""
    if not force.strip() or force == EVERY_FORCE:
        raise InputError(field="force", value=force, expected="the name of one force")
    if not reason.strip():
        raise InputError(field="reason", value=reason, expected="why it is granted")
    if until_us <= from_us:
        raise InputError(field="until", value=until_us, expected="after the beginning")
    connection.execute(
        "INSERT INTO force_grant (account_id, force, reason, granted_by, from_at, until_at) VALUES (%s, %s, %s, %s, %s, %s)",
        [identifier, force, reason, granted_by, to_datetime(from_us), to_datetime(until_us)],
    )


def grants_of(connection: Connection, identifier: int) -> list[Grant]:
    """Every grant that an account ever had, the newest first."""
    rows = connection.execute(
        "SELECT id, force, reason, granted_by, from_at, until_at FROM force_grant WHERE account_id = %s ORDER BY id DESC",
        [identifier],
    )
    return [Grant(r[0], r[1], r[2], r[3], from_datetime(r[4]), from_datetime(r[5])) for r in rows]


def end_grant(connection: Connection, identifier: int, grant_id: int, now_us: int) -> bool:
    """End a grant of an account now; whether it held. One that has not begun is as if it had ended when it would begin."""
    rows = connection.execute(
        "UPDATE force_grant SET until_at = greatest(%s, from_at + interval '1 microsecond')"
        " WHERE id = %s AND account_id = %s AND until_at > %s",
        [to_datetime(now_us), grant_id, identifier, to_datetime(now_us)],
    )
    return rows.rowcount > 0


def forces_of(connection: Connection, account: Account, now_us: int) -> frozenset[str]:
    """The forces whose wearers an account sees now, by itself and by grants."""
    rows = connection.execute(
        "SELECT force FROM force_grant WHERE account_id = %s AND from_at <= %s AND %s < until_at",
        [account.id, to_datetime(now_us), to_datetime(now_us)],
    )
    return frozenset({account.force, *(row[0] for row in rows)})


def _account(row: tuple[Any, ...]) -> Account:
    identifier, login, name, roles, force, member, disabled = row
    return Account(identifier, login, name, frozenset(roles), force, member, disabled)


def _check(name: str, roles: Sequence[str], force: str) -> None:
    unknown = sorted({*roles} - {*ROLES})
    if unknown or not roles:
        raise InputError(field="role", value=", ".join(unknown), expected=f"one or more of {', '.join(ROLES)}")
    for field, value in (("name", name), ("force", force)):
        if not value.strip():
            raise InputError(field=field, value=value, expected="not empty" + (" (* is every force)" * (field == "force")))
