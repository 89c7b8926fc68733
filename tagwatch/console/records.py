"""What the console reads of the database: alerts, their versions, counts, latest positions. It never writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from engine.database import Connection, connect
from engine.times import to_iso
from tagwatch.console.wording import GRADES

_COLUMNS = (
    "SELECT a.id, a.version, a.condition, a.handling, a.content, r.late_s, (extract(epoch FROM r.as_of) * 1000000)::bigint"
    " FROM alert a JOIN alert_version r ON r.id = a.id AND r.version = 1"
)
_OPEN = "(a.condition = 'active' OR (a.condition = 'cleared' AND a.handling IN ('new', 'escalated')))"
_IN_ORDER = f" ORDER BY array_position(ARRAY{list(GRADES)!r}, a.grade), a.began DESC, a.id"
_VERSIONS = (
    "SELECT seq, version, reason, content, (extract(epoch FROM as_of) * 1000000)::bigint, late_s, latency_ms"
    " FROM alert_version WHERE id = %s ORDER BY version"
)
# Whose a fix is depends on when it was taken: tags are handed on. A tag that nobody wore then goes by its own name.
_POSITIONS = (
    "SELECT DISTINCT ON (1) coalesce(w.wearer, d.name), f.lat_e7 / 1e7, f.lon_e7 / 1e7,"
    " (extract(epoch FROM f.time) * 1000000)::bigint FROM device d CROSS JOIN LATERAL (SELECT lat_e7, lon_e7, time FROM fix"
    " WHERE fix.device_id = d.device_id ORDER BY time DESC LIMIT 1) f LEFT JOIN LATERAL (SELECT content->>'wearer'"
    " AS wearer FROM configuration WHERE kind = 'activation' AND replaced IS NULL AND content->>'device' = d.name"
    " AND (content->>'from_us')::timestamptz <= f.time"
    " AND (content->>'to_us' = '' OR f.time < (content->>'to_us')::timestamptz) LIMIT 1) w ON true ORDER BY 1, f.time DESC"
)
_COUNTS = {
    "wearers": "SELECT count(DISTINCT content->>'wearer') FROM configuration WHERE kind IN ('wearer', 'activation')"
    " AND replaced IS NULL",
    "fixes_stored": "SELECT count(*) FROM fix",
    "alerts": "SELECT count(*) FROM alert WHERE condition <> 'retracted'",
}


class AlertRecord(NamedTuple):
    """One alert as it stands; `condition` knows of a retraction, which the content does not. Times are ISO UTC."""

    id: str
    version: int
    condition: str
    handling: str
    content: dict[str, Any]
    late_s: float
    raised: str

    def to_dict(self) -> dict[str, Any]:
        """The content, then what the ledger adds."""
        told = {"id": self.id, "version": self.version, "handling": self.handling, "late_s": self.late_s}
        return {**self.content, "condition": self.condition, **told}


class VersionRecord(NamedTuple):
    """One step of an alert's history."""

    seq: int
    version: int
    reason: str
    content: dict[str, Any]
    as_of: str
    late_s: float
    latency_ms: float | None

    def to_dict(self) -> dict[str, Any]:
        """The content, then what the history adds."""
        return {**self.content, **{name: getattr(self, name) for name in self._fields if name != "content"}}


class Position(NamedTuple):
    """Where a wearer was last [degrees]; `time` is ISO UTC."""

    wearer: str
    lat: float
    lon: float
    time: str


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A read-only connection for one request, on one snapshot; UnreachableError at once where the server is not there."""
    connection = connect(url, wait_s=0.0)
    try:
        connection.read_only = True
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield connection
    finally:
        connection.close()


def open_alerts(connection: Connection) -> list[AlertRecord]:
    """The queue: active or unhandled alerts, by grade, then newest first."""
    return [_record(row) for row in connection.execute(f"{_COLUMNS} WHERE {_OPEN}{_IN_ORDER}".encode())]


def all_alerts(connection: Connection, most: int) -> list[AlertRecord]:
    """Alerts that are not retracted, newest first."""
    query = f"{_COLUMNS} WHERE a.condition <> 'retracted' ORDER BY a.began DESC, a.id LIMIT %s"
    return [_record(row) for row in connection.execute(query.encode(), [most])]


def one_alert(connection: Connection, identifier: str) -> AlertRecord | None:
    """One alert, also a retracted one; None where there is none of this identifier."""
    row = connection.execute(f"{_COLUMNS} WHERE a.id = %s".encode(), [identifier]).fetchone()
    return None if row is None else _record(row)


def versions(connection: Connection, identifier: str) -> list[VersionRecord]:
    """The history of an alert, oldest first."""
    rows = connection.execute(_VERSIONS, [identifier])
    return [VersionRecord(r[0], r[1], r[2], msgspec.json.decode(r[3]), to_iso(r[4]), r[5], r[6]) for r in rows]


def latest_seq(connection: Connection) -> int:
    """The sequence number of the newest version, 0 where there is none."""
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM alert_version").fetchone()
    return int(row[0]) if row else 0


def counts(connection: Connection, told: Mapping[str, Any]) -> dict[str, int | None]:
    """The counts line: what the service tells, else what the database says; None where neither knows."""
    found: dict[str, int | None] = {"wearers": None, "messages": None, "fixes_stored": None, "alerts": None}
    for name in found:
        if told.get(name) is not None:
            found[name] = int(told[name])
        elif name in _COUNTS:
            row = connection.execute(_COUNTS[name].encode()).fetchone()
            found[name] = int(row[0]) if row else None
    return found


def positions(connection: Connection) -> list[Position]:
    """The newest fix of every wearer, under the name of the tag where nobody wore it at that time."""
    rows = connection.execute(_POSITIONS)
    return [Position(name, float(lat), float(lon), to_iso(time_us)) for name, lat, lon, time_us in rows]


def _record(row: tuple[Any, ...]) -> AlertRecord:
    identifier, version, condition, handling, content, late_s, raised_us = row
    return AlertRecord(identifier, version, condition, handling, msgspec.json.decode(content), late_s, to_iso(raised_us))
