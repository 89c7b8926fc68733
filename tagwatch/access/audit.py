"""The audit log: who looked at whom, searched, exported or changed something, when and why. Rows are chained by hashes.

hash = SHA-256(hash before, then the row as canonical JSON). A row changed, taken out or put in between breaks the chain;
rows cut off at the end are found against a head that was noted elsewhere (`head`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from engine.database import Connection
from engine.times import from_datetime, to_datetime, to_iso

_LOCK = 7_261_550
_START = b"\0" * 32
_COLUMNS = "SELECT number, at, actor, roles, via, action, subject, reason, case_ref, detail, hash FROM audit_entry"


class Entry(NamedTuple):
    """What is to be said of one act; `detail` is plain data, never a position."""

    actor: str
    roles: str
    via: str
    action: str
    subject: str = ""
    reason: str = ""
    case_ref: str = ""
    detail: Mapping[str, Any] = {}


class Row(NamedTuple):
    """One row as it is kept; times [us]."""

    number: int
    at_us: int
    actor: str
    roles: str
    via: str
    action: str
    subject: str
    reason: str
    case_ref: str
    detail: str
    hash: bytes


class Verdict(NamedTuple):
    """Number of rows that hold, the last hash, and what is wrong with the first that does not (empty: nothing)."""

    n_rows: int
    head: str
    broken: str


def write(connection: Connection, entry: Entry, now_us: int) -> int:
    """Append one row in the caller's transaction; returns its number. Rows of other transactions wait for its end."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    last = connection.execute("SELECT number, hash FROM audit_entry ORDER BY number DESC LIMIT 1").fetchone()
    number, before = (last[0] + 1, last[1]) if last else (1, _START)
    detail = msgspec.json.encode(entry.detail, order="sorted").decode()
    row = Row(number, now_us, *entry[:-1], detail, b"")
    connection.execute(
        "INSERT INTO audit_entry (number, at, actor, roles, via, action, subject, reason, case_ref, detail, hash)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [number, to_datetime(now_us), *row[2:-1], hash_of(before, row)],
    )
    return number


def hash_of(before: bytes, row: Row) -> bytes:
    """The hash of a row that follows the one with the hash before."""
    told = {**row._asdict(), "at_us": to_iso(row.at_us)}
    del told["hash"]
    return sha256(before + msgspec.json.encode(told, order="sorted")).digest()


def rows(connection: Connection, *, actor: str = "", subject: str = "", action: str = "", before: int | None = None,
         most: int = 100) -> list[Row]:  # fmt: skip
    """Rows, the newest first; `before` is a number from which on they are left out."""
    where = " AND ".join(["number < %(before)s", *(f"{n} = %({n})s" for n, v in
                          (("actor", actor), ("subject", subject), ("action", action)) if v)])  # fmt: skip
    given = {"before": before or 2**62, "actor": actor, "subject": subject, "action": action, "most": most}
    found = connection.execute(f"{_COLUMNS} WHERE {where} ORDER BY number DESC LIMIT %(most)s".encode(), given)
    return [_row(row) for row in found]


def verify(connection: Connection, head: str = "") -> Verdict:
    """Look at every row. head: a hash noted earlier, which must be that of some row."""
    before, n_rows, met = _START, 0, not head
    for row in _all(connection):
        if row.number != n_rows + 1:
            return Verdict(n_rows, before.hex(), f"row {n_rows + 1} is missing: row {row.number} follows row {n_rows}")
        if hash_of(before, row) != row.hash:
            return Verdict(n_rows, before.hex(), f"row {row.number} is not what was written: its hash does not come out")
        before, n_rows = row.hash, row.number
        met = met or before.hex() == head.lower()
    return Verdict(n_rows, before.hex(), "" if met else f"no row has the hash {head}: rows at the end are missing")


def _all(connection: Connection) -> Iterator[Row]:
    with connection.transaction(), connection.cursor("audit") as cursor:
        cursor.itersize = 5_000
        cursor.execute(f"{_COLUMNS} ORDER BY number".encode())
        yield from map(_row, cursor)


def _row(row: tuple[Any, ...]) -> Row:
    return Row(row[0], from_datetime(row[1]), *row[2:])
