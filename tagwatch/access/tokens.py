"""Tokens for other systems: made once, shown once, kept as a hash, with scopes and an end."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from engine.database import Connection
from engine.errors import InputError
from engine.times import DAY_US, MINUTE_US, from_datetime, to_datetime
from tagwatch.access.accounts import Account, by_id
from tagwatch.access.roles import OPERATIONS, may

PREFIX = "tw_"
MOST_DAYS = 366
_USED_EVERY_US = MINUTE_US


class Token(NamedTuple):
    """One token: what it is called, for which operations, until when [us]; `id` names it without telling it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    ends_us: int
    used_us: int | None
    revoked: bool


def make(connection: Connection, account: Account, name: str, scopes: Sequence[str], days: int, now_us: int) -> str:
    """A new token for some operations that the account may use. InputError for others, no name, or too many days."""
    beyond = [scope for scope in scopes if scope not in OPERATIONS or not may(account.roles, scope)]
    if beyond or not scopes:
        raise InputError(field="scope", value=", ".join(beyond), expected="operations that this account may use")
    if not name.strip():
        raise InputError(field="name", value=name, expected="what the token is for")
    if not 1 <= days <= MOST_DAYS:
        raise InputError(field="days", value=days, expected=f"1 to {MOST_DAYS}")
    token = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO api_token (id, account_id, name, scopes, created, ends) VALUES (%s, %s, %s, %s, %s, %s)",
        [_hash(token), account.id, name.strip(), list(scopes), to_datetime(now_us), to_datetime(now_us + days * DAY_US)],
    )
    return token


def holder_of(connection: Connection, token: str, now_us: int) -> tuple[Account, frozenset[str]] | None:
    """Whose token this is and its scopes; None where it is over, revoked, or the account disabled."""
    row = connection.execute(
        "SELECT account_id, scopes, coalesce(used < %s, true) FROM api_token WHERE id = %s AND ends > %s AND revoked IS NULL",
        [to_datetime(now_us - _USED_EVERY_US), _hash(token), to_datetime(now_us)],
    ).fetchone()
    if row is not None and row[2]:  # not with each call: calls at one time would wait for one another
        connection.execute("UPDATE api_token SET used = %s WHERE id = %s", [to_datetime(now_us), _hash(token)])
    account = by_id(connection, row[0]) if row else None
    return None if row is None or account is None or account.disabled else (account, frozenset(row[1]))


def of_account(connection: Connection, account: Account) -> list[Token]:
    """The tokens of an account, the newest first."""
    rows = connection.execute(
        "SELECT id, name, scopes, ends, used, revoked FROM api_token WHERE account_id = %s ORDER BY created DESC, id",
        [account.id],
    )
    return [
        Token(r[0].hex()[:16], r[1], tuple(r[2]), from_datetime(r[3]), r[4] and from_datetime(r[4]), r[5] is not None)
        for r in rows
    ]


def revoke(connection: Connection, account: Account, identifier: str, now_us: int) -> bool:
    """Revoke one of an account's own tokens, by its `id`; whether there was such a one."""
    rows = connection.execute(
        "UPDATE api_token SET revoked = %s WHERE account_id = %s AND left(encode(id, 'hex'), 16) = %s AND revoked IS NULL",
        [to_datetime(now_us), account.id, identifier],
    )
    return rows.rowcount > 0


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
