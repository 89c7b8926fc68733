"""The broker: there, by which protocol, for whom, and whether it has thrown messages away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from engine.errors import InputError, UnreachableError
from ingest.broker_url import parse_url
from ingest.mqtt_link import Link
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.settings import Broker

_PART = "broker"
_WAIT_S = 3.0
_HEARD_S = 0.7
_DROPPED, _VERSION = "$SYS/broker/publish/messages/dropped", "$SYS/broker/version"


def examine(scene: Scene) -> Iterator[Finding]:
    """Connect as the service would, under another name: its session is left alone."""
    broker = scene.settings.broker
    told: dict[str, str] = {}
    try:
        protocol = _visit(broker, told)
    except UnreachableError as fault:
        yield Finding(_PART, FAULT, str(fault), "start the broker, or correct [broker] url, user and password")
        return
    which = f", {told[_VERSION]}" if told.get(_VERSION, "").startswith("mosquitto version ") else ""
    yield Finding(_PART, OK, f"{parse_url(broker.url).name}, MQTT {protocol}{which}")
    if protocol != "5":
        yield Finding(_PART, WARNING, "it speaks MQTT 3.1.1 only: the session has no bound of its own, and no limit is told",
                      "a broker with MQTT 5, such as Mosquitto 2")  # fmt: skip
    if _admits_anybody(broker):
        yield Finding(_PART, WARNING, "it admits who has no password: anybody can send positions of any tag, or listen",
                      "give each tag its own: tagwatch broker credential; access rules: tagwatch broker acl")  # fmt: skip
    if told.get(_DROPPED, "0").isdigit() and int(told.get(_DROPPED, "0")):
        yield Finding(_PART, WARNING, f"it has thrown {int(told[_DROPPED]):,} messages away since its start",
                      "max_queued_messages 0 and persistence true, see deploy/mosquitto; then look for gaps")  # fmt: skip


def _visit(broker: Broker, told: dict[str, str]) -> str:
    heard = threading.Event()

    def on_message(topic: str, message: Any, _generation: int) -> None:
        told[topic] = bytes(message.payload)[:80].decode("ascii", "replace")
        if len(told) == 2:
            heard.set()

    link = Link(
        broker.url, f"{broker.client_id}-doctor", broker.protocol, persistent=False, trust=broker.trust,
        topics=(_DROPPED, _VERSION), on_message=on_message,
    )  # fmt: skip
    try:
        link.connect(_WAIT_S)
        heard.wait(_HEARD_S)  # a broker that tells nothing of itself, or not us
        return link.protocol
    finally:
        link.close()


def _admits_anybody(broker: Broker) -> bool:
    """Whether somebody without name, password and certificate is let in."""
    url = parse_url(broker.url)
    bare = f"mqtt{'s' if url.tls else ''}://{f'[{url.host}]' if ':' in url.host else url.host}:{url.port}"
    try:
        link = Link(bare, f"{broker.client_id}-doctor-stranger", broker.protocol, persistent=False,
                    trust=broker.trust._replace(certfile=None, keyfile=None))  # fmt: skip
        link.connect(1.0)
    except (UnreachableError, InputError):
        return False
    link.close()
    return True
