"""The outbox against a real database, and through a webhook against a real server."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from alerts.dead_letters import dead_letters
from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError
from alerts.outbox import BACK_OFF_S, MOST_ROWS, Outbox
from alerts.webhook import WebhookNotifier
from engine.database import Connection, connect
from engine.times import SECOND_US, parse_time, system_clock, to_datetime

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_us = parse_time("2026-03-01T10:00:00Z")

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND_US)


class Receiver:
    """Takes deliveries, or fails as it is told: an exception a key, for so many times."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.faults: dict[str, list[Exception]] = {}

    def send(self, delivery: Delivery) -> None:
        if self.faults.get(delivery.key):
            raise self.faults[delivery.key].pop(0)
        self.got.append(delivery.key)


def put(connection: Connection, alert: str, version: int, clock: Hand, channels: tuple[str, ...] = ("one",)) -> None:
    """Write a version as the service does."""
    content = json.dumps(
        {"wearer": "W", "rule": "zone.exclusion", "subject": "Z", "grade": "critical", "why": {"text": "t"}}
    )
    now = to_datetime(clock.now_us)
    with connection.transaction():
        connection.execute(
            "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
            " VALUES (%s, 'W', 'zone.exclusion', 'Z', 'critical', 'active', %s, %s, 0, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version",
            [alert, now, version, now, content],
        )
        connection.execute(
            "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)"
            " SELECT coalesce(max(seq), 0) + 1, %s, %s, 'raised', %s, %s, 0 FROM alert_version",
            [alert, version, content, now],
        )
        for channel in channels:
            connection.execute(
                "INSERT INTO outbox (alert_id, version, channel, next_at) VALUES (%s, %s, %s, %s)",
                [alert, version, channel, now],
            )


def status(connection: Connection) -> dict[tuple[str, int, str], tuple[str, int]]:
    with connection.transaction():
        rows = connection.execute("SELECT alert_id, version, channel, status, attempts FROM outbox").fetchall()
    return {row[:3]: row[3:] for row in rows}


def test_everything_is_delivered_once_in_order(connection):
    clock, one, two = Hand(), Receiver(), Receiver()
    for version in (1, 2, 3):
        for alert in ("a", "b"):
            put(connection, alert, version, clock, ("one", "two"))
    outbox = Outbox(connection, {"one": one, "two": two}, clock)
    assert outbox.next_due_us() == clock.now_us
    assert outbox.deliver_due() == 12
    assert one.got == two.got == ["a.1", "b.1", "a.2", "b.2", "a.3", "b.3"]
    assert outbox.deliver_due() == 0
    assert outbox.next_due_us() is None
    assert set(status(connection).values()) == {("delivered", 1)}


def test_failures_back_off_and_end_dead(connection):
    clock, one = Hand(), Receiver()
    put(connection, "a", 1, clock)
    one.faults["a.1"] = [ValueError("no\0 good")] * 20
    outbox = Outbox(connection, {"one": one}, clock)
    for seconds in BACK_OFF_S:
        assert outbox.deliver_due() == 0
        assert outbox.next_due_us() == clock.now_us + seconds * SECOND_US
        clock.pass_s(seconds - 0.001)
        n_left = len(one.faults["a.1"])
        assert outbox.deliver_due() == 0
        assert len(one.faults["a.1"]) == n_left, "tried before it was due"
        clock.pass_s(0.001)
    assert not dead_letters(connection)
    outbox.deliver_due()
    (letter,) = dead_letters(connection)
    assert letter[1:6] == ("a", 1, "one", len(BACK_OFF_S) + 1, "ValueError: no good")
    assert letter.at_us == clock.now_us
    assert outbox.next_due_us() is None


def test_later_version_waits_for_a_pending_one_but_not_for_a_dead_one(connection):
    clock, one, two = Hand(), Receiver(), Receiver()
    for version in (1, 2):
        put(connection, "a", version, clock, ("one", "two"))
    put(connection, "b", 1, clock)
    one.faults["a.1"] = [DeliveryError("later"), GoneError("gone")]
    outbox = Outbox(connection, {"one": one, "two": two}, clock)
    outbox.deliver_due()
    assert one.got == ["b.1"]
    assert two.got == ["a.1", "a.2"], "one channel does not hold up another"
    assert outbox.next_due_us() == clock.now_us + SECOND_US, "a version that waits is not due"
    clock.pass_s(1)
    outbox.deliver_due()
    assert one.got == ["b.1", "a.2"]
    assert [(d.alert_id, d.version, d.error) for d in dead_letters(connection)] == [("a", 1, "gone")]


def test_receiver_that_asks_for_time_gets_it(connection):
    clock, one = Hand(), Receiver()
    put(connection, "a", 1, clock)
    one.faults["a.1"] = [DeliveryError("busy", wait_s=77), DeliveryError("busy", wait_s=1e12)]
    outbox = Outbox(connection, {"one": one}, clock)
    outbox.deliver_due()
    assert outbox.next_due_us() == clock.now_us + 77 * SECOND_US
    clock.pass_s(77)
    outbox.deliver_due()
    assert outbox.next_due_us() == clock.now_us + 24 * 3600 * SECOND_US


