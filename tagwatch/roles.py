"""Least-privilege roles of the database: what the service, a report and a backup may do. The owner, who migrates, is whoever
owns the tables; everything that is not granted here is refused by the server."""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg
from psycopg import sql

from engine.database import Connection
from engine.errors import InputError, StoreError

APPEND, KEEP, ALL = "INSERT", "INSERT, UPDATE", "INSERT, UPDATE, DELETE"
SERVICE = {
    "fix": "INSERT, UPDATE (received_s)",  # a repeat that had arrived earlier
    "device_event": "INSERT, UPDATE (received)",
    "device": KEEP,
    "device_sequence": KEEP,
    "fix_writer": KEEP,
    "fix_hour": ALL,  # made from the fixes, and made again
    "fix_hour_stale": ALL,
    "fix_import": APPEND,
    "quarantine": APPEND,
    "alert": KEEP,
    "alert_version": APPEND,
    "alert_change": "INSERT, DELETE",  # news for open consoles; old ones go
    "handling_action": APPEND,
    "handling_notice": KEEP,
    "outbox": KEEP,
    "configuration": KEEP,
    "crime_batch": APPEND,
    "crime_version": APPEND,
    "crime_seen_again": APPEND,
    "background_crime": APPEND,
    "run": APPEND,
    "run_crime": APPEND,
    "run_result": APPEND,
    "run_made": APPEND,
    "account": KEEP,
    "force_grant": KEEP,
    "session": ALL,
    "opened_person": ALL,
    "api_token": KEEP,
    "audit_entry": APPEND,
    "legal_hold": KEEP,
    "horizon_number": "UPDATE",  # to lock its row; it is moved by who erases
    "leader": "UPDATE",
}
"""By table what the service may do besides reading. Erasure, compression and migrations are the owner's."""
UNREPORTED = {
    "fix", "fix_readable", "fix_hour", "device_event", "quarantine", "account", "session", "opened_person", "api_token",
    "configuration",
}  # fmt: skip
"""What a report does not see: where somebody was, and who may sign in."""
REPORTED = {
    "alert": "id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, handling, handling_since,"
    " waiting_since, escalations, shelved_until, outcome",
    "alert_version": "seq, id, version, reason, as_of, late_s, latency_ms",
    "run_result": "run, number, force, reference, version, wearer, verdict, support",
    "audit_entry": "number, at, actor, roles, via, action",
}
"""Of these it sees some columns: the others hold positions, or words of people."""
_TABLES = (
    "SELECT c.relname, c.relkind IN ('v', 'm') FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
    " AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    " AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1"
)
_NOT_OURS = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND NOT pg_has_role(tableowner, 'USAGE')"
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Granted(NamedTuple):
    """The roles, which of them were made, and of how many tables the rights were set."""

    service: str
    reader: str
    backup: str
    made: tuple[str, ...]
    n_tables: int


def grant(connection: Connection, prefix: str = "tagwatch") -> Granted:
    """Make the roles where they are lacking, and set their rights anew, in one transaction. To be repeated after migrations.

    The connection is that of the tables' owner. StoreError where it is not, or may not make a role.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InputError(field="--prefix", value=prefix, expected="small letters, digits and _")
    service, reader, backup = (f"{prefix}_{name}" for name in ("service", "reader", "backup"))
    with connection.transaction():
        row = connection.execute(_NOT_OURS).fetchone()
        if row and row[0]:
            raise StoreError("rights are set by who owns the tables: connect as that role")
        made = tuple(name for name in (service, reader, backup) if _make(connection, name))
        tables = [name for name, _ in connection.execute(_TABLES)]
        for name in (service, reader, backup):
            _clear(connection, name)
        for table in tables:
            _on(connection, service, table, "SELECT")
            _on(connection, backup, table, "SELECT")
            if table in SERVICE:
                _on(connection, service, table, SERVICE[table])
            if table in REPORTED:
                _on(connection, reader, table, f"SELECT ({REPORTED[table]})")
            elif table not in UNREPORTED:
                _on(connection, reader, table, "SELECT")
        _run(connection, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}", service)
        _run(connection, "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", backup)
    return Granted(service, reader, backup, made, len(tables))


def _make(connection: Connection, name: str) -> bool:
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None:
        return False
    try:
        _run(connection, "CREATE ROLE {} LOGIN", name)
    except psycopg.errors.InsufficientPrivilege:
        raise StoreError(f"this role may not make roles: have an administrator do CREATE ROLE {name} LOGIN") from None
    return True


def _clear(connection: Connection, name: str) -> None:
    """Take all rights; what a table's or the schema's everybody may is taken too."""
    database = sql.Identifier(connection.info.dbname)
    _run(connection, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}", name)
    _run(connection, "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}", name)
    _run(connection, "REVOKE CREATE ON SCHEMA public FROM {}", name)
    _run(connection, "GRANT USAGE ON SCHEMA public TO {}", name)
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(name)))
    if name.endswith("_service"):  # crimes are imported by way of a table that lasts as long as the transaction
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(database, sql.Identifier(name)))


def _on(connection: Connection, name: str, table: str, rights: str) -> None:
    connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), sql.Identifier(table), sql.Identifier(name)))


def _run(connection: Connection, statement: str, name: str) -> None:
    connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
