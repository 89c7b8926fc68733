"""Copies of a wearer's data that are outside: evidence packs, disclosures and exports, as the audit log tells of them. They are
listed, never touched: what was handed over is evidence elsewhere."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.database import Connection
from engine.times import from_datetime, to_iso

_OF_WEARER = (
    "SELECT number, at, actor, action, case_ref, detail FROM audit_entry WHERE subject = %s"
    " AND (starts_with(action, 'evidence') OR starts_with(action, 'disclos')) ORDER BY number"
)
_OF_RUNS = (
    "SELECT number, at, actor, action, case_ref, subject FROM audit_entry"
    " WHERE action IN ('run exported', 'matches downloaded') AND EXISTS"
    " (SELECT FROM run_result r WHERE r.wearer = %s AND starts_with(r.run, audit_entry.subject) AND audit_entry.subject <> '')"
    " ORDER BY number"
)
_RUNS = "SELECT run, count(*) FROM run_result WHERE wearer = %s AND erased IS NULL GROUP BY run ORDER BY run"


def copies(connection: Connection, wearer: str) -> dict[str, Any]:
    """Packs and disclosures about a wearer, exports of runs that name him, and the runs that do: each with when and by whom."""
    about = [
        {**_told(*row[:5]), **msgspec.json.decode(row[5]).get("asked", msgspec.json.decode(row[5]))}
        for row in connection.execute(_OF_WEARER, [wearer])
    ]
    exports = [{**_told(*row[:5]), "run": row[5]} for row in connection.execute(_OF_RUNS, [wearer])]
    runs: dict[str, int] = dict(connection.execute(_RUNS, [wearer]).fetchall())
    return {"packs": about, "exports": exports, "runs": runs}


def _told(number: int, at: Any, actor: str, action: str, case_ref: str) -> dict[str, Any]:
    told = {"audit": number, "at": to_iso(from_datetime(at)), "by": actor, "what": action}
    return {**told, "case": case_ref} if case_ref else told
