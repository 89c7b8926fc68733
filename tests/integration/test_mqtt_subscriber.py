"""The subscriber on real brokers: nothing acknowledged is lost, nothing unacknowledged stays away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from engine.errors import InputError, UnreachableError
from ingest.broker_url import parse_url
from ingest.message import Message
from ingest.mqtt import Subscriber
from tests.integration.conftest import PATIENCE_S, connect_and_subscribe, until

TOPICS = ["tags/+/fixes"]
BROKERS = [pytest.param("mosquitto", marks=pytest.mark.mosquitto), "embedded_broker"]

TAKE_AND_DIE = """
import os, sys
from ingest.mqtt import Subscriber
subscriber = Subscriber(sys.argv[1], "service", ["tags/+/fixes"])
heard = subscriber._stream._subscribed
subscriber._stream._subscribed = lambda *given: (heard(*given), print("ready", flush=True))
subscriber.connect(90)
taken = []
while len(taken) < 50:
    taken += subscriber.take(50 - len(taken), 1.0)
subscriber.acknowledge(taken[:20])
import time; time.sleep(0.5)
os._exit(9)
"""


@pytest.fixture(params=BROKERS)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def send(url: str, first: int, count: int) -> None:
    """Publish numbered messages and wait until the broker has them."""
    address = parse_url(url)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"sender-{first}")
    client.max_inflight_messages_set(1000)
    client.connect(address.host, address.port)
    client.loop_start()
    sent = [client.publish(f"tags/t{i % 7}/fixes", str(i).encode(), 1) for i in range(first, first + count)]
    for info in sent:
        info.wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def collect(subscriber: Subscriber, count: int, timeout_s: float = PATIENCE_S) -> list[Message]:
    """Take and acknowledge until `count` different messages have come, or the time is up."""
    got: list[Message] = []
    end = time.monotonic() + timeout_s
    while len({message.payload for message in got}) < count and time.monotonic() < end:
        batch = subscriber.take(500, 0.5)
        subscriber.acknowledge(batch)
        got += batch
    return got


def open_session(url: str) -> None:
    """Make the persistent session, so that what is sent from now on is kept for it."""
    subscriber = Subscriber(url, "service", TOPICS)
    connect_and_subscribe(subscriber)
    subscriber.close()


def test_many_messages_come_in_order(url: str) -> None:
    subscriber = Subscriber(url, "service", TOPICS)
    connect_and_subscribe(subscriber)
    send(url, 0, 3000)
    got = collect(subscriber, 3000)
    assert [int(message.payload) for message in got] == list(range(3000))
    assert {message.topic for message in got} == {f"tags/t{i}/fixes" for i in range(7)}
    assert subscriber.take(1, 0.2) == []
    subscriber.close()


def test_what_was_not_acknowledged_comes_again_after_a_death(url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", TAKE_AND_DIE, url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    send(url, 0, 100)
    assert process.wait(PATIENCE_S) == 9
    process.stdout.close()
    subscriber = Subscriber(url, "service", TOPICS)
    subscriber.connect(PATIENCE_S)
    numbers = {int(message.payload) for message in collect(subscriber, 80)}
    subscriber.close()
    assert numbers >= set(range(20, 100))  # the acknowledged ones may come again, the others must


def test_messages_wait_while_nobody_is_there(url: str) -> None:
    open_session(url)
    send(url, 0, 500)
    subscriber = Subscriber(url, "service", TOPICS)
    subscriber.connect(PATIENCE_S)
    got = collect(subscriber, 500)
    subscriber.close()
    assert {int(message.payload) for message in got} == set(range(500))


def test_an_acknowledged_message_does_not_come_again(url: str) -> None:
    open_session(url)
    send(url, 0, 50)
    for expected in (50, 0):
        subscriber = Subscriber(url, "service", TOPICS)
        subscriber.connect(PATIENCE_S)
        assert len(collect(subscriber, 50, PATIENCE_S if expected else 1.5)) == expected
        time.sleep(0.3)
        subscriber.close()


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_it_comes_back_after_the_broker_restarts(mosquitto_broker, protocol: str) -> None:  # type: ignore[no-untyped-def]
    subscriber = Subscriber(mosquitto_broker.url, "service", TOPICS, protocol)
    connect_and_subscribe(subscriber)
    send(mosquitto_broker.url, 0, 30)
    before = []
    while len(before) < 30:
        before += subscriber.take(30, 1.0)
    mosquitto_broker.stop()
    until(lambda: not subscriber.connected, "the end of the connection")
    assert subscriber.acknowledge(before) == 0  # they belong to the connection that is gone
    mosquitto_broker.start()
    again = collect(subscriber, 30)
    assert {int(message.payload) for message in again} == set(range(30))
    send(mosquitto_broker.url, 30, 30)
    assert {int(message.payload) for message in collect(subscriber, 30)} >= set(range(30, 60))
    subscriber.close()


@pytest.mark.mosquitto
def test_mosquitto_speaks_mqtt_5(mosquitto: str) -> None:
    subscriber = Subscriber(mosquitto, "service", TOPICS)
    subscriber.connect(PATIENCE_S)
    assert (subscriber.protocol, subscriber.connected) == ("5", True)
    subscriber.close()


def test_auto_falls_back_to_3_1_1(embedded_broker: str) -> None:
    subscriber = Subscriber(embedded_broker, "service", TOPICS)
    subscriber.connect(PATIENCE_S)
    assert subscriber.protocol == "3.1.1"
    subscriber.publish("tags/a/fixes", b"1", 1)
    assert len(collect(subscriber, 1)) == 1
    subscriber.close()


def test_a_broker_that_is_not_there(free_port: Callable[[], int]) -> None:
    port = free_port()
    subscriber = Subscriber(f"mqtt://jo:secret@127.0.0.1:{port}", "service", TOPICS)
    with pytest.raises(UnreachableError, match=rf"127.0.0.1:{port} .*waited 0.5 s") as caught:
        subscriber.connect(0.5)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="protocol is '4'"):
        Subscriber("mqtt://localhost", "x", TOPICS, "4")
