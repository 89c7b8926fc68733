"""What a hostile tag, or somebody who can publish, sends: replays, another's payload, names that would lead somewhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crime_match.runs.results_csv import guarded
from engine import database
from engine.times import DAY_US, MINUTE_US
from ingest.raw_verify import verify
from tests.integration.hostile_scene import T0_US, Centre, centre, fixes, park


@pytest.fixture
def scene(url: str, tmp_path: Path) -> Iterator[Centre]:
    """Ann was in the park and left it; bob stayed at home."""
    with centre(url, tmp_path) as made:
        made.configure(zones=park())
        for first in range(0, 60, 10):
            made.walk("ann", range(first, first + 10), 1000.0 if 20 <= first < 40 else 300.0)
            made.walk("bob", range(first, first + 10), 0.0)
        yield made


def quarantined(scene: Centre) -> list[tuple[str, str]]:
    with database.connect(scene.url) as connection:
        return connection.execute("SELECT reason, field FROM quarantine ORDER BY id").fetchall()


def test_a_replayed_payload_is_a_duplicate_and_no_news(scene: Centre) -> None:
    """At once, with other sequence numbers, and days later: the ledger and the fixes stay what they were."""
    before, n = scene.settle(), scene.n_fixes()
    scene.hear("tags/ann/fixes", fixes([(m, 1000.0) for m in range(20, 40)], seq=20))
    scene.hear("tags/ann/fixes", fixes([(m, 1000.0) for m in range(20, 40)], seq=90_000))
    assert scene.counts.duplicates == 40
    assert (scene.settle(), scene.n_fixes()) == (before, n)
    scene.now_us += 3 * DAY_US
    held = [json.loads(line) for line in scene.settle()]
    scene.hear("tags/ann/fixes", fixes([(m, 1000.0) for m in range(20, 40)], seq=20))
    again = [json.loads(line) for line in scene.settle()]
    assert [one["rule"] for one in again] == [
        one["rule"] for one in held
    ]  # contact was lost, and a replay is no contact ...
    assert [one["began"] for one in again if one["rule"].startswith("zone.")] == [
        one["began"] for one in held if one["rule"].startswith("zone.")
    ]
    assert scene.n_fixes() == n
    assert not verify(scene.folder).faults  # ... and every replay is in the raw log, as it came


def test_what_a_replay_does_to_an_interrupted_contact(scene: Centre) -> None:
    """Old payloads cannot show a tag where it is not: they carry their own time. That something came at all is no news."""
    scene.now_us += DAY_US
    silent = [one for one in scene.rules("active") if one == "tag.no_contact"]
    assert len(silent) == 2
    scene.hear("tags/ann/fixes", fixes([(59, 300.0)], seq=59))
    assert [one for one in scene.rules("active") if one == "tag.no_contact"] == silent


def test_another_tags_payload_is_told_apart_by_what_the_tag_itself_sends(scene: Centre) -> None:
    """Without access rules at the broker whoever may publish is believed; what contradicts the tag's own fixes carries no
    weight, whoever sent it, and an operator is told."""
    far = fixes([(m, 90_000.0) for m in range(30, 50)])
    assert "tag.implausible" not in scene.rules()
    scene.hear("tags/bob/fixes", far)
    held = [json.loads(line) for line in scene.settle()]
    assert any(one["rule"] == "tag.implausible" and one["wearer"] == "bob" for one in held)
    assert not any(one["rule"] == "zone.exclusion" and one["wearer"] == "bob" for one in held)
    assert scene.n_fixes() == 140  # kept and shown, both


def test_a_spoofer_who_says_that_the_tag_is_at_home_does_not_take_an_alert_away(scene: Centre) -> None:
    """Ann was in the park; somebody says afterwards, as she, that she was 700 m away at these very moments."""
    scene.hear("tags/ann/fixes", fixes([(m, 300.0) for m in range(20, 40)]))
    held = [json.loads(line) for line in scene.settle()]
    told = [(one["rule"], one["wearer"]) for one in held]
    assert ("tag.implausible", "ann") in told  # two fixes of one instant that cannot both be right: a person looks


TOPICS = [
    "tags/../fixes/x", "tags/../../etc/passwd/fixes", "tags/a\x00b/fixes", "tags/a\nb/fixes", "tags/\x1b[2J/fixes", "tags//fixes",
    "tags/ /fixes", "tags/+/fixes", "tags/#/fixes", "tags/a#b/fixes", "$SYS/broker/x", "tags/\u202eb/fixes", "tags/" + "x" * 60_000
    + "/fixes", "owntracks/u/\u2028", "/tags/a/fixes", "tags/a/fixes/", "TAGS/a/fixes", "tags/a/b/fixes",
]  # fmt: skip


def test_topics_that_lead_nowhere_are_set_apart_and_write_no_file(scene: Centre, tmp_path: Path) -> None:
    before, n = {p.name for p in tmp_path.rglob("*")}, len(quarantined(scene))
    for topic in TOPICS:
        scene.hear(topic, fixes([(61, 0.0)]))
    assert len(quarantined(scene)) - n == len(TOPICS)
    assert {p.name for p in tmp_path.rglob("*")} == before
    log = verify(scene.folder)
    assert not log.faults
    assert log.n_messages == 12 + len(TOPICS)


NAMES = [
    "..",
    "=SUM(A1)",
    "@SUM(A1)",
    "<img src=x onerror=alert(1)>",
    "%2e%2e",
    "${jndi:ldap}",
    "'; DROP TABLE fix; --",
    "a\\b",
    "{0}",
    "ß" * 40,
]


def test_names_that_are_code_elsewhere_are_names_here(scene: Centre, tmp_path: Path) -> None:
    before = {p.name for p in tmp_path.rglob("*")}
    for k, name in enumerate(NAMES):
        scene.hear(f"tags/{name}/fixes", fixes([(61 + k, 1000.0), (63 + k, 1000.0)]), T0_US + 70 * MINUTE_US)
    with database.connect(scene.url) as connection:
        held = {row[0] for row in connection.execute("SELECT name FROM device")}
    assert held >= set(NAMES)
    assert {p.name for p in tmp_path.rglob("*")} == before  # no file is ever called by what a tag says
    told = [json.loads(line)["wearer"] for line in scene.settle()]
    text = io.StringIO()
    csv.writer(text).writerows([guarded(name)] for name in [*told, *NAMES])
    assert not any(row[0].lstrip()[:1] in "=+-@\t\r" for row in csv.reader(io.StringIO(text.getvalue())))
    assert scene.compared().told == []


BODIES = [
    b"", b"null", b"[]" * 3, b"\xff\xfe", b'{"time":1e999}', b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 5_000_000 + b'"',
    b'[{"time":"2026-03-02T09:00:00Z","lat":NaN,"lon":0}]', b'[{"time":"2026-03-02T09:00:00Z","lat":1e308,"lon":1e308}]',
    b'[{"time":"9999-12-31T23:59:59Z","lat":53,"lon":-1}]', b'[{"time":"-001-01-01T00:00:00Z","lat":53,"lon":-1}]',
    b'{"time":"2026-03-02T09:00:00Z","lat":53,"lat":54,"lon":-1}', b"\x1f\x8b\x08" + b"\0" * 100, b"<?xml version='1.0'?><x/>",
]  # fmt: skip


def test_bodies_that_are_nothing_stop_nobody(scene: Centre) -> None:
    n = scene.n_fixes()
    for body in BODIES:
        scene.hear("tags/ann/fixes", body)
    scene.hear("tags/ann/fixes", fixes([(65, 300.0)]), T0_US + 66 * MINUTE_US)
    assert scene.n_fixes() >= n + 1
    assert len(quarantined(scene)) >= len(BODIES) - 3
    assert not verify(scene.folder).faults
