"""Attacks by who holds a tag's credentials, on a real Mosquitto as it is deployed: refused or harmless, the service unharmed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress

import paho.mqtt.client as paho
import pytest

from ingest.broker_trust import Trust
from ingest.message import Message
from ingest.mqtt import Subscriber
from tagwatch.broker.certificates import CLIENT, Pair, certify, utc_now
from tests.integration.conftest import PATIENCE_S, connect_and_subscribe, until
from tests.integration.secure_broker import Attacker, SecureBroker

pytestmark = [pytest.mark.mosquitto]
if shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None:
    pytest.skip("the mosquitto binary is not on this machine", allow_module_level=True)

TOPICS = ("tags/+/fixes", "tags/+/events", "owntracks/+/+", "owntracks/+/+/event")
REFUSED = {"Not authorized", "closed", "Packet too large"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    made = SecureBroker(tmp_path_factory.mktemp("secure"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def honest(broker: SecureBroker) -> Iterator[Attacker]:
    """A tag that does what it should, beside all attacks."""
    client = attacker(broker, "honest")
    yield client
    assert client.n_ends == 0
    client.leave()


@pytest.fixture
def service(broker: SecureBroker, honest: Attacker) -> Iterator[Subscriber]:
    """Tagwatch's own session, which must be unharmed at the end: connected all along, and hearing a tag."""
    subscriber = Subscriber(broker.url(broker.own), "tagwatch", TOPICS, trust=broker.service())
    connect_and_subscribe(subscriber)
    generation = subscriber._stream.generation
    yield subscriber
    heard(subscriber, honest)
    assert subscriber.connected
    assert subscriber._stream.generation == generation
    subscriber.close()


def attacker(broker: SecureBroker, name: str = "mallory", client_id: str = "", **more: object) -> Attacker:
    made = Attacker(broker.certificates, broker.trust(name), client_id or name, **more)  # type: ignore[arg-type]
    assert made.enter() == "Success"
    return made


def heard(subscriber: Subscriber, honest: Attacker) -> list[Message]:
    """All that has come until what an honest tag says now."""
    last = str(time.monotonic_ns()).encode()
    assert honest.say("tags/honest/fixes", last) == "Success"
    got: list[Message] = []
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not any(message.payload == last for message in got):
        part = subscriber.take(100, 0.5)
        subscriber.acknowledge(part)
        got += part
    assert got
    assert got[-1].payload == last
    return got[:-1]


FOREIGN = (
    "tags/victim/fixes", "tags/victim/events", "tags/victim/stored", "tags/mallory/stored", "tags/mallory/fixes/x", "tags//fixes",
    "tags/mallory", "tags/MALLORY/fixes", "owntracks/victim/phone", "alerts/critical/victim", "$SYS/broker/uptime", "other",
    "/tags/mallory/fixes", "tags/%u/fixes", "tags/%c/fixes", "tags/mallory\u0000/fixes",
)  # fmt: skip


@pytest.mark.parametrize("version", [paho.MQTTv5, paho.MQTTv311], ids=["5", "3.1.1"])
def test_a_tag_says_nothing_on_topics_of_others(
    broker: SecureBroker, service: Subscriber, honest: Attacker, version: int
) -> None:
    listener = attacker(broker, "victim")
    assert listener.listen("tags/victim/stored").startswith("Granted")
    for topic in FOREIGN:
        client = attacker(broker, version=version)
        try:
            told = client.say(topic, b"forged", retain=topic.endswith("stored"))
        except (ValueError, UnicodeError):
            continue
        finally:
            client.leave()
        # 3.1.1 has no way to refuse: it is acknowledged and thrown away.
        assert told in REFUSED if version == paho.MQTTv5 else told in {"Success", *REFUSED}, topic
    assert not [message for message in heard(service, honest) if message.payload == b"forged"]
    time.sleep(0.2)
    assert listener.heard == []  # a tag that heard it would drop its backlog
    listener.leave()
    again = attacker(broker, "victim")
    again.listen("tags/victim/stored")
    time.sleep(0.2)
    assert again.heard == []  # nor was it retained
    again.leave()


