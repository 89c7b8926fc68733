"""Lists in pages meet every row exactly once while rows are added; changes miss nothing; actions know what they are upon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from engine.database import Connection, connect
from engine.times import MINUTE_US, to_iso
from tests.integration.console.api_scene import RAISED_US, client_of, fill, make_token, raise_alert
from tests.integration.console.conftest import NOW_US
from tests.integration.console.test_api_contract import problem


@pytest.fixture
def book(url: str) -> Iterator[Connection]:
    """The database, with something of everything."""
    with connect(url) as connection:
        fill(connection)
        connection.commit()
        yield connection


@pytest.fixture
def client(url: str, address: str, book: Connection) -> Iterator[httpx.Client]:
    """Somebody who may do and see everything."""
    with client_of(address, make_token(url, "every")) as found:
        yield found


def walk(
    client: httpx.Client, path: str, between: Callable[[int], None] = lambda n: None, **given: Any
) -> list[dict[str, Any]]:
    """Every row of a list, some at a time."""
    rows: list[dict[str, Any]] = []
    after, n = "", 0
    while True:
        page = client.get(path, params={"limit": 2, "after": after, **given}).json()
        assert len(page["items"]) <= 2
        rows += page["items"]
        if page["next"] is None:
            return rows
        after, n = page["next"], n + 1
        between(n)


def test_a_walk_meets_every_alert_once_while_others_are_raised_and_handled(client: httpx.Client, book: Connection) -> None:
    for k in range(9):  # three share one instant
        raise_alert(book, f"A-{k}", "K1", at_us=RAISED_US + (k // 3) * MINUTE_US)
    book.commit()
    before = {row["id"] for row in client.get("alerts", params={"limit": 100}).json()["items"]}

    def meanwhile(n: int) -> None:
        raise_alert(book, f"N-{n}", "K2", at_us=RAISED_US + 3_600_000_000 + n)
        book.commit()
        client.post(f"alerts/A-{n}/acknowledge", json={"upon": "1.0"})

    met = [row["id"] for row in walk(client, "alerts", meanwhile)]
    assert len(met) == len(set(met))
    assert set(met) == before
    raised = [row["raised"] for row in walk(client, "alerts")]
    assert raised == sorted(raised, reverse=True)


def test_every_list_is_walked_once_and_in_order(client: httpx.Client) -> None:
    for path, key in [
        ("wearers", ["wearer"]), ("crimes", ["force", "reference"]), ("configuration/wearers", ["id"]), ("tokens", ["id"]),
        ("configuration/zones", ["id"]), ("compliance?from=2026-03-01&to=2026-03-01", ["wearer"]), ("runs", ["id"]),
    ]:  # fmt: skip
        name, _, query = path.partition("?")
        given = dict(part.split("=") for part in query.split("&") if part)
        met = [tuple(row[name] for name in key) for row in walk(client, name, **given)]
        assert met == sorted(set(met)), path
        assert met or path == "runs"
    numbers = [row["number"] for row in walk(client, "audit")]
    assert numbers == sorted(set(numbers), reverse=True)
    assert numbers[-1] == 1


def test_alerts_are_chosen_by_what_they_are(client: httpx.Client, book: Connection) -> None:
    raise_alert(book, "A-low", "K1", grade="low", at_us=RAISED_US + 9 * MINUTE_US)
    book.commit()
    upon = client.get("alerts/A-k2").json()["mark"]
    closed = client.post("alerts/A-k2/close", json={"upon": upon, "outcome": "authorised", "note": "at court"})
    assert (closed.status_code, closed.json()["handling"]) == (200, "closed")
    book.execute("UPDATE alert SET condition = 'cleared' WHERE id = 'A-k2'")
    book.commit()

    def found(**given: Any) -> list[str]:
        return [row["id"] for row in client.get("alerts", params=given).json()["items"]]

    assert found() == ["A-low", "A-e1", "A-k2", "A-k1"]
    assert (found(open=True), found(open=False)) == (["A-low", "A-e1", "A-k1"], ["A-k2"])
    assert (found(grade="low"), found(wearer="K1"), found(rule="tag.strap")) == (["A-low"], ["A-low", "A-k1"], [])
    assert found(since=to_iso(RAISED_US + 2 * MINUTE_US)) == ["A-low", "A-e1"]
    whole = client.get("alerts/A-k2").json()
    assert [action["kind"] for action in whole["actions"]] == ["close"]
    assert whole["versions"][0]["content"] == whole["content"]


def test_an_action_upon_what_is_not_any_more_is_refused_and_changes_nothing(client: httpx.Client) -> None:
    first = client.post("alerts/A-k1/acknowledge", json={"upon": "1.0"})
    assert (first.json()["handling"], first.json()["mark"]) == ("acknowledged", "1.1")
    told = problem(client.post("alerts/A-k1/escalate", json={"upon": "1.0", "whom": "senior operator"}), 409)
    assert told["field"] == "upon"
    assert client.get("alerts/A-k1").json()["mark"] == "1.1"
    problem(client.post("alerts/A-k1/close", json={"upon": "1.1", "outcome": "nonsense"}), 422)
    problem(client.post("alerts/A-k1/close", json={"outcome": "breach"}), 422)
    until = {"upon": "1.1", "reason": "at court", "until": "2026-03-01T11:00:00+00:00"}
    assert client.post("alerts/A-k1/shelve", json=until).json()["until"] == "2026-03-01T11:00:00.000Z"


def test_changes_miss_nothing_and_say_when_they_are_not_kept(client: httpx.Client, book: Connection) -> None:
    number = client.get("queue").json()["number"]
    assert client.get("changes").json() == {"items": [], "last": number, "more": False}
    raise_alert(book, "A-new", "K1")
    book.commit()
    client.post("alerts/A-new/note", json={"upon": "1.0", "note": "called"})
    page = client.get("changes", params={"after": number, "limit": 1}).json()
    assert ([change["kind"] for change in page["items"]], page["more"]) == (["raised"], True)
    rest = client.get("changes", params={"after": page["last"]}).json()
    assert ([change["kind"] for change in rest["items"]], rest["more"]) == (["note"], False)
    problem(client.get("changes", params={"after": rest["last"] + 1}), 410)


def test_the_queue_is_in_the_order_of_the_desk(client: httpx.Client, book: Connection) -> None:
    raise_alert(book, "A-worst", "K2", grade="critical", at_us=RAISED_US + 9 * MINUTE_US)
    book.commit()
    client.post("alerts/A-k1/acknowledge", json={"upon": "1.0"})
    lines = walk(client, "queue")
    assert [(line["section"], line["head"], line["ids"], line["alerts"][0]["id"]) for line in lines] == [
        ("waiting", None, ["A-worst"], "A-worst"), ("waiting", None, ["A-k2"], "A-k2"), ("waiting", None, ["A-e1"], "A-e1"),
        ("in_hand", None, ["A-k1"], "A-k1"),
    ]  # fmt: skip


def test_a_flood_is_one_line_that_names_every_alert(client: httpx.Client, book: Connection) -> None:
    names = [f"F-{k:02}" for k in range(30)]
    for k, name in enumerate(names):
        raise_alert(book, name, "K3", at_us=NOW_US - MINUTE_US + k)
    book.commit()
    heads = [line for line in walk(client, "queue") if line["head"]]
    assert [(line["head"], len(line["alerts"])) for line in heads] == [("flood", 20)]
    assert set(names) <= set(heads[0]["ids"])
    assert [alert["id"] for alert in heads[0]["alerts"]] == heads[0]["ids"][:20]
