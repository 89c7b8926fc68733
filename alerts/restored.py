"""The ledger after its database was put back to an earlier state: what was told meanwhile is not known here.

Numbers go on far above those that may have been given, so that no receiver takes news for something it had. Of every alert that
recovery changed its last version is told once, under an identifier of its own; what was pending is told as it would have been.
"""

from __future__ import annotations

from engine.database import Connection

FAR = 1_000_000
"""More versions, notices or changes than come between two backups."""
_NUMBERS = (
    "UPDATE alert_numbers SET raised = greatest(raised, (SELECT coalesce(max(raised), -1) FROM alert)),"
    " seq = greatest(seq, (SELECT coalesce(max(seq), 0) FROM alert_version)) + %s"
)
_NEWS = (
    "SELECT o.id, row_number() OVER (PARTITION BY o.alert_id, o.channel ORDER BY o.version DESC) AS place"
    " FROM outbox o JOIN alert_version v ON v.id = o.alert_id AND v.version = o.version"
    " WHERE o.kind = 'version' AND o.notice = 0 AND o.status = 'pending' AND v.seq > (SELECT seq FROM alert_numbers)"
)


def number_far_on(connection: Connection) -> None:
    """Have versions, notices and changes numbered from far above the last that is known, in the caller's transaction."""
    connection.execute(_NUMBERS, [FAR])
    for table, column in (("handling_notice", "id"), ("alert_change", "number")):
        connection.execute(
            f"SELECT setval(s::regclass, coalesce(pg_sequence_last_value(s::regclass), 0) + {FAR})"
            f" FROM (SELECT pg_get_serial_sequence('{table}', '{column}') AS s) t".encode()
        )


def tell_once(connection: Connection) -> int:
    """Leave in the outbox, of what was decided since `number_far_on`, the last version of each alert for each channel, under an
    identifier that was never given; returns how many. In the caller's transaction, before anything of it is delivered."""
    connection.execute(f"DELETE FROM outbox WHERE id IN (SELECT id FROM ({_NEWS}) n WHERE place > 1)".encode())
    return connection.execute(
        "UPDATE outbox SET notice = (SELECT seq FROM alert_numbers)"
        f" WHERE id IN (SELECT id FROM ({_NEWS}) n WHERE place = 1)".encode()
    ).rowcount
