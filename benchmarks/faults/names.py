"""DNS gone: broker and database are known by name, and nobody answers for names while both are restarted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

from benchmarks.faults.cuts import Cut
from benchmarks.faults.fault import Setting
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess

_ZONE = "centre.test"
_HEADER, _TYPE_A = 12, 1


class NameServer:
    """Answers for a few names over UDP; `silent`: it takes questions and says nothing."""

    def __init__(self, host: str, addresses: Mapping[str, str]) -> None:
        self.silent, self._addresses = False, dict(addresses)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, asker = self._socket.recvfrom(512)
                if not self.silent:
                    self._socket.sendto(self._answer(question), asker)
            except OSError:
                return

    def _answer(self, question: bytes) -> bytes:
        end = question.index(0, _HEADER) + 5
        labels, at = [], _HEADER
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        address = self._addresses.get(".".join(labels).lower())
        is_told = address is not None and int.from_bytes(question[end - 4 : end - 2], "big") == _TYPE_A
        flags = b"\x85\x80" if address else b"\x85\x83"  # an authority's answer; no such name
        head = question[:2] + flags + b"\x00\x01" + (b"\x00\x01" if is_told else b"\x00\x00") + b"\x00" * 4
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(address or "0.0.0.0")
        return head + question[_HEADER:end] + (record if is_told else b"")


class NamesGone(Cut):
    """The name server is silent, and the connections that stood are lost."""

    name = "names not resolved"
    how = "the DNS server takes questions and is silent for 15 s, while broker and database are restarted"
    setting = Setting(network=True, slice_s=8.0, entries_a_try=1_200)
    shares = False
    waits = True
    peer = False
    times = 2

    def prepare(self, stand: Stand) -> None:
        """See `Fault`."""
        hosts = {part: stand.network.host(part) for part in ("broker", "database")}
        with stand.network.within("receiver"):
            self._server = NameServer(stand.network.host("receiver"), {f"{p}.{_ZONE}": host for p, host in hosts.items()})
        resolver = stand.folder / "resolv.conf"
        resolver.write_text(f"nameserver {stand.network.host('receiver')}\n", "ascii")
        text = stand.settings_file.read_text("utf-8")
        for part, host in hosts.items():
            text = text.replace(host, f"{part}.{_ZONE}")
        assert isinstance(stand.service, ServiceProcess)
        stand.service.settings_file = stand.folder / "by-name.toml"
        stand.service.settings_file.write_text(text, "utf-8")
        mount = f'mount --bind {resolver} /etc/resolv.conf && exec "$@"'
        stand.service.prefix = ["unshare", "--mount", "sh", "-c", mount, "sh"]

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        self._server.silent = True
        for victim in (stand.broker, stand.database):
            victim.stop()
            stand.start(victim)
        stand.hold(15.0, 4.0)
        self._server.silent = False

    def check(self, stand: Stand) -> None:
        """See `Fault`."""
        self._server.close()


FAULTS = [NamesGone()]
