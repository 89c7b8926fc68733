"""A Mosquitto with the configuration that is deployed, on free ports and with files made by `tagwatch broker`."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker_trust import Trust
from tagwatch.broker.acl import TAGS, services_acl
from tagwatch.broker.certificates import utc_now
from tagwatch.broker.folder import Folder
from tests.integration.conftest import PATIENCE_S, find_free_port

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/mosquitto"
SETTINGS = "/etc/mosquitto/tagwatch"


class SecureBroker:
    """The deployed configuration, with `changes` of single lines; `own` is the listener of Tagwatch's own."""

    def __init__(self, folder: Path, changes: dict[str, str] | None = None, **authority: Any) -> None:
        found = shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin:/usr/local/bin")
        assert found is not None
        self.folder, self._binary = Folder(folder / "broker"), found
        self.folder.found(**{"hosts": ["localhost", "127.0.0.1"], "now": utc_now()} | authority)
        (self.folder.path / "tags.acl").write_text(TAGS)
        (self.folder.path / "services.acl").write_text(services_acl())
        self.certificates, self.with_passwords, self.own = (find_free_port() for _ in range(3))
        (store := folder / "store").mkdir()
        text = (DEPLOYED / "mosquitto.conf").read_text()
        text = text.replace(SETTINGS, str(self.folder.path)).replace("/var/lib/mosquitto/", f"{store}/")
        for old, new in {
            "user mosquitto": "user root", "listener 8883": f"listener {self.certificates} 127.0.0.1",
            "listener 8884": f"listener {self.with_passwords} 127.0.0.1", "listener 8885": f"listener {self.own}",
            **(changes or {}),
        }.items():  # fmt: skip
            assert len(re.findall(f"^{re.escape(old)}", text, re.MULTILINE)) == 1, old
            text = re.sub(f"^{re.escape(old)}", new, text, flags=re.MULTILINE)
        self.config, self.log_file = folder / "mosquitto.conf", folder / "mosquitto.log"
        self.config.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen([self._binary, "-c", str(self.config)], stdout=log, stderr=log)
        for port in (self.certificates, self.with_passwords, self.own):
            end = time.monotonic() + PATIENCE_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, self.log
                    time.sleep(0.02)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)

    def tag(self, *names: str) -> None:
        """Certificates for tags."""
        self.folder.certificates_for(names, utc_now(), 30, self.folder.path / "of-tags")

    def trust(self, name: str, kind: str = "of-tags") -> Trust:
        """What a client with a certificate trusts and shows; made where it is not there yet."""
        out, service = self.folder.path / kind, kind == "of-services"
        self.folder.certificates_for([name], utc_now(), 30, out, service=service, skip=True)
        return Trust(str(self.folder.path / "authority.pem"), str(out / f"{name}.pem"), str(out / f"{name}.key"))

    def service(self, name: str = "tagwatch") -> Trust:
        return self.trust(name, "of-services")

    def url(self, port: int, host: str = "localhost") -> str:
        return f"mqtts://{host}:{port}"


class Attacker:
    """A paho client that does what it is told, and keeps what it hears and how it ended."""

    def __init__(self, port: int, trust: Trust, client_id: str, *, user: str = "", password: str = "", version: Any = paho.MQTTv5,
                 will: str = "", clean: bool = True) -> None:  # fmt: skip
        arguments: dict[str, Any] = {} if version == paho.MQTTv5 else {"clean_session": clean}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, **arguments)
        context = ssl.create_default_context(cafile=trust.cafile)
        if trust.certfile:
            context.load_cert_chain(trust.certfile, trust.keyfile)
        self.client.tls_set_context(context)
        if user:
            self.client.username_pw_set(user, password)
        if will:
            self.client.will_set(will, b'{"seq": 99}', 1)
        self.heard: list[tuple[str, bytes]] = []
        self.acknowledged: dict[int, str] = {}
        self.granted: list[str] = []
        self.said, self.n_ends = "", 0
        self._news = threading.Event()
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._ended
        self.client.on_message = lambda _c, _d, message: self.heard.append((message.topic, message.payload))
        self.client.on_publish = self._published
        self.client.on_subscribe = self._subscribed
        self._port = port

    def enter(self, wait_s: float = PATIENCE_S) -> str:
        """Connect once; what the broker said, or `closed`."""
        self.client.reconnect_delay_set(60, 60)
        self.client.connect("localhost", self._port, keepalive=30)
        self.client.loop_start()
        self._news.wait(wait_s)
        return self.said

    def say(
        self, topic: str, payload: bytes = b"{}", qos: int = 1, *, retain: bool = False, wait_s: float = PATIENCE_S
    ) -> str:
        """Publish; the reason of its acknowledgement, or `closed`, or `silence`."""
        n_ends, handed = self.n_ends, self.client.publish(topic, payload, qos, retain)
        end = time.monotonic() + wait_s
        while time.monotonic() < end and handed.mid not in self.acknowledged and self.n_ends == n_ends:
            time.sleep(0.01)
        return self.acknowledged.get(handed.mid, "closed" if self.n_ends > n_ends else "silence")

    def listen(self, topic: str, wait_s: float = PATIENCE_S) -> str:
        """Subscribe; what was granted."""
        n = len(self.granted)
        self.client.subscribe(topic, 1)
        end = time.monotonic() + wait_s
        while time.monotonic() < end and len(self.granted) == n:
            time.sleep(0.01)
        return self.granted[-1] if len(self.granted) > n else "silence"

    def leave(self, *, abruptly: bool = False) -> None:
        if abruptly and (plug := self.client.socket()) is not None:
            plug.shutdown(socket.SHUT_RDWR)  # the will is published
        self.client.disconnect()
        self.client._thread_terminate = True  # its thread ends by itself; paho's own end waits a second for it

    def _connected(self, _c: Any, _d: Any, _f: Any, code: Any, _p: Any) -> None:
        self.said = str(code)
        self._news.set()

    def _ended(self, *_: Any) -> None:
        self.n_ends += 1
        self.said = self.said or "closed"
        self._news.set()

    def _published(self, _c: Any, _d: Any, mid: int, code: Any, _p: Any) -> None:
        self.acknowledged[mid] = str(code)

    def _subscribed(self, _c: Any, _d: Any, _mid: int, codes: Any, _p: Any) -> None:
        self.granted.append(str(codes[0]))
