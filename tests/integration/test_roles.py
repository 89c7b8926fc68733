"""The least-privilege roles on real servers: the service and all it does runs under its role, and the server refuses the rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from engine import timescale
from engine.database import connect, require_restored
from engine.errors import InputError, StoreError
from tagwatch import configuration
from tagwatch.access import audit
from tagwatch.backup.check import check
from tagwatch.backup.content import tables_of
from tagwatch.backup.make import make
from tagwatch.backup.restore import restore
from tagwatch.retention.policy import run_policy
from tagwatch.roles import SERVICE, UNREPORTED, Granted, grant
from tagwatch.service import ledger_content
from tagwatch.session import SCHEMAS
from tagwatch.upkeep import keep_up
from tests.integration.backup_world import Feed, deliver_some, facts, handle_some, impose, scene_of, settings_of
from tests.integration.store_world import SERVERS, fresh_database, server_of, url_of

REFUSED = (psycopg.errors.InsufficientPrivilege,)
APPENDED = (
    "audit_entry",
    "handling_action",
    "alert_version",
    "run_made",
    "run",
    "run_result",
    "crime_version",
    "quarantine",
)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_of(request.param, tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture(scope="module")
def owner(server: str) -> Iterator[str]:
    """A database that belongs to a role which is no superuser."""
    name = f"o{uuid.uuid4().hex[:8]}_owner"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN CREATEROLE'.encode())
    with fresh_database(server, (), role=name) as url:
        with (
            psycopg.connect(
                url_of(server, dbname=psycopg.conninfo.conninfo_to_dict(url)["dbname"]), autocommit=True
            ) as one,
            suppress(psycopg.Error),
        ):  # an administrator brings the extension
            one.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        from engine.database import migrate

        migrate(url, SCHEMAS)
        yield url
    with psycopg.connect(server, autocommit=True) as connection:
        for row in connection.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [name[:9]]).fetchall():
            connection.execute(f'DROP ROLE "{row[0]}"'.encode())


@pytest.fixture(scope="module")
def granted(owner: str) -> Granted:
    prefix = str(psycopg.conninfo.conninfo_to_dict(owner)["user"]).removesuffix("_owner")
    with connect(owner) as connection:
        first = grant(connection, prefix)
        assert len(first.made) == 3
        assert grant(connection, prefix) == first._replace(made=())
    return first


def as_role(url: str, role: str) -> str:
    return url_of(url, user=role)


def test_the_service_runs_under_its_role_alone(owner: str, granted: Granted, tmp_path: Path) -> None:
    scene, messages = scene_of(11, 4, 60)
    url = as_role(owner, granted.service)
    impose(url, scene)
    settings = settings_of(url, tmp_path)
    feed = Feed(settings, messages[0].received_us)
    feed.send(messages[: len(messages) // 2])
    with connect(url) as connection:
        assert handle_some(connection, feed.now_us) > 0
        deliver_some(connection)
        connection.commit()
        if timescale.is_on(connection):  # summaries and columns are the owner's: `upkeep_url`
            with pytest.raises(REFUSED):
                keep_up(connection, feed.now_us + 4 * 86_400_000_000)
        else:
            assert keep_up(connection, feed.now_us + 4 * 86_400_000_000).until_s > 0
            connection.execute("DELETE FROM fix_hour_stale")
            connection.rollback()
    with connect(owner) as connection:
        keep_up(connection, feed.now_us + 4 * 86_400_000_000)
        assert run_policy(connection, settings, feed.now_us).state == "not in force"
    feed.send(messages[len(messages) // 2 :])
    feed.send(messages[:50])  # again, into columns too, and earlier ones
    with connect(url) as connection:
        configuration.save(connection, feed.now_us, zones=scene.changes[0].zones)
        audit.write(connection, audit.Entry("kim", "", "console", "signed in"), feed.now_us)
    feed.now_us += 60_000_000
    feed.session.turn()
    feed.close()
    assert len(ledger_content(url)) > 3
    with connect(url) as connection:
        assert audit.verify(connection).broken == ""
        assert len(facts(connection)["fix"]) > 100


@pytest.mark.parametrize("table", APPENDED)
@pytest.mark.parametrize(
    "deed", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}", "ALTER TABLE {} ADD x int"]
)
def test_what_is_appended_to_is_not_changed(owner: str, granted: Granted, table: str, deed: str) -> None:
    with connect(as_role(owner, granted.service)) as connection:
        row = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", [table])
        column = row.fetchone()[0]  # type: ignore[index]
        with pytest.raises(REFUSED):
            connection.execute(deed.format(table, column, column).encode())


def test_the_schema_is_the_owners(owner: str, granted: Granted) -> None:
    for role in (granted.service, granted.reader, granted.backup):
        for deed in (
            "CREATE TABLE x ()", "CREATE SCHEMA x", "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DELETE FROM fix",
            "ALTER TABLE handling_action DISABLE TRIGGER USER", "CREATE ROLE x", "SET ROLE postgres", "DELETE FROM _yoyo_migration",
            "DROP TRIGGER audit_entry_appended ON audit_entry", "UPDATE fix SET lat_e7 = 0", "ALTER DATABASE template1 SET a.b = 'c'",
        ):  # fmt: skip
            with connect(as_role(owner, role)) as connection, pytest.raises(psycopg.Error) as told:
                connection.execute(deed.encode())
            assert told.value.sqlstate in ("42501", "22023"), deed


def test_a_report_sees_no_position_and_changes_nothing(owner: str, granted: Granted) -> None:
    with connect(as_role(owner, granted.reader)) as connection:
        assert connection.execute("SELECT count(*) FROM alert").fetchone()
        connection.execute("SELECT rule, grade, handling, count(*) FROM alert GROUP BY 1, 2, 3")
        connection.execute("SELECT actor, action FROM audit_entry")
        connection.execute("SELECT * FROM fix_day")
        for query in (*(f"SELECT * FROM {t}" for t in UNREPORTED), "SELECT content FROM alert", "SELECT line FROM run_result",
                      "SELECT detail FROM audit_entry", "UPDATE outbox SET status = 'dead'"):  # fmt: skip
            with pytest.raises(REFUSED), connection.transaction():
                connection.execute(query.encode())


def test_a_backup_is_made_by_who_may_only_read(owner: str, granted: Granted, tmp_path: Path) -> None:
    made = make(settings_of(as_role(owner, granted.backup), tmp_path), tmp_path / "out")
    assert check(made.folder).faults == []
    with connect(owner) as connection:
        assert made.manifest.tables == tables_of(connection)


def test_a_backup_is_put_back_by_the_owner(owner: str, granted: Granted, server: str, tmp_path: Path) -> None:
    """TimescaleDB asks for a superuser while it is put back; what is there afterwards is the owner's all the same."""
    role = str(psycopg.conninfo.conninfo_to_dict(owner)["user"])
    prefix = role.removesuffix("_owner")
    with fresh_database(server, SCHEMAS, role) as url, fresh_database(server, (), role) as other:
        scene, messages = scene_of(11, 4, 60)
        impose(url, scene)
        feed = Feed(settings_of(url, tmp_path), messages[0].received_us)
        feed.send(messages)
        feed.close()
        with connect(url) as connection:
            grant(connection, prefix)
            keep_up(connection, feed.now_us + 4 * 86_400_000_000)
        made = make(settings_of(as_role(url, granted.backup), tmp_path), tmp_path / "out")
        back = settings_of(other, tmp_path / "elsewhere")
        if made.manifest.timescaledb:
            with pytest.raises(StoreError, match=f'ALTER ROLE "{role}" SUPERUSER'):
                restore(back, made.folder)
            with superuser(server, role):
                restore(back, made.folder)
        else:
            restore(back, made.folder)
        with connect(other) as connection:
            require_restored(connection)
            grant(connection, prefix)
            keep_up(connection, feed.now_us + 4 * 86_400_000_000)
        again = make(settings_of(as_role(other, granted.backup), tmp_path / "elsewhere"), tmp_path / "again")
        assert again.manifest.tables["fix"] == made.manifest.tables["fix"]
        with connect(as_role(url, granted.service)) as one, connect(as_role(other, granted.service)) as two:
            assert facts(one) == facts(two)
            assert len(facts(two)["fix"]) > 100


@contextmanager
def superuser(server: str, role: str) -> Iterator[None]:
    """Within this the role is one."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER ROLE "{role}" SUPERUSER'.encode())
        try:
            yield
        finally:
            connection.execute(f'ALTER ROLE "{role}" NOSUPERUSER'.encode())


def test_rights_are_set_by_the_owner_and_of_every_table(owner: str, granted: Granted) -> None:
    with connect(as_role(owner, granted.service)) as connection, pytest.raises(StoreError, match="by who owns the tables"):
        grant(connection, "tagwatch")
    with connect(owner) as connection:
        with pytest.raises(InputError, match="--prefix"):
            grant(connection, 'x"; DROP')
        there = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        views = {name for (name,) in connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'")}
    assert set(SERVICE) <= there | views, "a table that is no more"
    assert there | views >= UNREPORTED
