"""Everything held of alerts: the present, every version, what people did, and whom it was sent to; retracted ones too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from alerts.alert import ends_before, from_json
from engine.database import Connection
from engine.times import to_datetime

_AT_ONCE = 200
_BEHIND = {
    "versions": "SELECT * FROM alert_version WHERE id = ANY(%s) ORDER BY id, version",
    "actions": "SELECT * FROM handling_action WHERE alert_id = ANY(%s) ORDER BY alert_id, number",
    "notices": "SELECT * FROM handling_notice WHERE alert_id = ANY(%s) ORDER BY alert_id, number",
    "sent": "SELECT * FROM outbox WHERE alert_id = ANY(%s) ORDER BY alert_id, id",
}


class HeldAlert(NamedTuple):
    """An alert as its tables hold it, rows as dictionaries by column."""

    row: dict[str, Any]
    versions: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    notices: list[dict[str, Any]]
    sent: list[dict[str, Any]]


def held_alerts(
    connection: Connection, wearers: Sequence[str], from_us: int | None = None, to_us: int | None = None
) -> Iterator[HeldAlert]:
    """The alerts of these wearers, in the order in which they were raised; between two instants those that meet [from_us,
    to_us], with those that go on. Read in portions, in the caller's transaction."""
    query = (
        "SELECT id FROM alert WHERE wearer = ANY(%s) AND (%s::timestamptz IS NULL OR began <= %s) ORDER BY raised_at, id"
    )
    until = None if to_us is None else to_datetime(to_us)
    ids = [row[0] for row in connection.execute(query, [list(wearers), until, until])]
    for start in range(0, len(ids), _AT_ONCE):
        for held in _portion(connection, ids[start : start + _AT_ONCE]):
            if from_us is None or not ends_before(from_json(held.row["content"]), from_us):
                yield held


def has_alerts(connection: Connection, wearer: str) -> bool:
    """Whether any alert of a wearer is held."""
    return connection.execute("SELECT FROM alert WHERE wearer = %s LIMIT 1", [wearer]).fetchone() is not None


def _portion(connection: Connection, ids: list[str]) -> list[HeldAlert]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = {row["id"]: row for row in cursor.execute("SELECT * FROM alert WHERE id = ANY(%s)", [ids])}
        behind: dict[str, dict[str, list[dict[str, Any]]]] = {key: {name: [] for name in _BEHIND} for key in ids}
        for name, query in _BEHIND.items():
            for row in cursor.execute(query.encode(), [ids]):
                behind[row["id"] if name == "versions" else row["alert_id"]][name].append(row)
    return [HeldAlert(rows[key], **behind[key]) for key in ids]