def test_a_tag_says_and_hears_its_own(broker: SecureBroker, service: Subscriber, honest: Attacker) -> None:
    client = attacker(broker)
    for topic in ("tags/mallory/fixes", "tags/mallory/events", "owntracks/mallory/phone", "owntracks/mallory/phone/event"):
        assert client.say(topic, b"own") == "Success"
    assert client.listen("tags/mallory/stored").startswith("Granted")
    service.publish("tags/mallory/stored", b"mine")
    service.publish("tags/victim/stored", b"theirs")
    assert sorted({m.topic for m in heard(service, honest) if m.payload == b"own"}) == [
        "owntracks/mallory/phone", "owntracks/mallory/phone/event", "tags/mallory/events", "tags/mallory/fixes",
    ]  # fmt: skip
    until(lambda: client.heard, "what is said to the tag")
    assert client.heard == [("tags/mallory/stored", b"mine")]
    client.leave()


@pytest.mark.parametrize(
    "topic",
    ["#", "tags/#", "tags/+/fixes", "tags/+/stored", "tags/victim/stored", "owntracks/#", "alerts/#", "$SYS/#", "+/+/+",
     "$share/spies/tags/+/fixes", "$share/spies/#", "$share/spies/tags/victim/stored"],
)  # fmt: skip
def test_a_tag_hears_nothing_of_others(broker: SecureBroker, service: Subscriber, honest: Attacker, topic: str) -> None:
    client, victim = attacker(broker, version=paho.MQTTv5), attacker(broker, "victim")
    client.listen(topic, 1.0)  # Mosquitto grants it, and sends nothing that may not be read
    for _ in range(3):
        assert victim.say("tags/victim/fixes", b"secret") == "Success"
        service.publish("tags/victim/stored", b"secret")
    n_heard = sum(message.payload == b"secret" for message in heard(service, honest))
    assert n_heard == 3  # a shared subscription takes nothing away from the service
    assert client.heard == []
    client.leave()
    victim.leave()


def test_a_will_on_a_foreign_topic_is_never_published(broker: SecureBroker, service: Subscriber, honest: Attacker) -> None:
    for topic in ("tags/victim/fixes", "tags/victim/stored", "tags/mallory/stored"):
        client = Attacker(broker.certificates, broker.trust("mallory"), "x", will=topic)
        client.enter()
        client.leave(abruptly=True)
    own = attacker(broker, will="tags/mallory/events")
    own.leave(abruptly=True)
    time.sleep(0.5)
    got: list[Message] = []

    def have_come() -> bool:
        got.extend(heard(service, honest))
        return bool(got)

    until(have_come, "the will on the own topic")
    assert [message.topic for message in got] == ["tags/mallory/events"]


def test_nobody_takes_the_session_of_another(broker: SecureBroker, service: Subscriber, honest: Attacker) -> None:
    """The client id is the certificate's name, whatever is asked for; so a clean start wipes nobody's queue."""
    victim, n_entered = attacker(broker, "victim"), broker.log.count("as tagwatch (")
    for wanted in ("tagwatch", "victim", "tagwatch-alerts", "", "#", "tagwatch/../victim"):
        for version in (paho.MQTTv5, paho.MQTTv311):
            client = Attacker(broker.certificates, broker.trust("mallory"), wanted, version=version)
            assert client.enter() == "Success"
            client.leave()
    assert service.connected
    assert victim.n_ends == 0
    assert "as mallory" in broker.log
    assert broker.log.count("as tagwatch (") == n_entered
    victim.leave()


def test_what_happens_without_that_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The attack itself: one line less, and a tag wipes the service's queue by its client id."""
    open_ = SecureBroker(tmp_path_factory.mktemp("open"))
    open_.config.write_text(open_.config.read_text().replace("use_username_as_clientid true", ""))
    open_.start()
    try:
        subscriber = Subscriber(open_.url(open_.own), "tagwatch", TOPICS, trust=open_.service())
        connect_and_subscribe(subscriber)
        subscriber.close()
        tag = attacker(open_, "tag")
        assert tag.say("tags/tag/fixes", b"waits for the service") == "Success"
        thief = attacker(open_, client_id="tagwatch")  # clean start
        thief.leave()
        tag.leave()
        again = Subscriber(open_.url(open_.own), "tagwatch", TOPICS, trust=open_.service())
        connect_and_subscribe(again)
        assert again.take(10, 1.0) == []
        again.close()
    finally:
        open_.stop()


def test_a_tags_certificate_is_none_at_the_services_door(
    broker: SecureBroker, service: Subscriber, honest: Attacker
) -> None:
    for port, trust in ((broker.own, broker.trust("mallory")), (broker.certificates, broker.service())):
        client = Attacker(port, trust, "tagwatch")
        with suppress(OSError):
            assert client.enter() in {"closed", "Unspecified error"}
        client.leave()