def test_channel_that_cannot_be_reached_rests_for_the_pass(connection):
    clock, one, two = Hand(), Receiver(), Receiver()
    for alert in "abc":
        put(connection, alert, 1, clock, ("one", "two"))
    one.faults = {f"{alert}.1": [AwayError("away")] for alert in "abc"}
    outbox = Outbox(connection, {"one": one, "two": two}, clock)
    assert outbox.deliver_due() == 3
    assert sorted(value for key, value in status(connection).items() if key[2] == "one") == [
        ("pending", 0), ("pending", 0), ("pending", 1)]  # fmt: skip


def test_at_most_so_many_a_pass_and_unserved_channels_are_counted(connection):
    clock, one = Hand(), Receiver()
    for k in range(MOST_ROWS + 5):
        put(connection, f"a{k}", 1, clock, ("one", "nobody") if k < 3 else ("one",))
    outbox = Outbox(connection, {"one": one}, clock)
    assert (outbox.deliver_due(), outbox.deliver_due(), outbox.deliver_due()) == (MOST_ROWS, 5, 0)
    assert outbox.unserved() == {"nobody": 3}


def test_crash_between_sending_and_marking_repeats_it(connection, url):
    class Crash(BaseException):
        pass

    class Crashing(Receiver):
        def send(self, delivery: Delivery) -> None:
            super().send(delivery)
            if len(self.got) == 2:
                raise Crash

    clock, one = Hand(), Crashing()
    for alert in "abc":
        put(connection, alert, 1, clock)
    with pytest.raises(Crash):
        Outbox(connection, {"one": one}, clock).deliver_due()
    with connect(url) as other:
        assert Outbox(other, {"one": one}, clock).deliver_due() == 2
    assert one.got == ["a.1", "b.1", "b.1", "c.1"]


def test_two_processes_share_the_work_and_keep_the_order(connection, url):
    clock, one = Hand(), Receiver()
    for version in range(1, 9):
        for alert in "abcd":
            put(connection, alert, version, clock)

    def work() -> None:
        with connect(url) as own:
            outbox = Outbox(own, {"one": one}, clock)
            while outbox.next_due_us() is not None:
                outbox.deliver_due()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(one.got) == 32
    for alert in "abcd":
        assert [key for key in one.got if key[0] == alert] == [f"{alert}.{version}" for version in range(1, 9)]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_fails_each_ends_delivered_or_dead_and_in_order(connection, seed):
    chance, clock, one = random.Random(seed), Hand(), Receiver()
    keys = [(alert, version) for version in (1, 2, 3) for alert in "abcd"]
    for alert, version in keys:
        put(connection, alert, version, clock)
        faults = [ValueError("x"), DeliveryError("y", 40), AwayError("z"), GoneError("g")]
        one.faults[f"{alert}.{version}"] = chance.choices(faults, [6, 3, 3, 1], k=chance.randrange(14))
    outbox = Outbox(connection, {"one": one}, clock)
    while (due_us := outbox.next_due_us()) is not None:
        clock.now_us = max(clock.now_us, due_us)
        outbox.deliver_due()
    dead = [f"{d.alert_id}.{d.version}" for d in dead_letters(connection)]
    assert sorted(one.got + dead) == sorted(f"{alert}.{version}" for alert, version in keys)
    for alert in "abcd":
        mine = [key for key in one.got if key[0] == alert]
        assert mine == sorted(mine)


@contextmanager
def server(answers: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A web server that gives these answers, then 200; yields its address and what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            code, headers = answers.pop(0) if answers else (200, {})
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}/hook", got
        finally:
            http.shutdown()
            thread.join(10)


def test_webhook_that_fails_then_succeeds(connection, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    clock = Hand()
    clock.now_us = system_clock()  # the standard's verification looks at the machine's clock
    put(connection, "a", 1, clock)
    put(connection, "a", 2, clock)
    with server([(500, {}), (429, {"retry-after": "60"}), (302, {"location": "/elsewhere"})]) as (address, got):
        notifier = WebhookNotifier(address, SECRET, clock)
        outbox = Outbox(connection, {"one": notifier}, clock)
        for wait_s in (1, 60, 30):
            assert outbox.deliver_due() == 0
            assert outbox.next_due_us() == clock.now_us + wait_s * SECOND_US
            clock.pass_s(wait_s)
        assert outbox.deliver_due() == 2
        notifier.close()
    assert [headers["webhook-id"] for headers, _ in got] == ["a.1"] * 4 + ["a.2"]
    for headers, body in got:
        told = Webhook(SECRET).verify(body, headers)
        assert list(told["data"]) == ["id", "version", "reason", "late_s", "seq", "alert"]


def test_webhook_that_is_gone_or_not_there(connection, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    clock = Hand()
    put(connection, "a", 1, clock)
    with server([(410, {})]) as (address, _):
        notifier = WebhookNotifier(address, SECRET, clock)
        outbox = Outbox(connection, {"one": notifier}, clock)
        outbox.deliver_due()
        assert dead_letters(connection)[0].attempts == 1
    put(connection, "b", 1, clock)
    outbox.deliver_due()
    notifier.close()
    assert status(connection)["b", 1, "one"] == ("pending", 1)
