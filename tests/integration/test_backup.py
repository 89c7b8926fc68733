"""Backups over real servers: what is put back is what was there, what came since is taken from the raw log, nothing is told
blindly twice; and whatever is cut off, changed or not suited is told in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from engine import database, timescale
from engine.database import connect
from engine.errors import InputError, StoreError
from engine.store.hours import HourSummaries
from ingest.raw_verify import verify
from tagwatch.access import audit
from tagwatch.backup.check import check
from tagwatch.backup.content import differences, sequences_of, tables_of
from tagwatch.backup.make import finished, make
from tagwatch.backup.manifest import FILE
from tagwatch.backup.restore import recover_all, restore
from tagwatch.backup.tools import ToolError, environment_of, tool
from tagwatch.retention import holds
from tagwatch.retention.orders import Request
from tagwatch.retention.work import Actor, order
from tagwatch.service import ledger_content
from tagwatch.session import SCHEMAS, Session
from tagwatch.settings import Settings
from tests.integration.backup_world import (
    Feed,
    deliver_some,
    facts,
    handle_some,
    impose,
    rows,
    scene_of,
    settings_of,
)
from tests.integration.store_world import SERVERS, fresh_database, server_of, timescale_server

COMMAND = [sys.executable, "-c", "from tagwatch.cli import main; main()"]
ME = Actor("os:tester", "command")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_of(request.param, tmp_path_factory.mktemp("postgres")) as found:
        yield found


@contextmanager
def new(server: str) -> Iterator[str]:
    """A database without anything."""
    with fresh_database(server, ()) as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    with fresh_database(server, SCHEMAS) as made:
        yield made


def same_everywhere(url: str, other: str) -> None:
    """Every table's rows and every sequence."""
    with connect(url) as one, connect(other) as two:
        assert differences(tables_of(one), tables_of(two)) == []
        assert sequences_of(one) == sequences_of(two)


