"""Who was near where many were elsewhere: they are counted, and listed when somebody asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from engine.database import connect
from tagwatch.access import audit
from tagwatch.console.investigators import near
from tests.integration.console.conftest import Client, add_account
from tests.integration.console.investigators_scene import asked, settle

SignIn = Callable[[str], Client]


@pytest.fixture(autouse=True)
def scene(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The burglary; more than one who was elsewhere is many."""
    monkeypatch.setattr(near, "AT_ONCE", 1)
    with connect(url) as connection:
        settle(connection)
        add_account(connection, "kent", ["investigator"], "Kent")


def listed(client: Client, path: str) -> set[str]:
    return {json.loads(line)["wearer"] for line in client.get(f"{path}/file.jsonl").text.splitlines()}


def test_who_was_elsewhere_is_counted_and_listed_when_asked_for(signed_in: SignIn, url: str) -> None:
    client = signed_in("investigator")
    path = client.post("/near", asked()).headers["location"]
    text = client.get(path).text
    for heading, n in (("Placed, strong", 2), ("Possible", 1), ("Excluded", 1), ("Not monitored", 1)):
        assert re.search(rf"{heading} <span class=\"inv-n\">\({n}\)</span>", text), heading
    assert "more than the maximum of 55 m/s" not in text
    assert listed(client, path) == {"K1", "E1", "K2"}
    assert text.count("List them, with the reasons of each") == 2
    whole = client.get(f"{path}?all=excluded").headers["location"]
    assert whole.endswith("?all=excluded#excluded")
    assert "more than the maximum of 55 m/s" in client.get(whole).text
    assert listed(client, whole.partition("?")[0]) == {"K1", "E1", "K2", "K3", "K4"}
    with connect(url) as connection:
        entry = audit.rows(connection, action="near asked")[0]
    assert {key: json.loads(entry.detail)["counts"][key] for key in ("excluded", "unmonitored")} == {
        "excluded": 1, "unmonitored": 1,
    }  # fmt: skip


def test_wearers_of_other_forces_are_not_counted(signed_in: SignIn) -> None:
    client = signed_in("kent")
    path = client.post("/near", asked()).headers["location"]
    text = client.get(path).text
    assert 'Excluded <span class="inv-n">(1)</span>' in text
    assert 'Not monitored <span class="inv-n">(1)</span>' in text
    assert listed(client, path) == {"K1", "K2"}
    whole = client.get(f"{path}?all=unmonitored").headers["location"].partition("?")[0]
    assert listed(client, whole) == {"K1", "K2", "K3", "K4"}
