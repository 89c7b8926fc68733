"""Rows that somebody changed, took out or put into the database: `audit compare` finds each and names it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.handling import Action, Limits
from alerts.handling_store import act
from engine import database
from engine.times import MINUTE_US
from tagwatch.access import audit
from tests.integration.hostile_scene import T0_US, Centre, centre, park

ALERT = "(SELECT id FROM alert ORDER BY raised LIMIT 1)"


@pytest.fixture
def scene(url: str, tmp_path: Path) -> Iterator[Centre]:
    """Ann was in the park, an operator acknowledged it; her tag told of its battery."""
    with centre(url, tmp_path) as made:
        made.configure(zones=park())
        made.walk("ann", range(20), 300.0)
        made.walk("ann", range(20, 40), 1000.0)
        made.walk("ann", range(40, 60), 300.0)
        made.hear("tags/ann/events", b'[{"time":"2026-03-02T08:30:00Z","event":"battery","value":40}]')
        made.settle()
        with database.connect(url) as connection, connection.transaction():
            row = connection.execute("SELECT id FROM alert WHERE rule = 'zone.exclusion'").fetchone()
            assert row is not None
            audit.write(connection, audit.Entry("olga", "operator", "console", "alert: acknowledge", "ann",
                                                detail={"alert": row[0]}), made.now_us)  # fmt: skip
            act(connection, row[0], Action(kind="acknowledge", actor="olga", role="operator", at_us=made.now_us), Limits())
        yield made


def kinds(scene: Centre) -> list[str]:
    return sorted(scene.compared().differences)


def test_nothing_is_found_where_nobody_changed_anything(scene: Centre) -> None:
    found = scene.compared()
    assert found.told == []
    assert (found.counts["fixes"], found.counts["events"], found.counts["messages"]) == (60, 1, 7)
    assert (found.counts["alerts"], found.counts["actions of people"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE fix SET lat_e7 = lat_e7 + 90000 WHERE time_s = 1772440200", {"fix not stored", "fix in no message"}),
        ("UPDATE fix SET accuracy_cm = 801 WHERE time_s = 1772440200", {"fix not stored", "fix in no message"}),
        ("DELETE FROM fix WHERE time_s = 1772440200", {"fix not stored"}),
        ("UPDATE fix SET received_s = received_s - 1 WHERE time_s = 1772440200", {"arrival changed"}),
        ("INSERT INTO fix SELECT (jsonb_populate_record(f, '{\"time_s\": 1772440201}')).* FROM fix f"
         " WHERE time_s = 1772440200", {"fix in no message"}),
        ("DELETE FROM device_event", {"event not stored"}),
        ("UPDATE device_event SET value = '90'", {"event not stored", "event in no message"}),
    ],
)  # fmt: skip
def test_a_fix_or_event_that_was_changed_is_found_and_named(scene: Centre, change: str, expected: set[str]) -> None:
    scene.change(change)
    found = scene.compared()
    assert expected <= set(found.differences)
    assert any("ann at 2026-03-02T08:30:0" in one.what for one in found.told)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (f"UPDATE alert SET content = replace(content::text, 'exclusion', 'inclusion')::json WHERE id = {ALERT}",
         {"alert not as computed", "history ends otherwise", "alert against itself"}),
        (f"UPDATE alert SET condition = 'retracted' WHERE id = {ALERT}", {"alert not as computed"}),
        (f"UPDATE alert SET grade = 'low' WHERE id = {ALERT}", {"alert against itself"}),
        (f"UPDATE alert_version SET content = replace(content::text, '08:2', '08:1')::json WHERE id = {ALERT}"
         " AND version = (SELECT max(version) FROM alert_version)", {"history ends otherwise"}),
        (f"WITH gone AS (DELETE FROM outbox) DELETE FROM alert_version WHERE id = {ALERT} AND version = 1", {"history with a gap"}),
        (f"UPDATE alert SET handling = 'closed' WHERE id = {ALERT}", {"handling not as done"}),
    ],
)  # fmt: skip
def test_an_alert_that_was_changed_is_found_and_named(scene: Centre, change: str, expected: set[str]) -> None:
    scene.change(change)
    found = scene.compared()
    assert expected <= set(found.differences), found.told
    assert all(one.what.startswith("alert ") for one in found.told)


def test_an_action_is_only_appended_and_who_takes_the_guard_away_is_found(scene: Centre) -> None:
    change = "UPDATE handling_action SET actor = 'peter' WHERE actor = 'olga'"
    with pytest.raises(Exception, match="appended"):
        scene.change(change)
    scene.change(change, appended="handling_action")
    assert {"action in no audit row", "action not stored"} <= set(kinds(scene))
    scene.change(
        "UPDATE handling_action SET actor = 'olga', kind = 'close' WHERE actor = 'peter'", appended="handling_action"
    )
    assert {"action in no audit row", "handling not as done"} <= set(kinds(scene))
    scene.change("DELETE FROM handling_action WHERE actor = 'olga'", appended="handling_action")
    assert {"action not stored", "handling not as done"} <= set(kinds(scene))


def test_a_row_of_the_audit_log_that_was_changed_is_found(scene: Centre) -> None:
    with database.connect(scene.url) as connection:
        head = audit.verify(connection).head
    with pytest.raises(Exception, match="audit"):
        scene.change("UPDATE audit_entry SET actor = 'peter' WHERE number = 1")
    scene.change("UPDATE audit_entry SET actor = 'peter' WHERE number = 1", appended="audit_entry")
    with database.connect(scene.url) as connection:
        assert audit.verify(connection).broken == "row 1 is not what was written: its hash does not come out"
    scene.change("DELETE FROM audit_entry", appended="audit_entry")
    with database.connect(scene.url) as connection:
        assert not audit.verify(connection).broken  # what the log cannot know by itself
        assert "rows at the end are missing" in audit.verify(connection, head).broken  # ... the head kept elsewhere does


def test_who_changes_fix_and_ledger_alike_is_found_by_the_raw_log(scene: Centre) -> None:
    """All fixes of the visit are moved out of the park and the alert is retracted: the database agrees with itself."""
    with database.connect(scene.url) as connection:
        connection.execute("UPDATE fix SET lon_e7 = (SELECT min(lon_e7) FROM fix) WHERE time_s >= %s AND time_s < %s",
                           [(T0_US + 20 * MINUTE_US) // 10**6, (T0_US + 40 * MINUTE_US) // 10**6])  # fmt: skip
        connection.execute("UPDATE alert SET condition = 'retracted'")
    found = scene.compared()
    assert found.differences["fix not stored"] == found.differences["fix in no message"] == 20
    assert "alert not as computed" not in found.differences


def test_the_command_names_each_difference_as_json(scene: Centre, tmp_path: Path) -> None:
    scene.change("DELETE FROM fix WHERE time_s = 1772440200")
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{scene.url}"\n[raw_log]\nfolder = "{scene.folder}"\n')
    command = [sys.executable, "-c", "from tagwatch.cli import main; main()", "audit", "compare"]
    spans = ["--from", "2026-03-02T00:00:00Z", "--to", "2026-03-03T00:00:00Z"]
    done = subprocess.run([*command, *spans], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    what = [one["what"] for one in told if one["kind"] == "fix not stored"]
    assert len(what) == 1
    assert what[0].startswith("message 4, position 0 of device ann at 2026-03-02T08:30:00")
    assert "59 fixes" in done.stderr
