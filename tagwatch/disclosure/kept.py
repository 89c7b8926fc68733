"""For how long data are kept, what stops that, and what was erased: of the tables of retention, where they are there."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from engine.database import Connection
from tagwatch.disclosure.values import Told

_OF_WEARER = {
    "retention_term": "SELECT * FROM retention_term WHERE wearer = %(w)s ORDER BY kind",
    "legal_hold": "SELECT * FROM legal_hold WHERE wearers = '{}' OR %(w)s = ANY(wearers) ORDER BY number",
    "erasure": "SELECT * FROM erasure WHERE wearer = %(w)s OR wearer IS NULL ORDER BY number",
    "horizon": "SELECT * FROM horizon WHERE wearer = %(w)s",
}
_OF_CASE = {
    "legal_hold": "SELECT * FROM legal_hold WHERE (force = %(force)s AND reference = %(reference)s)"
    " OR (reference IS NULL AND (wearers = '{}' OR wearers && %(wearers)s)) ORDER BY number",
    "erasure": "SELECT * FROM erasure WHERE wearer IS NULL OR wearer = ANY(%(wearers)s) ORDER BY number",
    "horizon": "SELECT * FROM horizon WHERE wearer = ANY(%(wearers)s) ORDER BY wearer",
}


def kept_of(connection: Connection, told: Told, wearer: str) -> dict[str, list[dict[str, Any]]]:
    """Terms, holds, erasures and horizon of a wearer, by table; of a hold no other wearer is named."""
    found = _read(connection, told, _OF_WEARER, {"w": wearer})
    for hold in found.get("legal_hold", []):
        hold["wearers"] = [wearer] if hold["wearers"] else []
    return found


def kept_for(
    connection: Connection, told: Told, force: str, reference: str, wearers: list[str]
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Holds, erasures and horizons that concern a case or the wearers in it, by table."""
    return _read(connection, told, _OF_CASE, {"force": force, "reference": reference, "wearers": wearers})


def _read(
    connection: Connection, told: Told, queries: dict[str, str], given: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    found = {}
    for table, query in queries.items():
        there = connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
        if there and there[0] is not None:
            with connection.cursor(row_factory=dict_row) as cursor:
                found[table] = [told.row(row) for row in cursor.execute(query.encode(), given)]
    return found
