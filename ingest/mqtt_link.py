"""One paho client on one broker: connects, reconnects for ever with back-off, and says why when it cannot."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from engine.errors import InputError, UnreachableError
from ingest.broker_trust import Trust, explained, refusal
from ingest.broker_url import parse_url

PROTOCOLS = {"3.1.1": (paho.MQTTv311,), "5": (paho.MQTTv5,), "auto": (paho.MQTTv5, paho.MQTTv311)}
FOR_EVER_S = 0xFFFFFFFF  # a session that never expires
RECEIVE_MAXIMUM = 65_535
INVALID_TOPIC = "(a topic that is not UTF-8)"
_BACK_OFF_S = (1, 30)


class Link:
    """A connection that comes back by itself. Callbacks run in its network thread.

    A persistent one keeps its session with the broker, and its messages are acknowledged by hand.
    `generation` counts connections: a packet identifier means something within one connection only.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        protocol: str = "auto",
        *,
        persistent: bool,
        topics: Sequence[str] = (),
        trust: Trust = Trust(),
        on_message: Callable[[str, paho.MQTTMessage, int], None] | None = None,
        on_publish: Callable[[int], None] | None = None,
        keepalive_s: int = 30,
    ) -> None:
        """Raises InputError for a wrong address, protocol or file of TLS; connects only with `connect`."""
        if protocol not in PROTOCOLS:
            raise InputError(field="protocol", value=protocol, expected=f"one of {', '.join(PROTOCOLS)}")
        self.url = parse_url(url)
        self.generation = 0
        self.lock = threading.Lock()
        self._client_id, self._persistent, self._topics = client_id, persistent, tuple(topics)
        self._tls, self._keepalive_s = trust.context(self.url), keepalive_s
        self._on_message, self._on_publish = on_message, on_publish
        self._candidates = list(PROTOCOLS[protocol])
        self._news = threading.Event()
        self._up = threading.Event()
        self._refused_protocol = False
        self._reason = "no answer"
        self.client = self._make(self._candidates.pop(0))

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection that is open now."""
        return self._up.is_set()

    @property
    def protocol(self) -> str:
        """The protocol in use: 3.1.1 or 5."""
        return "5" if self._version == paho.MQTTv5 else "3.1.1"

    def connect(self, timeout_s: float) -> None:
        """Return once the broker has accepted; UnreachableError with host, port and the time waited where it does not."""
        self._start()
        waited = 0.0
        while not self._up.is_set():
            if self._news.wait(0.05):
                self._news.clear()
                if self._refused_protocol and self._candidates:
                    self._next_protocol()
            waited += 0.05
            if waited >= timeout_s and not self._up.is_set():
                self.close()
                if self._tls is not None and self._reason.startswith("closed"):  # paho keeps the reason to itself
                    self._reason = refusal(self.url, self._tls) or self._reason
                raise UnreachableError(
                    f"MQTT broker {self.url.name} is not reachable ({self._reason}); waited {timeout_s:g} s"
                )

    def close(self) -> None:
        """Say good-bye and stop; a persistent session stays with the broker."""
        self.client.disconnect()
        self.client.loop_stop()
        self._up.clear()

    def _start(self) -> None:
        arguments: dict[str, Any] = {"keepalive": self._keepalive_s}
        if self._version == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = FOR_EVER_S if self._persistent else 0
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            arguments |= {"clean_start": not self._persistent, "properties": properties}
        self.client.connect_async(self.url.host, self.url.port, **arguments)
        self.client.loop_start()

    def _next_protocol(self) -> None:
        self.client.loop_stop()
        self._refused_protocol = False
        self.client = self._make(self._candidates.pop(0))
        self._start()

    def _make(self, version: Any) -> paho.Client:
        self._version = version
        clean: dict[str, Any] = {} if version == paho.MQTTv5 else {"clean_session": not self._persistent}
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=version, manual_ack=self._persistent, **clean
        )
        client.reconnect_delay_set(*_BACK_OFF_S)
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        if self.url.user:
            client.username_pw_set(self.url.user, self.url.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_connect_fail, client.on_pre_connect = self._failed, self._before
        if self._on_message is not None:
            client.on_message = self._message
        if self._on_publish is not None:
            client.on_publish = self._published
        return client

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._reason = f"refused: {code}"
            self._refused_protocol = "protocol" in str(code).lower()
            self._news.set()
            return
        self._candidates.clear()
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        self._up.set()
        self._news.set()

    def _disconnected(self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        # A new generation before the next connection: what is still queued to be sent is then thrown away by paho, and
        # nothing of the old connection is queued after that.
        with self.lock:
            self.generation += 1
        if not self._up.is_set() and not self._reason.startswith("refused"):
            self._reason = f"closed before it answered ({code})"
            self._refused_protocol = True
        self._up.clear()
        self._news.set()

    def _before(self, _client: paho.Client, _data: Any) -> None:
        with self.lock:
            self.generation += 1

    def _failed(self, _client: paho.Client, _data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this while it handles the error, and does not hand it on
        self._reason = explained(error, tls=self.url.tls) if error else "no connection"
        self._news.set()

    def _message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        assert self._on_message is not None
        try:
            topic = message.topic
        except UnicodeDecodeError:  # nothing may escape here, it would end the network thread
            topic = INVALID_TOPIC
        self._on_message(topic, message, self.generation)

    def _published(self, _client: paho.Client, _data: Any, mid: int, _code: Any, _properties: Any) -> None:
        assert self._on_publish is not None
        self._on_publish(mid)
