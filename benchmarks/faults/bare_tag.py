"""A tag over a bare socket: it sends as fast as the broker takes it, and hears what Tagwatch says is stored."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.live_tags import opened, wait_for
from benchmarks.scenes import degrees
from engine.fixes import SOURCES, Fixes
from ingest import mqtt_wire as wire


class BareTag:
    """One connection. `until` is the highest sequence number that was said to be stored."""

    def __init__(self, url: str, device: str, name: str = "", source: str = "") -> None:
        self.device, self.until, self.n_acknowledged = device, 0, 0
        self._link = opened(url, name or device, (f"tags/{device}/stored",), source)
        self._link.setblocking(True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, payloads: Sequence[bytes], kind: str = "fixes", rate: float | None = None) -> None:
        """One message each, so many a second or as fast as the broker reads."""
        began_s, n = time.monotonic(), 100 if rate else 1000
        for start in range(0, len(payloads), n):
            if rate:
                time.sleep(max(0.0, began_s + start / rate - time.monotonic()))
            some = payloads[start : start + n]
            packets = [wire.publish("3.1.1", f"tags/{self.device}/{kind}", p, k % 65_000 + 1) for k, p in enumerate(some)]
            self._link.sendall(b"".join(packets))

    def wait_stored(self, seq: int, timeout_s: float) -> float:
        """Seconds until all up to this number was said to be stored; TimeoutError where it is not."""
        return wait_for(lambda: self.until >= seq, timeout_s, f"the stored notice of {self.device}")

    def wait_acknowledged(self, n: int, timeout_s: float = 60.0) -> None:
        """Until the broker has so many messages."""
        wait_for(lambda: self.n_acknowledged >= n, timeout_s, f"the broker's acknowledgements to {self.device}")

    def close(self) -> None:
        """Leave without a good-bye."""
        self._link.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._link.close()

    def _read(self) -> None:
        reader = wire.Reader("3.1.1", 0)
        while data := self._received():
            messages, packets = reader.read(data, 0)
            self.n_acknowledged += sum(packet.kind == wire.PUBACK for packet in packets)
            for message in messages:
                self.until = max(self.until, msgspec.json.decode(message.payload).get("seq", 0))

    def _received(self) -> bytes:
        try:
            return self._link.recv(1 << 18)
        except OSError:
            return b""


def walk(device: str, time_us: NDArray[np.int64], at_m: tuple[float, float] = (0.0, 0.0), radius_m: float = 300.0) -> Fixes:
    """A walk round a place [m east and north of the town's middle], once in an hour and a half; a fix at each time."""
    angle = 2 * np.pi * (time_us / 1e6 % 5400.0) / 5400.0
    lat, lon = degrees(at_m[0] + radius_m * np.sin(angle), at_m[1] + radius_m * np.cos(angle))
    return Fixes.of(
        [device], device=np.zeros(len(time_us), np.int32), time_us=time_us, lat_e7=np.rint(lat * 1e7),
        lon_e7=np.rint(lon * 1e7), accuracy_cm=500 + time_us // 1_000_000 % 700, source=np.full(len(time_us), SOURCES["gps"]),
        received_s=time_us // 1_000_000,
    )  # fmt: skip


def in_messages(texts: Sequence[bytes], n_each: int) -> list[bytes]:
    """Payloads of so many entries each; of one entry it is that entry alone."""
    if n_each == 1:
        return [*texts]
    return [b"[" + b",".join(texts[k : k + n_each]) + b"]" for k in range(0, len(texts), n_each)]