def test_a_backup_in_the_middle_and_the_newer_log_give_the_same(server: str, url: str, tmp_path: Path) -> None:
    scene, messages = scene_of()
    impose(url, scene)
    settings = settings_of(url, tmp_path)
    half, end_us = len(messages) // 2, messages[-1].received_us + 3600 * 1_000_000
    feed = Feed(settings, messages[0].received_us)
    feed.send(messages[:half])
    with connect(url) as connection:
        assert handle_some(connection, feed.now_us) > 2
        deliver_some(connection)
        connection.commit()
        HourSummaries(connection).refresh(feed.now_us // 1_000_000 - 3600)
        connection.rollback()
        timescale.compress(connection, feed.now_us // 1_000_000 + 86_400)
    made = make(settings, tmp_path / "backups", clock=lambda: feed.now_us)
    with connect(url) as connection:
        before = {"outbox": rows(connection, "SELECT * FROM outbox ORDER BY id"),
                  "handled": rows(connection, "SELECT * FROM handling_action ORDER BY alert_id, number"),
                  "audit": rows(connection, "SELECT * FROM audit_entry ORDER BY number")}  # fmt: skip
        assert before["audit"]
        assert {row[4] for row in before["outbox"]} == {"pending", "delivered"}
    feed.send(messages[half:])
    feed.close(end_us)
    assert check(made.folder).faults == []
    with new(server) as other:
        back = settings.model_copy(update={"database": settings.database.model_copy(update={"url": other})})
        done = restore(back, made.folder)
        assert done.recovered.n_fixes > 100
        Session(back, lambda: end_us, _counts(), 10.0).finish()
        assert ledger_content(other) == ledger_content(url)
        with connect(url) as one, connect(other) as two:
            assert facts(one) == facts(two)
            assert rows(two, "SELECT * FROM handling_action ORDER BY alert_id, number")[: len(before["handled"])]
            known = {row[:2] for row in before["handled"]}
            left = [r for r in rows(two, "SELECT * FROM handling_action ORDER BY alert_id, number") if r[:2] in known]
            assert left == before["handled"]
            assert rows(two, "SELECT * FROM audit_entry ORDER BY number")[: len(before["audit"])] == before["audit"]
            assert audit.verify(two, before["audit"][-1][-1].hex()).broken == ""
            old = {row[0]: row for row in before["outbox"]}
            assert [r for r in rows(two, "SELECT * FROM outbox ORDER BY id") if r[0] in old] == before["outbox"]
            news = rows(
                two,
                "SELECT alert_id, channel, version, notice, status, (SELECT max(version) FROM alert_version v WHERE"
                " v.id = alert_id AND v.seq <= s.last) FROM outbox, (SELECT max(seq) AS last FROM alert_version) s WHERE"
                f" kind = 'version' AND notice > 0 AND id > {max(old)}",
            )
            assert len(news) == done.n_told > 0
            assert len({row[:2] for row in news}) == len(news), "an alert is told once"
            assert all(row[4] == "pending" and row[3] >= 1_000_000 for row in news)
            numbers = rows(two, "SELECT count(*) FROM alert_version WHERE seq > 1000000")
            assert numbers[0][0] > 0
            database.require_restored(two)
        assert verify(settings.raw_log.folder).faults == []


def test_what_is_put_back_is_what_was_there(server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row by row, sequences, chunks in columns, continuous aggregates; the raw log byte by byte, into another folder."""
    scene, messages = scene_of(5, 4, 120)
    impose(url, scene)
    settings = settings_of(url, tmp_path)
    feed = Feed(settings, messages[0].received_us)
    feed.send(messages)
    feed.close()
    with connect(url) as connection:
        HourSummaries(connection).refresh(feed.now_us // 1_000_000)
        connection.rollback()
        timescale.compress(connection, feed.now_us // 1_000_000 + 86_400)
    made = make(settings, tmp_path / "backups", clock=lambda: feed.now_us)
    monkeypatch.setattr("tagwatch.backup.restore._prepare", lambda *a: None)
    monkeypatch.setattr("tagwatch.backup.restore._bring_up", lambda *a: (0, None, 0))
    with new(server) as other:
        back = settings_of(other, tmp_path / "elsewhere")
        restore(back, made.folder)
        same_everywhere(url, other)
        for query in (
            "SELECT * FROM fix_day ORDER BY device_id, day_s",
            "SELECT * FROM fix_hour ORDER BY device_id, hour_s",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1, 2",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        ):
            with connect(url) as one, connect(other) as two:
                assert rows(one, query) == rows(two, query), query
        with connect(other) as two, connect(url) as one:
            assert timescale.is_on(one) == timescale.is_on(two)
            if timescale.is_on(two):
                states = (
                    "SELECT range_start_integer, is_compressed FROM timescaledb_information.chunks"
                    " WHERE hypertable_name = 'fix' ORDER BY 1"
                )
                assert rows(one, states) == rows(two, states)
                assert any(row[1] for row in rows(two, states))
                assert timescale.switch_on(two) == []
    for path in settings.raw_log.folder.glob("raw-*.jsonl"):
        assert (tmp_path / "elsewhere/raw-log" / path.name).read_bytes() == path.read_bytes()


def _counts():
    from tagwatch.counts import Counts

    return Counts()


@pytest.mark.timescaledb
def test_a_database_with_another_version_of_the_extension_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As images of TimescaleDB make it in every new database; nothing is loaded into that."""
    server = timescale_server()
    with fresh_database(server, SCHEMAS) as url, new(server) as other:
        scene, messages = scene_of(11, 4, 60)
        impose(url, scene)
        feed = Feed(settings_of(url, tmp_path), messages[0].received_us)
        feed.send(messages)
        feed.close()
        made = make(feed.settings, tmp_path / "out")
        version, text = made.manifest.timescaledb, (made.folder / FILE).read_text()
        (made.folder / FILE).write_text(text.replace(f'"timescaledb": "{version}"', '"timescaledb": "1.0.0"'))
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        back = settings_of(other, tmp_path / "elsewhere")
        with monkeypatch.context() as both:
            both.setattr("tagwatch.backup.restore._require_suits", lambda *a: None)  # a server that offers both
            with pytest.raises(StoreError, match=rf"has TimescaleDB {version}, the backup is of 1\.0"):
                restore(back, made.folder)
        (made.folder / FILE).write_text(text)
        assert restore(back, made.folder).n_rows > 100


# --- on plain PostgreSQL alone


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_of("plain", tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
def small(plain: str, tmp_path: Path) -> Iterator[Settings]:
    """A database and a raw log with a short scene in them."""
    with fresh_database(plain, SCHEMAS) as url:
        scene, messages = scene_of(11, 4, 60)
        impose(url, scene)
        settings = settings_of(url, tmp_path)
        feed = Feed(settings, messages[0].received_us)
        feed.send(messages)
        feed.close()
        yield settings


def file_of(settings: Settings, folder: Path) -> Path:
    """The settings as a file."""
    path = folder / f"{settings.database.url[-30:].partition('?')[0][-8:].replace('/', '')}.toml"
    path.write_text(
        f'[database]\nurl = "{settings.database.url}"\n[raw_log]\nfolder = "{settings.raw_log.folder}"\n'
        f'[webhook]\nurl = "{settings.webhook.url}"\nsecret = "{settings.webhook.secret}"\n'
    )
    return path


def slow_tools(settings: Settings, folder: Path, name: str, words: str) -> Path:
    """A folder with a tool that does something else first."""
    folder.mkdir()
    with connect(settings.database.url) as connection:
        real = tool(name, connection)
    script = f'#!/bin/sh\n[ "$1" = --version ] && exec {real} --version\n{words.format(real=real)}\n'
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return folder


def with_url(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": url})})


def test_closed_days_are_linked_and_what_changed_is_copied(small: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = make(small, out, clock=lambda: 1_774_800_000_000_000)
    two = make(small, out, clock=lambda: 1_774_800_001_000_000)
    days = sorted(p.name for p in small.raw_log.folder.glob("raw-*.jsonl"))
    assert len(days) == 2
    assert two.manifest.n_linked == 1
    assert one.manifest.n_linked == 0
    assert (two.folder / "raw-log" / days[0]).stat().st_nlink == 2
    assert (two.folder / "raw-log" / days[1]).stat().st_nlink == 1
    closed = one.folder / "raw-log" / days[0]
    closed.write_bytes(closed.read_bytes()[:-2] + b"X\n")  # the same size, other bytes: seen in both that share it
    assert check(one.folder).faults == check(two.folder).faults == [f"raw-log/{days[0]} was changed"]
    three = make(small, out, clock=lambda: 1_774_800_002_000_000)
    assert three.manifest.n_linked == 0
    assert check(three.folder).faults == []
    assert finished(out) == [one.folder, two.folder, three.folder]
    assert all(p.stat().st_mode & 0o077 == 0 for p in [*three.folder.rglob("*"), three.folder])
    told = json.loads((three.folder / "settings.json").read_text())
    assert told["raw_log"]["folder"]
    assert "secret" not in told["webhook"]
    assert "url" not in told["database"]


@pytest.mark.parametrize("name", ["database.dump", "raw-log/raw-2026-03-28.jsonl", FILE, "settings.json"])
def test_a_flipped_byte_is_found(small: Settings, plain: str, tmp_path: Path, name: str) -> None:
    folder = make(small, tmp_path / "out").folder
    path = folder / name
    data = bytearray(path.read_bytes())
    at = data.index(b'"digest"') + 12 if name == FILE else len(data) // 2
    data[at] ^= 1
    path.write_bytes(data)
    with new(plain) as other:
        if name == FILE:  # the files hold; the rows are not those that it tells
            with pytest.raises(StoreError, match="is not what was backed up"):
                restore(with_url(small, other), folder)
        else:
            assert check(folder).faults == [f"{name} was changed"]
            with pytest.raises(InputError, match=f"{name} was changed"):
                restore(with_url(small, other), folder)
            with connect(other) as connection:
                assert (
                    rows(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")[0][0] == 0
                )


def test_what_is_cut_off_is_no_backup_and_the_next_one_clears_it(small: Settings, tmp_path: Path) -> None:
    out, config = tmp_path / "out", file_of(small, tmp_path)
    tools = slow_tools(small, tmp_path / "tools", "pg_dump", "sleep 60")
    process = subprocess.Popen(
        [*COMMAND, "backup", "--out", str(out), "--tools", str(tools), "--config", str(config)], start_new_session=True
    )
    wait_for(lambda: any(out.glob("*.partial/*")))
    with pytest.raises(StoreError, match="another backup is being written"):
        make(small, out)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    [left] = out.glob("*.partial")
    with pytest.raises(InputError, match="is no finished backup"):
        check(left)
    assert finished(out) == []
    made = make(small, out)
    assert [p.name for p in out.iterdir() if p.is_dir()] == [made.folder.name]


def test_a_full_disk_ends_a_backup_and_leaves_nothing(small: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(out)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here: that needs root")
    try:
        with pytest.raises((StoreError, InputError), match="No space left|cannot be written|pg_dump failed"):
            make(small, out)
        assert [p.name for p in out.iterdir()] == [".lock"]
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_a_restore_that_is_killed_goes_on(small: Settings, plain: str, tmp_path: Path) -> None:
    folder = make(small, tmp_path / "out", clock=lambda: 1_774_730_000_000_000).folder
    with new(plain) as other:
        back = settings_of(other, tmp_path / "elsewhere")
        config = file_of(back, tmp_path)
        killed = slow_tools(back, tmp_path / "killed", "pg_restore", '( sleep 0.02; kill -9 $$ ) & exec {real} "$@"')
        with pytest.raises(ToolError, match="pg_restore failed"):
            restore(back, folder, killed)
        with (
            connect(other) as connection,
            pytest.raises(StoreError, match="was not finished: run `tagwatch restore` again"),
        ):
            database.require_restored(connection)
        words = [*COMMAND, "run", "--wait", "1", "--config", str(config)]
        told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 2  # no schema yet
        slow = slow_tools(back, tmp_path / "slow", "pg_restore", 'sleep 2; exec {real} "$@"')
        words = [*COMMAND, "restore", str(folder), "--tools", str(slow), "--config", str(config)]
        for _ in range(2):  # wherever it is then
            process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
            time.sleep(1.5)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        done = restore(back, folder)
        assert done.n_rows > 100
        assert ledger_content(other) == ledger_content(small.database.url)
        with connect(other) as one, connect(small.database.url) as two:
            assert facts(one) == facts(two)
            database.require_restored(one)
        with pytest.raises(StoreError, match="is not empty: restore into a new one"):
            restore(back, folder)


def test_recovery_that_is_cut_off_goes_on(
    small: Settings, plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagwatch.backup import recover as recovery

    scene, _ = scene_of(11, 4, 60)
    with fresh_database(plain, SCHEMAS) as other:
        impose(other, scene)
        back = with_url(small, other)
        taken, real = [0], recovery._Life.take

        def broken(life: recovery._Life, batch: list[object]) -> int:
            taken[0] += 1
            if taken[0] == 4:
                raise KeyboardInterrupt
            return real(life, batch)  # type: ignore[arg-type]

        monkeypatch.setattr(recovery._Life, "take", broken)
        with pytest.raises(KeyboardInterrupt):
            recover_all(back)
        with connect(other) as connection, pytest.raises(StoreError, match="was not finished"):
            database.require_restored(connection)
        with pytest.raises(StoreError, match="a restore of the raw log into this database was not finished"):
            restore(back, make(small, tmp_path / "out").folder)
        with pytest.raises(StoreError, match="was not finished"):
            make(back, tmp_path / "half")
        recover_all(back)
        assert ledger_content(other) == ledger_content(small.database.url)
        with connect(other) as one, connect(small.database.url) as two:
            assert facts(one) == facts(two)


def test_everything_from_the_raw_log_alone(small: Settings, plain: str) -> None:
    """The database is lost, and there is no backup: raw log and configuration files give fixes and ledger."""
    scene, _ = scene_of(11, 4, 60)
    with fresh_database(plain, SCHEMAS) as other:
        impose(other, scene)
        done = recover_all(with_url(small, other))
        assert done.recovered.n_broken == 0
        assert ledger_content(other) == ledger_content(small.database.url)
        assert len(ledger_content(other)) > 3
        with connect(other) as one, connect(small.database.url) as two:
            assert facts(one) == facts(two)
        with pytest.raises(StoreError, match="holds fixes: take a new one"):
            recover_all(with_url(small, other))


def test_what_was_erased_after_the_backup_is_erased_again(plain: str, tmp_path: Path) -> None:
    scene, messages = scene_of(11, 4, 60)
    with fresh_database(plain, SCHEMAS) as url, new(plain) as other:
        impose(url, scene)
        settings = settings_of(url, tmp_path)
        feed = Feed(settings, messages[0].received_us)
        feed.send(messages)
        feed.close()
        made = make(settings, tmp_path / "out", clock=lambda: feed.now_us)
        wearer = scene.activations.rows[0].wearer
        with connect(url) as connection:
            asked = Request(wearer, kinds=("positions", "raw", "quarantine", "alerts"), reason="by order", reference="C 1")
            receipt = order(connection, settings, asked, ME, feed.now_us)
            connection.rollback()
            left = facts(connection)
        assert receipt.state == "done"
        assert receipt.told["erased"]["fixes"] > 10
        back = with_url(settings, other)
        done = restore(back, made.folder)
        assert done.n_orders == 1
        with connect(other) as connection:
            assert facts(connection) == left
            assert rows(connection, f"SELECT count(*) FROM alert WHERE wearer = '{wearer}'") == [(0,)]
            assert rows(connection, "SELECT number, state, order_ref FROM erasure") == [(receipt.number, "done", "C 1")]
            assert holds.listed(connection) == []
        assert ledger_content(other) == ledger_content(url)
        assert verify(settings.raw_log.folder).faults == []
        with new(plain) as third:  # the log is lost too; of what was erased a copy was kept elsewhere
            back = settings_of(third, tmp_path / "elsewhere")
            back.raw_log.folder.mkdir(parents=True)
            for name in ("erasures.jsonl", "redactions.jsonl"):
                shutil.copy(settings.raw_log.folder / name, back.raw_log.folder)
            assert restore(back, made.folder).n_orders == 1
            with connect(third) as connection:
                assert facts(connection) == left
            log = verify(back.raw_log.folder)
            assert log.faults == []
            assert log.n_erased == verify(settings.raw_log.folder).n_erased > 0


def test_what_does_not_suit_is_told(small: Settings, plain: str, tmp_path: Path) -> None:
    made = make(small, tmp_path / "out")
    with pytest.raises(StoreError, match="is not empty"):
        restore(small, made.folder)
    with pytest.raises(InputError, match="is no finished backup"):
        restore(small, tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(ToolError, match="none was found"):
        make(small, tmp_path / "more", tmp_path / "none")
    old = tmp_path / "old"
    old.mkdir()
    (old / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    (old / "pg_dump").chmod(0o755)
    with pytest.raises(ToolError, match="is of version 9"):
        make(small, tmp_path / "more", old)
    text = (made.folder / FILE).read_text()
    with new(plain) as other:
        back = with_url(small, other)
        (made.folder / FILE).write_text(text.replace('"tagwatch-0002-retention"', '"tagwatch-9999-later"'))
        with pytest.raises(StoreError, match="made by a newer version of Tagwatch: tagwatch-9999-later"):
            restore(back, made.folder)
        (made.folder / FILE).write_text(text.replace('"timescaledb": ""', '"timescaledb": "1.0.0"'))
        with pytest.raises(StoreError, match=r"of TimescaleDB 1\.0\.0; this server offers"):
            restore(back, made.folder)
        (made.folder / FILE).write_text(text)
        strange = settings_of(other, tmp_path / "strange")
        feed = Feed(with_url(strange, small.database.url), 1_774_900_000_000_000)
        feed.send([m._replace(payload=b"{other") for m in scene_of(11, 4, 60)[1][:40]])
        feed.close()
        with pytest.raises(InputError, match="is not the log that the backup was made of"):
            restore(strange, made.folder)
        shutil.rmtree(tmp_path / "strange")
        assert restore(strange, made.folder).n_rows > 100
    assert set(environment_of("postgresql://kim:p%40ss@db:5433/tw?sslmode=verify-full")) >= {"PGPASSWORD", "PGSSLMODE"}


def wait_for(holds: object, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_older_and_newer_schemas_are_refused_in_a_line(plain: str) -> None:
    with fresh_database(plain, SCHEMAS) as url, connect(url) as connection:
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = 'tagwatch-0002-retention'")
        with pytest.raises(StoreError, match="the database lacks tagwatch-0002-retention: run `tagwatch db init`"):
            database.require_schema(connection, SCHEMAS)
        connection.rollback()
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('x', 'engine-9999-x', now())"
        )
        with pytest.raises(
            StoreError, match="engine-9999-x, which this version does not know: it belongs to a newer version"
        ):
            database.require_schema(connection, SCHEMAS)
        connection.rollback()
