"""The network of a stand: none (all on 127.0.0.1), or a namespace for each part with a router between them, cut at will.

A silent cut is made in the router: a rule there drops what goes from one part to another without a word, as a firewall does
that has forgotten a connection. So a one-way cut, and a connection half open, are what they are in the wild. It takes root
and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = ("tags", "broker", "service", "database", "receiver", "standby")
_NEWNET = 0x40000000
_RANDOM = 0xFFFFF000 + 56
"""Where a packet filter finds a random number: SKF_AD_OFF + SKF_AD_RANDOM."""


class Network:
    """No namespaces: every part is on 127.0.0.1."""

    def host(self, part: str) -> str:
        """The address of a part."""
        return "127.0.0.1"

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """What this thread starts or opens in the block is the part's."""
        yield


class Namespaces(Network):
    """A namespace a part, joined by a router in one of its own."""

    def __init__(self) -> None:
        self._prefix = f"tw{os.getpid() % 100_000}"
        self._router = f"{self._prefix}router"
        _ip("netns", "add", self._router)
        _ip("-n", self._router, "link", "set", "lo", "up")
        _ip("netns", "exec", self._router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for number, part in enumerate(PARTS):
            self._join(part, number)

    def host(self, part: str) -> str:
        """See `Network`."""
        return f"10.97.{PARTS.index(part)}.2"

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """See `Network`."""
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{self._prefix}{part}", "rb") as other:
            _enter(other.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    def unplug(self, part: str) -> None:
        """Take a part's link down: its addresses and routes go with it."""
        _ip("-n", self._prefix + part, "link", "set", "eth0", "down")

    def plug_in(self, part: str) -> None:
        """The link up again."""
        _ip("-n", self._prefix + part, "link", "set", "eth0", "up")
        _ip("-n", self._prefix + part, "route", "replace", "default", "via", f"10.97.{PARTS.index(part)}.1")

    def drop(self, source: str, target: str) -> None:
        """From now on what goes from one part to another is dropped without a word; what comes back goes on."""
        self._rule("add", source, target)

    def drop_no_more(self, source: str, target: str) -> None:
        """Undo `drop`."""
        self._rule("del", source, target)

    def lose(self, part: str, share: float, rate: str) -> None:
        """Of what goes to a part this share is lost by chance, the rest waits for a narrow line (such as 256kbit)."""
        line, bound = f"to-{part}", int((1.0 - share) * (2**32 - 1))
        by_chance = f"4,32 0 0 {_RANDOM},53 0 1 {bound},6 0 0 65538,6 0 0 65537"  # above it: class 1:2, else class 1:1
        self._tc("qdisc", "add", "dev", line, "root", "handle", "1:", "htb", "default", "1")
        for number, most in ((1, (rate,)), (2, ("8bit", "burst", "1", "cburst", "1"))):  # the second lets nothing through
            self._tc("class", "add", "dev", line, "parent", "1:", "classid", f"1:{number}", "htb", "rate", *most)
        self._tc("qdisc", "add", "dev", line, "parent", "1:2", "handle", "12:", "pfifo", "limit", "1")
        self._tc("filter", "add", "dev", line, "parent", "1:", "protocol", "ip", "bpf", "bytecode", by_chance)

    def lose_no_more(self, part: str) -> None:
        """Undo `lose`."""
        self._tc("qdisc", "del", "dev", f"to-{part}", "root")

    def close(self) -> None:
        """Remove all."""
        for name in (*PARTS, "router"):
            subprocess.run(["ip", "netns", "del", self._prefix + name], check=False, capture_output=True)

    def _rule(self, verb: str, source: str, target: str) -> None:
        _ip("-n", self._router, "rule", verb, "from", self.host(source), "to", self.host(target), "blackhole")

    def _tc(self, *arguments: str) -> None:
        _call("tc", "-n", self._router, *arguments)

    def _join(self, part: str, number: int) -> None:
        name, outer = self._prefix + part, f"to-{part}"
        _ip("netns", "add", name)
        _ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", outer, "netns", self._router)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"10.97.{number}.2/24", "dev", "eth0")
        _ip("-n", self._router, "addr", "add", f"10.97.{number}.1/24", "dev", outer)
        _ip("-n", self._router, "link", "set", outer, "up")
        self.plug_in(part)


def lacks() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the package iproute2 is not installed"
    if not Path("/proc/self/ns/net").exists():
        return "the kernel has no network namespaces"
    tried = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True)
    return "" if tried.returncode == 0 else "this machine lets nobody make a network namespace"


def _ip(*arguments: str) -> None:
    _call("ip", *arguments)


def _call(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
