"""MQTT: each delivery as one CloudEvents message, QoS 1, never retained, handed over once the broker has acknowledged it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

import paho.mqtt.client as paho

from alerts.cloud_event import SOURCE, to_event
from alerts.delivery import AwayError, Delivery, DeliveryError
from engine.errors import InputError, UnreachableError

TOPIC = "alerts/{grade}/{wearer}"
TIMEOUT_S = 10.0
_CONNECT_S = 3.0
_REFUSED = 0x80  # MQTT 5 reason codes from here on are failures


class Link(Protocol):
    """A connection to a broker that comes back by itself."""

    client: paho.Client

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""

    def connect(self, timeout_s: float) -> None:
        """Return once connected; UnreachableError where that takes too long."""

    def close(self) -> None:
        """Leave."""


class MqttNotifier:
    """Publishes to the topic of a delivery's channel (`mqtt:topic`), else to the pattern with the alert's grade and wearer."""

    def __init__(self, make_link: Callable[[], Link], topic: str = TOPIC, source: str = SOURCE) -> None:
        """`make_link` makes a connection that is not open yet; InputError where the topic is no topic to publish to."""
        if not topic or set("+#\0") & set(topic) or not _fits(topic):
            raise InputError(field="alerts_mqtt topic", value=topic, expected=f"a topic such as {TOPIC}")
        self._make_link, self._topic, self._source = make_link, topic, source
        self._link: Link | None = None
        self._opening = threading.Lock()
        self._refused: dict[int, str] = {}

    def send(self, delivery: Delivery) -> None:
        """Publish, and wait for the acknowledgement."""
        link = self._opened()
        if not link.connected:
            raise AwayError("the broker for alerts is away")
        alert = delivery.content
        topic = delivery.target or self._topic.format(grade=_level(alert["grade"]), wearer=_level(alert["wearer"]))
        handed = link.client.publish(topic, to_event(delivery, self._source), qos=1, retain=False)
        try:
            handed.wait_for_publish(TIMEOUT_S)
        except (RuntimeError, ValueError) as fault:
            raise AwayError(f"the broker for alerts is away: {fault}") from None
        if not handed.is_published():
            raise AwayError("the broker for alerts did not acknowledge in time")
        if reason := self._refused.pop(handed.mid, ""):
            raise DeliveryError(f"the broker refused the topic: {reason}")

    def close(self) -> None:
        """Leave the broker."""
        if self._link is not None:
            self._link.close()

    def _opened(self) -> Link:
        with self._opening:
            if self._link is None:
                link = self._make_link()
                try:
                    link.connect(_CONNECT_S)
                except UnreachableError as fault:
                    raise AwayError(str(fault)) from None
                link.client.on_publish = self._acknowledged
                self._link = link
            return self._link

    def _acknowledged(self, _client: paho.Client, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        if code.value >= _REFUSED:
            self._refused[mid] = str(code)


def _level(text: str) -> str:
    """One level of a topic: what would cut it, or be a wildcard, is percent-encoded."""
    return quote(text, safe=" !$&'()*,-.:;=@_~")


def _fits(topic: str) -> bool:
    try:
        return bool(topic.format(grade="g", wearer="w"))
    except (KeyError, IndexError, ValueError):
        return False
