"""Load: messages encoded beforehand and sent over a bare socket, so that the tags cost next to nothing beside what is measured.

Two ways to send: as many as the service keeps up with (at most a window ahead of it), or by the clock, however the service
does (an open loop: who waits for the system under test measures only its good moments).
"""

from __future__ import annotations

import socket
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.fixes import Fixes
from ingest import mqtt_wire as wire
from ingest.broker_url import parse_url
from ingest.payload_text import fix_texts

TICK_S = 0.001


class Load(NamedTuple):
    """Packets one after the other, where each ends, and of each message: the newest fix's time, its device, its fixes."""

    packets: bytes
    ends: NDArray[np.int64]
    time_us: NDArray[np.int64]
    device: list[str]
    n_fixes: int

    @property
    def n(self) -> int:
        """How many messages."""
        return len(self.ends)

    def first(self, n: int) -> Load:
        """The first n messages."""
        return Load(self.packets[: self.ends[n - 1]], self.ends[:n], self.time_us[:n], self.device[:n], self.n_fixes)


def load_of(fixes: Fixes, n_each: int = 1) -> Load:
    """A message for each fix, or for each `n_each` fixes, which are then of one device and in a row."""
    texts = fix_texts(fixes)
    if n_each > 1:
        texts = [b"[" + b",".join(texts[k : k + n_each]) + b"]" for k in range(0, len(texts), n_each)]
    last = slice(n_each - 1, None, n_each)
    device = [fixes.devices[code] for code in fixes.device[last].tolist()]
    packets = [
        wire.publish("3.1.1", f"tags/{name}/fixes", text, k % 65_535 + 1)
        for k, (name, text) in enumerate(zip(device, texts, strict=True))
    ]
    ends = np.cumsum([len(packet) for packet in packets])
    return Load(b"".join(packets), ends, np.maximum.accumulate(fixes.time_us[last]), device, n_each)


def send_all(load: Load, address: str, window: int, rate: float | None, shared: Any) -> dict[str, float]:
    """Send the load; `shared` has `sent` and `done` (messages so far) and takes `began_s`. Returns what it took.

    With a `rate` message k is sent at began_s + k / rate, else at most `window` ahead of what is done.
    """
    view, starts, n = memoryview(load.packets), [0, *load.ends.tolist()], load.n
    with _connected(address) as link:
        shared.go.wait()
        cpu_s = time.process_time()
        began_s = shared.began_s.value = time.monotonic()
        sent = n_confirmed = 0
        while sent < n or n_confirmed < 4 * n:
            now_s = time.monotonic()
            until = int((now_s - began_s) * rate) + 1 if rate else shared.done.value + window
            until = min(until, n)
            if until > sent:
                shared.sent.value = until
                link.sendall(view[starts[sent] : starts[until]])
                sent = until
            n_confirmed += _confirmed(link)
            time.sleep(TICK_S)
        return {"seconds": time.monotonic() - began_s, "processor": time.process_time() - cpu_s}


def _connected(address: str) -> socket.socket:
    url = parse_url(address)
    link = socket.create_connection((url.host, url.port), 10.0)
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    flags_and_name = b"\x04\x02\x00\x00" + b"\x00\x04load"  # clean session, no keep-alive
    link.sendall(bytes([0x10, 6 + len(flags_and_name)]) + b"\x00\x04MQTT" + flags_and_name)
    if link.recv(4) != b"\x20\x02\x00\x00":
        raise ConnectionError("the broker does not take the load")
    return link


def _confirmed(link: socket.socket) -> int:
    try:
        return len(link.recv(1 << 18, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return 0
