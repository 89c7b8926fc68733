"""What an instance of the service is called, and how it finds out whether it reaches the broker."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

from engine.times import Clock
from ingest.mqtt_stream import Stream
from tagwatch.settings import Broker

KEEPALIVE_S = 3.0
"""A broker that cannot be reached any more is found out within one and a half times this."""


def name_of(folder: Path) -> str:
    """The host, and a sign for the folder of the raw log, which one process at a time can write: the same after a restart."""
    return f"{socket.gethostname()[:40]}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def probe(broker: Broker, name: str, clock: Clock) -> Stream:
    """A connection without subscriptions beside the service's own, which only the leader may have."""
    return Stream(
        broker.url, f"{broker.client_id}-probe-{name}", (), broker.protocol, broker.trust, clock, lambda *_: None,
        keepalive_s=KEEPALIVE_S, most_pause_s=1.0,
    )  # fmt: skip
