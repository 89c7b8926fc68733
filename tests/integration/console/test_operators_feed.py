"""The change feed: numbers in the order of commits, a stream that misses nothing and tells nobody of others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from alerts import changes
from alerts.handling import Action, Limits
from alerts.handling_store import act
from engine.database import Connection, connect
from engine.times import MINUTE_US
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.console import create_app, serve
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.settings import Settings
from tests.integration.console.conftest import NOW_US, PASSWORD, add_account
from tests.integration.console.operators_scene import Desk, alert

ANN = Action(kind="acknowledge", actor="ann", role="operator", at_us=NOW_US)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(url) as found:
        yield found


@pytest.fixture
def desk(connection: Connection) -> Desk:
    return Desk(connection)


def put(connection: Connection, name: str, number: int) -> None:
    """An alert and its version, not committed."""
    connection.execute(
        "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
        " VALUES (%s, 'W', 'zone.exclusion', 'Z', 'high', 'active', now(), 1, %s, now(), '')",
        [name, number],
    )
    connection.execute(
        "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s) VALUES (%s, %s, 1, '', '', now(), 0)",
        [number, name],
    )


def test_numbers_are_in_the_order_of_commits(url: str) -> None:
    with connect(url) as first, connect(url) as second, connect(url) as reader:
        put(first, "written first", 1)
        put(second, "written second", 2)
        second.commit()
        seen = changes.read_changes(reader, 0, 10)
        assert [change.alert_id for change in seen] == ["written second"]
        reader.rollback()
        first.commit()
        later = changes.read_changes(reader, seen[-1].number, 10)
        assert [change.alert_id for change in later] == ["written first"]


def test_a_reader_never_passes_by_what_is_committed_later(url: str) -> None:
    """Six writers at once, and a reader that always goes on from the last number it saw: it sees every change once."""
    n_each, seen = 25, list[str]()

    def write(k: int) -> None:
        with connect(url) as mine:
            for n in range(n_each):
                put(mine, f"{k}-{n}", 1000 * k + n)
                if n % 3 == 2:
                    mine.commit()
            mine.commit()

    writers = [threading.Thread(target=write, args=(k,)) for k in range(6)]
    with connect(url) as reader:
        reader.autocommit = True
        for writer in writers:
            writer.start()
        last, over = 0, False
        while not over:
            over = not any(writer.is_alive() for writer in writers)
            for change in changes.read_changes(reader, last, 7):
                assert change.number > last
                last = change.number
                seen.append(change.alert_id)
                over = False
        kept = changes.bounds(reader)
    assert sorted(seen) == sorted(f"{k}-{n}" for k in range(6) for n in range(n_each))
    assert kept == (0, last)


def test_what_is_rolled_back_is_no_change(connection: Connection, desk: Desk) -> None:
    put(connection, "never", 1)
    connection.rollback()
    desk.raise_all([alert()], NOW_US)
    assert [change.alert_id for change in changes.read_changes(connection, 0, 9)] == ["A00001"]


def test_versions_and_actions_are_changes(connection: Connection, desk: Desk) -> None:
    desk.raise_all([alert("W01"), alert("W02", "curfew.left")], NOW_US)
    act(connection, "A00002", ANN, Limits())
    connection.commit()
    desk.amend("A00001", alert("W01", condition="cleared", ended_us=NOW_US), NOW_US, "cleared")
    found = changes.read_changes(connection, 0, 9)
    assert [(c.alert_id, c.wearer, c.kind, c.version, c.action) for c in found] == [
        ("A00001", "W01", "raised", 1, 0), ("A00002", "W02", "raised", 1, 0), ("A00002", "W02", "acknowledge", 1, 1),
        ("A00001", "W01", "version", 2, 0),
    ]  # fmt: skip
    assert [c.calls for c in found] == [True, True, False, False]


def test_old_changes_are_forgotten_and_that_can_be_told(connection: Connection, desk: Desk) -> None:
    desk.raise_all([alert(f"W{k}") for k in range(10)], NOW_US)
    changes.forget(connection, 4)
    kept = changes.bounds(connection)
    assert kept == (6, 10)
    assert [kept.holds(number) for number in (5, 6, 10, 11)] == [False, True, True, False]


# --- the stream


class Stream:
    """A reader of /events."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self, kind: str = "") -> tuple[str, dict[str, Any]]:
        """The next event, of a kind where one is named."""
        name = ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and kind in ("", name):
                return name, json.loads(line[6:])
        raise EOFError

    def rest(self) -> list[str]:
        """All lines until the server ends it."""
        return list(self._lines)


