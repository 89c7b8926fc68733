"""Terms in the database, of single wearers, and which term holds for whom."""

from __future__ import annotations

from typing import NamedTuple

from engine.database import Connection
from engine.times import from_datetime, to_datetime
from tagwatch.retention.terms import Term
from tagwatch.settings import Retention


class SetTerm(NamedTuple):
    """What was decided for one wearer and kind, why, by whom and when [us]."""

    wearer: str
    kind: str
    term: Term
    reason: str
    set_by: str
    set_us: int


class Policy:
    """Of a wearer the own term goes before that of the basis, and that before the one of everybody."""

    def __init__(self, settings: Retention, own: list[SetTerm]) -> None:
        self.settings = settings
        self._own = {(one.wearer, one.kind): one.term for one in own}

    def term(self, wearer: str, basis: str, kind: str) -> Term:
        """For how long a kind of data of a wearer is kept; an unknown basis has the terms of everybody."""
        return self._own.get((wearer, kind)) or self.settings.of_basis(kind, basis)


def set_terms(connection: Connection) -> list[SetTerm]:
    """The terms of single wearers, by wearer and kind."""
    rows = connection.execute(
        "SELECT wearer, kind, days, after_end, reason, set_by, set_at FROM retention_term ORDER BY wearer, kind"
    )
    return [SetTerm(w, kind, Term(days, after), why, by, from_datetime(at)) for w, kind, days, after, why, by, at in rows]


def set_term(connection: Connection, one: SetTerm) -> None:
    """Decide for one wearer and kind, in the caller's transaction."""
    connection.execute(
        "INSERT INTO retention_term (wearer, kind, days, after_end, reason, set_by, set_at) VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (wearer, kind) DO UPDATE SET days = EXCLUDED.days, after_end = EXCLUDED.after_end,"
        " reason = EXCLUDED.reason, set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at",
        [one.wearer, one.kind, *one.term, one.reason, one.set_by, to_datetime(one.set_us)],
    )


def clear_term(connection: Connection, wearer: str, kind: str) -> bool:
    """Have the settings file decide again; whether there was anything to clear."""
    rows = connection.execute("DELETE FROM retention_term WHERE wearer = %s AND kind = %s", [wearer, kind])
    return rows.rowcount > 0
