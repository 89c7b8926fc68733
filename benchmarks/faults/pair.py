"""Two instances of the service, each on a host of its own: one leads, the other stands by."""

from __future__ import annotations

import time
from typing import NamedTuple

import psycopg

from benchmarks.faults.network import Network
from benchmarks.victims import ServiceProcess, until
from tagwatch.leadership.instance import name_of
from tagwatch.settings import read_settings

_READY, _STANDS_BY = b"event='ready'", b"code='HA-STANDBY'"


class Mark(NamedTuple):
    """A place in the logs of a service: how many lives it had had, and the bytes of the last one's log."""

    n_lives: int
    n_bytes: int

    def since(self, service: ServiceProcess, what: bytes) -> bool:
        """Whether this was logged after it."""
        log = service.log.encode()
        return what in (log[self.n_bytes :] if service.n_lives == self.n_lives else log)


class Pair:
    """See `Victim`: both are started, ended and killed together."""

    name = "service"

    def __init__(self, one: ServiceProcess, other: ServiceProcess, network: Network, url: str) -> None:
        self.both = {"service": one, "standby": other}
        """By the part of the network that each is on."""
        self._names = {name_of(read_settings(each.settings_file).raw_log.folder): part for part, each in self.both.items()}
        self._network, self._url = network, url

    @property
    def running(self) -> bool:
        """Whether both run."""
        return all(each.running for each in self.both.values())

    @property
    def log(self) -> str:
        """What both have logged in their present lives."""
        return "\n".join(each.log for each in self.both.values())

    def leader(self) -> str:
        """The part of the network on which the leader is, as the database has it."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute("SELECT name FROM leader WHERE backend <> 0").fetchone()
        return self._names.get(row[0], "") if row else ""

    def other(self, part: str) -> str:
        """The part on which the other one is."""
        return next(other for other in self.both if other != part)

    def start_one(self, part: str) -> None:
        """Start the one on this part."""
        with self._network.within(part):
            self.both[part].start()

    def start(self) -> None:
        """See `Victim`."""
        for part, each in self.both.items():
            if not each.running:
                self.start_one(part)

    def kill(self) -> None:
        """See `Victim`."""
        for each in self.both.values():
            each.kill()

    def stop(self) -> int:
        """See `Victim`: the worse of the two exit codes."""
        return max(each.stop() for each in self.both.values())

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Return once one of them leads and takes messages, and the other stands by."""
        begun = Mark(0, 0)
        lives = self.both.values()
        until(
            lambda: any(begun.since(each, _READY) for each in lives) and any(begun.since(each, _STANDS_BY) for each in lives),
            timeout_s, "one that leads and one that stands by",
        )  # fmt: skip

    def mark(self, part: str) -> Mark:
        """Where the log of the one on this part ends now."""
        each = self.both[part]
        return Mark(each.n_lives, len(each.log.encode()))

    def wait_led(self, part: str, mark: Mark, timeout_s: float) -> float | None:
        """When [s, monotonic] the one on this part took messages as the leader; None: not in time."""
        return self._wait(part, mark, _READY, timeout_s)

    def wait_standing_by(self, part: str, mark: Mark, timeout_s: float) -> float | None:
        """When [s, monotonic] the one on this part stood by; None: not in time."""
        return self._wait(part, mark, _STANDS_BY, timeout_s)

    def _wait(self, part: str, mark: Mark, what: bytes, timeout_s: float) -> float | None:
        give_up_s = time.monotonic() + timeout_s
        while time.monotonic() < give_up_s:
            if mark.since(self.both[part], what):
                return time.monotonic()
            time.sleep(0.02)
        return None