@contextmanager
def streaming(client: Any, after: int | None = None, **headers: str) -> Iterator[Stream]:
    params = {} if after is None else {"after": after}
    with client.http.stream("GET", "/events", params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


def test_a_commit_is_told_with_its_row(signed_in: Callable[[str], Any], desk: Desk) -> None:
    with streaming(signed_in("operator")) as stream:
        assert stream.next() == ("heartbeat", {"number": 0, "now_us": NOW_US})
        desk.raise_all([alert("W07", zone="School")], NOW_US)
        kind, told = stream.next("change")  # a heartbeat may be due before it
        assert (kind, told["number"], told["id"], told["kind"], told["grade"], told["calls"]) == (
            "change", 1, "A00001", "raised", "critical", True,
        )  # fmt: skip
        assert told["section"] == "waiting"
        assert 'id="alert-A00001"' in told["html"]
        assert "School" in told["html"]


def test_a_reader_that_comes_back_misses_nothing(signed_in: Callable[[str], Any], desk: Desk) -> None:
    client = signed_in("operator")
    with streaming(client) as stream:
        stream.next("heartbeat")
        desk.raise_all([alert("W01")], NOW_US)
        assert stream.next("change")[1]["number"] == 1
    for k in range(3):
        desk.raise_all([alert(f"W1{k}")], NOW_US)
    for headers, after in (({}, 1), ({"last-event-id": "1"}, None), ({"last-event-id": "1"}, 3)):
        with streaming(client, after, **headers) as stream:
            assert [stream.next("change")[1]["number"] for _ in range(3)] == [2, 3, 4]


def test_many_changes_at_once_come_without_rows(signed_in: Callable[[str], Any], desk: Desk) -> None:
    with streaming(signed_in("operator")) as stream:
        stream.next("heartbeat")
        desk.raise_all([alert(f"W{k}", "zone.buffer") for k in range(120)], NOW_US)
        found = [stream.next("change")[1] for _ in range(120)]
    assert [told["number"] for told in found] == list(range(1, 121))
    assert not any("html" in told for told in found)


@pytest.mark.parametrize("after", [-5, 7, 2**62])
def test_a_number_that_is_not_kept_means_to_load_anew(signed_in: Callable[[str], Any], desk: Desk, after: int) -> None:
    desk.raise_all([alert("W01")], NOW_US)
    with streaming(signed_in("operator"), after) as stream:
        assert stream.next() == ("reload", {"number": 1})
        desk.raise_all([alert("W02")], NOW_US)
        assert stream.next("change")[1]["number"] == 2


def test_a_reader_that_was_away_for_too_long_loads_anew(signed_in: Callable[[str], Any], desk: Desk) -> None:
    client = signed_in("operator")
    with streaming(client) as stream:
        stream.next("heartbeat")
        for _ in range(5):
            desk.raise_all([alert("W01", "zone.buffer")] * 450, NOW_US)
        while stream.next("change")[1]["number"] < 2250:  # the feed has caught up with what was committed
            pass
    with streaming(client, 100) as stream:
        assert stream.next()[0] == "reload"
    with streaming(client, 2000) as stream:
        assert stream.next("change")[1]["number"] == 2001


def test_nobody_hears_of_others(signed_in: Callable[[str], Any], connection: Connection, desk: Desk) -> None:
    people = [Wearer("W01", force="Eastshire"), Wearer("W02", force="Northshire")]
    configuration.save(connection, NOW_US, wearers=people)
    add_account(connection, "north", ["operator"], "Northshire")
    connection.commit()
    with streaming(signed_in("north")) as stream:
        stream.next("heartbeat")
        desk.raise_all([alert("W01"), alert("W02"), alert("W03")], NOW_US)
        assert stream.next("change")[1]["id"] == "A00002"
        desk.raise_all([alert("W01"), alert("W02", "curfew.left")], NOW_US)
        assert stream.next("change")[1]["id"] == "A00005"


@pytest.mark.parametrize("login", ["investigator", "auditor", "administrator", "evidence-manager"])
def test_who_reads_no_alerts_hears_nothing(signed_in: Callable[[str], Any], login: str) -> None:
    client = signed_in(login)
    assert client.get("/events").status_code == 403
    assert client.get("/queue").status_code == 403


def test_who_is_signed_out_hears_nothing(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False, timeout=90) as stranger:
        for path in ("/events", "/events/number"):
            assert stranger.get(path, headers={"sec-fetch-mode": "cors"}).status_code == 401


def test_a_stream_ends_at_once_with_the_server(url: str, desk: Desk) -> None:
    office = Office(Database(url), Settings(), clock=lambda: NOW_US)
    with serve(create_app(office)) as address, closing(httpx.Client(base_url=address, trust_env=False, timeout=90)) as http:
        http.post("/sign-in", data={"login": "operator", "password": PASSWORD})
        with http.stream("GET", "/events") as answer:
            stream = Stream(answer)
            stream.next("heartbeat")
            office.stopping.set()
            assert not any(line.startswith("event: change") for line in stream.rest())


def test_rows_that_cannot_be_drawn_are_told_all_the_same(
    signed_in: Callable[[str], Any], connection: Connection, desk: Desk
) -> None:
    with streaming(signed_in("operator")) as stream:
        stream.next("heartbeat")
        put(connection, "without content", 1)
        connection.commit()
        kind, told = stream.next("change")
        assert (kind, told["id"], "html" in told) == ("change", "without content", False)
        desk.seq = 1
        desk.raise_all([alert("W05", began_us=NOW_US - MINUTE_US)], NOW_US)
        assert "html" in stream.next("change")[1]
