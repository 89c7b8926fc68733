"""Sessions on the server: the browser holds a random cookie, the database its hash. Nothing in it can be guessed."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import NamedTuple

from engine.database import Connection
from engine.times import HOUR_US, MINUTE_US, to_datetime
from tagwatch.access.accounts import Account, by_id

LONGEST_US, IDLE_US, OPENED_US = 12 * HOUR_US, 2 * HOUR_US, 60 * MINUTE_US
"""How long a session lasts, how long without a sign of life, and how long a reason for a person's locations holds."""
_SEEN_EVERY_US = MINUTE_US


class Session(NamedTuple):
    """One signed-in browser: its row, who it is, and the word that its forms must say."""

    id: bytes
    account: Account
    csrf: str


def begin(connection: Connection, account: Account, now_us: int) -> str:
    """A new session; returns the cookie. Sessions that are over are cleared away."""
    cookie, now = secrets.token_urlsafe(32), to_datetime(now_us)
    connection.execute("DELETE FROM session WHERE ends <= %s OR seen <= %s", [now, to_datetime(now_us - IDLE_US)])
    connection.execute(
        "INSERT INTO session (id, account_id, csrf, began, seen, ends) VALUES (%s, %s, %s, %s, %s, %s)",
        [_hash(cookie), account.id, secrets.token_urlsafe(32), now, now, to_datetime(now_us + LONGEST_US)],
    )
    return cookie


def session_of(connection: Connection, cookie: str, now_us: int) -> Session | None:
    """The session of a cookie, None where it is over, idle for too long, or its account disabled."""
    row = connection.execute(
        "SELECT account_id, csrf, seen < %s FROM session WHERE id = %s AND ends > %s AND seen > %s",
        [to_datetime(now_us - _SEEN_EVERY_US), _hash(cookie), to_datetime(now_us), to_datetime(now_us - IDLE_US)],
    ).fetchone()
    if row is None:
        return None
    account = by_id(connection, row[0])
    if account is None or account.disabled:
        return None
    if row[2]:
        connection.execute("UPDATE session SET seen = %s WHERE id = %s", [to_datetime(now_us), _hash(cookie)])
    return Session(_hash(cookie), account, row[1])


def end(connection: Connection, session: bytes) -> None:
    """Sign out."""
    connection.execute("DELETE FROM session WHERE id = %s", [session])


def open_person(connection: Connection, session: bytes, wearer: str, reason: str, case_ref: str, now_us: int) -> None:
    """Note why this wearer's locations are looked at in this session."""
    connection.execute(
        "INSERT INTO opened_person (session_id, wearer, reason, case_ref, until_at) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (session_id, wearer) DO UPDATE SET reason = EXCLUDED.reason, case_ref = EXCLUDED.case_ref,"
        " until_at = EXCLUDED.until_at",
        [session, wearer, reason, case_ref, to_datetime(now_us + OPENED_US)],
    )


def opened(connection: Connection, session: bytes, wearer: str, now_us: int) -> tuple[str, str] | None:
    """Reason and case with which a wearer's locations are open in this session; None where they are not."""
    row = connection.execute(
        "SELECT reason, case_ref FROM opened_person WHERE session_id = %s AND wearer = %s AND until_at > %s",
        [session, wearer, to_datetime(now_us)],
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _hash(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()
