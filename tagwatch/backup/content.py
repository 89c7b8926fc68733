"""What is in a database, table by table: the number of rows, and a digest that does not hang on their order."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from engine.database import Connection
from tagwatch.backup.manifest import Table

_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND (c.relkind IN ('r', 'p') OR c.relname = ANY(%s))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname
"""
_DERIVED = ["fix_hour"]
"""What is a view where the server keeps its rows itself, and a table where it does not."""
_PASSING = {"yoyo_lock"}
"""Tables whose rows mean nothing to anybody else."""
_SUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} t"
_USERS = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
"""
_SEQUENCES = "SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"


def tables_of(connection: Connection, tell: Callable[[int], None] = lambda n: None) -> dict[str, Table]:
    """Every table of the schema `public`, with rows and digest; within the caller's snapshot. `tell` hears rows so far."""
    names = [name for (name,) in connection.execute(_TABLES, [_DERIVED]) if name not in _PASSING]
    found, n_all = dict[str, Table](), 0
    for name in names:
        row = connection.execute(sql.SQL(_SUM).format(sql.Identifier(name))).fetchone()
        assert row is not None
        found[name] = Table(int(row[0]), row[1])
        n_all += int(row[0])
        tell(n_all)
    return found


def sequences_of(connection: Connection) -> dict[str, int]:
    """The last value of every sequence, 0 where none was given."""
    return {name: int(last) for name, last in connection.execute(_SEQUENCES)}


def differences(wanted: dict[str, Table], found: dict[str, Table]) -> list[str]:
    """What is not the same, a sentence a table."""
    told = []
    for name in sorted(wanted.keys() | found.keys()):
        one, other = wanted.get(name), found.get(name)
        if one is None or other is None:
            told.append(f"{name} is {'not ' if other is None else ''}there")
        elif one.n_rows != other.n_rows:
            told.append(f"{name} has {other.n_rows} rows instead of {one.n_rows}")
        elif one != other:
            told.append(f"{name} has other rows")
    return told


def is_empty(connection: Connection) -> bool:
    """Whether nothing of anybody's is in the database; what an extension brings does not count."""
    row = connection.execute(_USERS.encode()).fetchone()
    return row is not None and row[0] == 0


def migrations_of(connection: Connection) -> list[str]:
    """The migrations that this database has had."""
    row = connection.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
    if row is None or row[0] is None:
        return []
    return [name for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY migration_id")]
