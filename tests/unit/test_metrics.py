"""What is measured: distributions against a plain count, labels from closed sets, rules that name what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import GRADES
from ingest.message import Message
from ingest.payload import decode_batch
from ingest.quarantine import CLOSED, POISON
from tagwatch.metrics import codes
from tagwatch.metrics.database_figures import DatabaseFigures
from tagwatch.metrics.delivered import Delivered
from tagwatch.metrics.distribution import SOON_S, Distribution
from tagwatch.settings import Settings, host_and_port
from tests.unit.test_docs import commands

HOME = Path(__file__).resolve().parents[2]
RULES = HOME / "deploy" / "prometheus" / "tagwatch.rules.yaml"


@given(
    st.lists(st.lists(st.floats(-10, 1e6, width=32), max_size=20), max_size=10), st.lists(st.floats(-5, 400), max_size=10)
)
def test_a_distribution_counts_as_one_counts_by_hand(many: list[list[float]], single: list[float]) -> None:
    found = Distribution(SOON_S)
    for batch in many:
        found.add_all(np.array(batch))
    for value in single:
        found.add(value)
    values = [max(0.0, value) for value in (*(v for batch in many for v in batch), *single)]
    expected = [sum(v <= bound for v in values) for bound in SOON_S] + [len(values)]
    assert [n for _, n in found.buckets()] == expected
    assert found.buckets()[-1][0] == "+Inf"
    assert found.n_values == len(values)
    assert found.total == pytest.approx(sum(values))


PAYLOADS = {
    b"": "empty", b"hello": "unknown_form", b"{": "not_json", b"[1, 2": "not_json", b"[3]": "not_an_object",
    b'{"lat": 1, "lon": 1}': "missing_time", b'{"time": 1790000000, "lat": 91, "lon": 1}': "bad_lat",
    b'{"time": 1790000000, "lat": 1, "lon": "x"}': "bad_lon", b'{"time": "noon", "lat": 1, "lon": 1}': "bad_time",
    b'{"time": 1790000000, "lat": 1, "lon": 1, "source": "owl"}': "bad_source",
    b'{"time": 1790000000, "lat": 1, "lon": 1, "battery_pct": 300}': "bad_battery_pct",
    b"[" * 5000 + b"]" * 5000: "nested", b'{"a": "\xff"}': "not_text",
}  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=list(PAYLOADS.values()))
def test_a_reason_has_its_code(payload: bytes) -> None:
    (refused,) = decode_batch([Message(1_790_000_000_000_000, "tags/a/fixes", payload)]).quarantined
    code = codes.quarantine_code(refused.reason, refused.field)
    assert code in codes.REASONS
    wanted = PAYLOADS[payload]
    assert code == wanted or (wanted in ("nested", "not_text", "not_json") and code.startswith("not_")), refused.reason


@given(st.binary(max_size=60) | st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.floats()).map(
    lambda d: json.dumps(d).encode()))  # fmt: skip
def test_whatever_is_sent_the_code_is_of_the_closed_set(payload: bytes) -> None:
    for refused in decode_batch([Message(1_790_000_000_000_000, "tags/a/fixes", payload)]).quarantined:
        assert codes.quarantine_code(refused.reason, refused.field) in codes.REASONS


@given(st.text(), st.text())
def test_no_text_becomes_a_label(reason: str, field: str) -> None:
    assert codes.quarantine_code(reason, field) in codes.REASONS
    assert codes.version_code(reason) in codes.VERSIONS
    assert codes.one_of(reason, codes.RULES) in codes.RULES


def test_codes_of_what_the_service_itself_says() -> None:
    assert codes.quarantine_code(POISON, "") == "poison"
    assert codes.quarantine_code(CLOSED, "time") == "closed"
    told = {"raised": "raised", "raised; changed: zone x": "raised", "cleared": "cleared", "active again": "active again",
            "amended: grade": "amended", "joined into 0123": "joined", "retracted: zone x": "retracted"}  # fmt: skip
    assert {reason: codes.version_code(reason) for reason in told} == told
    assert set(GRADES) < set(codes.RULES)
    assert len(codes.REASONS) < 60  # a series each


def test_deliveries_of_an_unknown_kind_are_other() -> None:
    delivered = Delivered()
    delivered.add("mail", 3.0)
    delivered.add("Zebedee", 4.0)
    assert (delivered.latency_s["mail"].total, delivered.latency_s["other"].total) == (3.0, 4.0)


def test_without_a_database_there_are_no_figures_and_nobody_waits_long() -> None:
    figures = DatabaseFigures("postgresql://127.0.0.1:9/none", lambda: 0, SimpleNamespace(), 0)  # type: ignore[arg-type]
    assert figures.current() is None
    assert figures.current() is None
    assert (figures.n_readings, figures.is_up) == (1, False)


def test_the_address_of_the_listener_is_checked() -> None:
    assert host_and_port("127.0.0.1:9600") == ("127.0.0.1", 9600)
    assert host_and_port("[::1]:0") == ("::1", 0)
    for wrong in ("9600", "localhost:9600", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:-1", "::1", "127.0.0.1:١"):
        with pytest.raises(ValueError, match="such as 127.0.0.1:9600"):
            host_and_port(wrong)
    assert Settings.model_validate({"metrics": {"listen": ""}}).metrics.listen == ""
    with pytest.raises(ValueError, match="such as"):
        Settings.model_validate({"metrics": {"listen": "everywhere"}})


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_rule_says_what_it_means_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len({*names}) == len(names) > 20
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert all(text.endswith((".", "?")) for text in rule["annotations"].values()), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    scrape = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text("utf-8"))
    assert scrape["rule_files"] == [RULES.name]
    (targets,) = scrape["scrape_configs"][0]["static_configs"]
    assert targets["targets"] == [Settings().metrics.listen]
    assert scrape["scrape_configs"][0]["job_name"] == "tagwatch"


def test_every_command_that_advice_names_exists() -> None:
    """In the doctor's findings, the log's events and the rules."""
    from tagwatch.log.events import EVENTS

    texts = [one.advice for one in EVENTS.values()] + [rule["annotations"]["runbook"] for rule in rules()]
    texts += [path.read_text("utf-8") for path in (HOME / "tagwatch" / "doctor").glob("*.py")]
    groups = {" ".join(name.split()[:2]) for name in commands()}
    named = {m for text in texts for m in re.findall(r"tagwatch (?:[a-z]+ )?[a-z]+(?=[ ,.;:`\"'<)]|$)", text)}
    told = {name for name in named if " ".join(name.split()[:2]) in groups}
    for name in sorted(told):
        assert any(each == name or each.startswith(f"{name} ") or name.startswith(f"{each} ") for each in commands()), name
    assert {"tagwatch outbox dead", "tagwatch outbox resend", "tagwatch doctor", "tagwatch db upkeep"} <= told
