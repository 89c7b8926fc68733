"""What TLS costs between Mosquitto and Tagwatch, and what a queue costs the broker: `python -m benchmarks.bench_tls`.

The subscriber takes and acknowledges all that one sender publishes at QoS 1, over a plain link and over TLS with certificates
on both sides, in turns. Then: the broker's processor time for each connection, its memory for each queued message, and for how
long a save of that queue holds up everybody.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.rounds import Row, machine, medians, rows, table
from benchmarks.run import keep
from benchmarks.victims import mosquitto_binary, until
from ingest import mqtt_wire as wire
from ingest.broker_trust import Trust
from ingest.broker_url import BrokerUrl
from ingest.mqtt import Subscriber
from tagwatch.broker.certificates import utc_now
from tagwatch.broker.folder import Folder
from tagwatch.embedded import free_port

N_MESSAGES, N_BYTES = 30_000, 200
N_CONNECTIONS, N_QUEUED = 300, 400_000
_TOPICS = ["tags/+/fixes"]


class Broker(NamedTuple):
    """A running Mosquitto with a plain port and one for TLS with certificates."""

    process: psutil.Process
    plain: BrokerUrl
    tls: BrokerUrl
    trust: Trust


def bench() -> list[Row]:
    """Rows of the report."""
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
        taken = medians({
            "plain": lambda: _throughput(broker, broker.plain, Trust()),
            "TLS, certificates of both": lambda: _throughput(broker, broker.tls, broker.trust),
        })  # fmt: skip
        found = rows("messages to the subscriber", N_MESSAGES, "messages", taken, "plain")
        cost = {name: _connections(broker, at, trust) for name, at, trust in (
            ("plain", broker.plain, Trust()), ("TLS, certificates of both", broker.tls, broker.trust),
        )}  # fmt: skip
        found += rows("connections, the broker's processor time", N_CONNECTIONS, "connections", cost, "plain")
        return [*found, _queue(broker)]


@contextmanager
def mosquitto(folder: Path) -> Iterator[Broker]:
    """The broker, ended with the block."""
    made = Folder(folder / "broker")
    made.found(["localhost"], utc_now())
    made.certificates_for(["tagwatch"], utc_now(), 5, made.path, service=True)
    plain, tls = free_port(), free_port()
    own = {end: made.path / f"server.{end}" for end in ("pem", "key")}
    (folder / "mosquitto.conf").write_text(
        f"user root\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nautosave_interval 0\n"
        "max_queued_messages 0\nmax_inflight_messages 2000\nset_tcp_nodelay true\nlog_type error\n"
        f"listener {plain} 127.0.0.1\nlistener {tls} 127.0.0.1\ncertfile {own['pem']}\nkeyfile {own['key']}\n"
        f"cafile {made.path}/authority.pem\ncrlfile {made.path}/authority.crl\nrequire_certificate true\n"
    )
    process = subprocess.Popen(
        [str(mosquitto_binary()), "-c", str(folder / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", tls)) == 0, 10, "the broker")
        trust = Trust(*(str(made.path / end) for end in ("authority.pem", "tagwatch.pem", "tagwatch.key")))
        yield Broker(
            psutil.Process(process.pid), BrokerUrl("localhost", plain), BrokerUrl("localhost", tls, tls=True), trust
        )
    finally:
        process.kill()
        process.wait()


def _throughput(broker: Broker, at: BrokerUrl, trust: Trust) -> None:
    subscriber = Subscriber(f"{'mqtts' if at.tls else 'mqtt'}://{at.name}", "reader", _TOPICS, trust=trust)
    subscriber.connect(10)
    sender = threading.Thread(target=_send, args=(broker.plain, N_MESSAGES))
    sender.start()
    n = 0
    while n < N_MESSAGES:
        n += subscriber.acknowledge(subscriber.take(4_096, 5.0))
    sender.join()
    subscriber.close()


def _send(at: BrokerUrl, count: int) -> None:
    """Publish at QoS 1 and wait for the last acknowledgement."""
    with _entered(at, Trust(), "sender") as link:
        packets = b"".join(wire.publish("3.1.1", "tags/t1/fixes", b"x" * N_BYTES, k % 65_535 + 1) for k in range(count))
        threading.Thread(target=link.sendall, args=(packets,)).start()
        left = 4 * count
        while left > 0:
            left -= len(link.recv(1 << 16))


def _connections(broker: Broker, at: BrokerUrl, trust: Trust) -> float:
    before = broker.process.cpu_times()
    for k in range(N_CONNECTIONS):
        _entered(at, trust, f"c{k}").close()
    after = broker.process.cpu_times()
    return after.user + after.system - before.user - before.system


def _entered(at: BrokerUrl, trust: Trust, client_id: str) -> socket.socket:
    link: socket.socket = socket.create_connection((at.host, at.port), 20)
    if (context := trust.context(at)) is not None:
        link = context.wrap_socket(link, server_hostname=at.host)
    packet = bytearray(wire.connect("3.1.1", client_id, 60))
    packet[9] |= 2  # a clean session
    link.sendall(packet)
    assert link.recv(4) == b"\x20\x02\x00\x00"
    return link


def _queue(broker: Broker) -> Row:
    """Memory of a queue for a subscriber that is away, and the pause of its save."""
    before = broker.process.memory_info().rss
    for _ in range(4):
        _send(broker.plain, N_QUEUED // 4)
    each = (broker.process.memory_info().rss - before) / N_QUEUED
    with _entered(broker.plain, Trust(), "probe") as probe:
        broker.process.send_signal(signal.SIGUSR1)
        paused_s, until_s = 0.0, time.perf_counter() + 3
        while (asked_s := time.perf_counter()) < until_s:  # the longest that an answer takes meanwhile
            probe.sendall(wire.PING)
            probe.recv(2)
            paused_s = max(paused_s, time.perf_counter() - asked_s)
    return Row("a save of the queue", "Mosquitto", N_QUEUED, "messages", paused_s, None,
               f"of {N_BYTES} bytes; in memory {each:,.0f} bytes each")  # fmt: skip


def main() -> None:
    """Print the table and keep it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = bench()
    keep("tls", found)
    print(machine())
    print(table(found))


if __name__ == "__main__":
    main()