@pytest.mark.parametrize("name", ["+", "#", "victim/fixes", "tags/+", "%u", "%c", "$SYS", "tagwatch"])
def test_names_that_are_more_than_a_name_have_no_rights_even_if_certified(
    broker: SecureBroker, service: Subscriber, honest: Attacker, name: str
) -> None:
    """`tagwatch broker credential` makes none of these; whoever holds the tags' authority could."""
    authority = broker.folder._authority("tags")
    pair: Pair = certify(authority, name, CLIENT, utc_now(), 5)
    out = broker.folder.path / "forged"
    out.mkdir(exist_ok=True)
    (out / "x.pem").write_bytes(pair.certificate_pem())
    (out / "x.key").write_bytes(pair.key_pem())
    if name == "tagwatch":
        service.close()  # this name is the service's session: why nobody but the command may hold the authority's key
    trust = Trust(str(broker.folder.path / "authority.pem"), str(out / "x.pem"), str(out / "x.key"))
    for topic in ("tags/victim/fixes", "tags/victim/stored"):
        client = Attacker(broker.certificates, trust, "x")
        if client.enter() == "Success":
            assert client.say(topic, b"forged") in REFUSED
        client.leave()
    if name == "tagwatch":
        service.__init__(broker.url(broker.own), "tagwatch", TOPICS, trust=broker.service())  # type: ignore[misc]
        connect_and_subscribe(service)


def test_two_with_one_identity_put_each_other_out_and_nobody_else(
    broker: SecureBroker, service: Subscriber, honest: Attacker
) -> None:
    first, victim = attacker(broker), attacker(broker, "victim")
    second = attacker(broker, client_id="another")
    until(lambda: first.n_ends, "the first is put out")
    assert first.n_ends == 1
    assert second.say("tags/mallory/fixes", b"second") == "Success"
    assert victim.n_ends == 0
    assert "Client mallory already connected, closing old connection" in broker.log  # what to look for
    for client in (first, second, victim):
        client.leave()


@pytest.mark.parametrize("version", [paho.MQTTv5, paho.MQTTv311], ids=["5", "3.1.1"])
def test_what_is_too_long_is_refused(broker: SecureBroker, service: Subscriber, honest: Attacker, version: int) -> None:
    for topic, size in (
        ("tags/mallory/fixes", 300_000),
        ("tags/mallory/fixes", 20_000_000),
        ("tags/" + "x" * 65_500 + "/fixes", 10),
    ):
        client = attacker(broker, version=version)
        told = client.say(topic, b"x" * size, wait_s=1.5)
        assert told in {*REFUSED, "silence"} or (version == paho.MQTTv311 and told == "Success" and size == 10)
        client.leave()
    assert heard(service, honest) == []


def test_retained_fixes_do_not_come_again(broker: SecureBroker, service: Subscriber, honest: Attacker) -> None:
    """They are heard when they are published; by MQTT 5 not again, by 3.1.1 again at each subscription, as duplicates."""
    client = attacker(broker)
    assert client.say("tags/mallory/fixes", b"kept by the broker", retain=True) == "Success"
    client.leave()
    assert [message.payload for message in heard(service, honest)] == [b"kept by the broker"]
    for protocol, expected in (("5", []), ("3.1.1", [b"kept by the broker"])):
        other = Subscriber(broker.url(broker.own), f"tagwatch-{protocol}", TOPICS, protocol, trust=broker.service())
        connect_and_subscribe(other)
        got = [message.payload for message in heard(other, honest)]
        assert got == expected
        other.close()
    cleaner = attacker(broker)
    cleaner.say("tags/mallory/fixes", b"", retain=True)
    cleaner.leave()


def test_monitoring_reads_figures_and_nothing_else(broker: SecureBroker, service: Subscriber, honest: Attacker) -> None:
    watcher = Attacker(broker.own, broker.service("tagwatch-monitor"), "watcher")
    assert watcher.enter() == "Success"
    watcher.listen("$SYS/#")
    watcher.listen("#")
    victim = attacker(broker, "victim")
    assert victim.say("tags/victim/fixes", b"secret") == "Success"
    heard(service, honest)
    assert watcher.heard
    assert {topic.partition("/")[0] for topic, _ in watcher.heard} == {"$SYS"}
    assert watcher.say("tags/victim/fixes") in REFUSED
    victim.leave()
    watcher.leave()
