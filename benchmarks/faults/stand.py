"""The stand of a fault: broker, database, service, tags and a webhook receiver, and what disturbs and watches them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.crash_world import World
from benchmarks.faults.fault import Fault
from benchmarks.faults.network import Namespaces, Network
from benchmarks.faults.tags import Tags
from benchmarks.receiver import SECRET, Receiver, receiver
from benchmarks.victims import Mosquitto, Postgres, ServiceProcess, Victim
from engine import database
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from tagwatch import configuration
from tagwatch.embedded import free_port
from tagwatch.service import initialise


class Stand:
    """All parts, running. `url` is the database's for whoever looks in from outside: a socket that no cut touches."""

    service: Victim

    def __init__(
        self, folder: Path, fault: Fault, world: World, network: Network, hook: Receiver, *, tries: int, quick: bool, seed: int
    ) -> None:  # fmt: skip
        self.folder, self.fault, self.world, self.network, self.hook = folder, fault, world, network, hook
        self.tries, self.quick, self.random = tries, quick, random.Random(seed)
        self.n_quarantined = 0
        self.notes: dict[str, Any] = {}
        self.tags: Tags
        self._over_s: float | None = None
        self._besides: list[tuple[Fixes, list[DeviceEvent]]] = []
        host = network.host("database") if fault.setting.network else ""
        self.broker = Mosquitto(folder / "broker", network.host("broker"))
        self.database = Postgres(folder / "postgres", host, fault.setting.postgres)
        self.url = self.database.url
        self.settings_file = self._write_settings()
        self.raw_logs = [folder / "raw-log"]
        """Of every instance of the service."""

    @property
    def is_naive(self) -> bool:
        """Whether the service is the naive one."""
        return self.service.name == "naive service"

    @property
    def namespaces(self) -> Namespaces:
        """The network between the parts, of a fault whose setting asks for one."""
        assert isinstance(self.network, Namespaces)
        return self.network

    def hold(self, seconds: float, quick_seconds: float | None = None) -> None:
        """Let a fault last so long, or so long where the run is a short one."""
        time.sleep(quick_seconds if self.quick and quick_seconds is not None else seconds)

    def over(self) -> None:
        """The fault is over now: what `produce` does from here on is counted to the recovery."""
        self._over_s = time.monotonic()

    def note(self, name: str, value: Any) -> None:
        """Keep a figure for the table; of several tries the largest."""
        self.notes[name] = max(value, self.notes.get(name, value))

    def also(self, fixes: Fixes, events: list[DeviceEvent] | None = None) -> None:
        """This was sent besides what the world holds, and must be there too."""
        self._besides.append((fixes, events or []))

    def sent(self) -> tuple[Fixes, list[DeviceEvent]]:
        """All that was sent: the world's and what a fault sent besides."""
        others = [fixes for fixes, _ in self._besides]
        events = [*self.world.events, *(event for _, some in self._besides for event in some)]
        return (concat([self.world.fixes, *others]) if others else self.world.fixes), events

    def kill(self, *victims: Victim, away_s: float = 1.0) -> None:
        """SIGKILL to these, in order; started again, the last first, after a while."""
        for victim in victims:
            victim.kill()
        time.sleep(away_s)
        self.start(*reversed(victims))

    def start(self, *victims: Victim) -> None:
        """Start these in their own part of the network."""
        for victim in victims:
            with self.network.within({"broker": "broker", "database": "database"}.get(victim.name, "service")):
                victim.start()

    def session_backend(self) -> int:
        """The process of the database that serves the service's session: the oldest connection."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                " ORDER BY backend_start LIMIT 1"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def take_over(self) -> float:
        """When the last fault was over [s, monotonic]: now where it was not said."""
        over_s, self._over_s = self._over_s, None
        return over_s or time.monotonic()

    def _write_settings(self) -> Path:
        path = self.folder / "tagwatch.toml"
        path.write_text(
            f'[broker]\nurl = "{self.broker.url}"\n\n[database]\nurl = "{self.database.tcp_url or self.url}"\n\n'
            f'[raw_log]\nfolder = "{self.folder}/raw-log"\n\n[console]\nport = {free_port()}\n\n'
            f'[webhook]\nurl = "{self.hook.url}"\nsecret = "{SECRET}"\n\n{self.fault.setting.toml}\n', "utf-8",
        )  # fmt: skip
        return path


@contextmanager
def made(
    fault: Fault, tries: int, quick: bool, seed: int, service_of: Callable[[Stand], Victim] | None = None
) -> Iterator[Stand]:  # fmt: skip
    """A stand with everything running and the tags publishing; all ended and removed at the end.

    `service_of` makes another service than Tagwatch.
    """
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="tagwatch-fault-", ignore_cleanup_errors=True))
        folder = Path(name)
        folder.chmod(0o755)  # the database runs as a user of its own where we are root
        stack.enter_context(fault.around(folder))
        network: Network = stack.enter_context(closing(Namespaces())) if fault.setting.network else Network()
        with network.within("receiver"):
            hook = stack.enter_context(receiver(seed, 0.0, network.host("receiver")))
        there = Stand(folder, fault, fault.world(seed, tries, quick), network, hook, tries=tries, quick=quick, seed=seed)
        there.service = service_of(there) if service_of else ServiceProcess(there.settings_file, fault.setting.environment)
        for victim in (there.database, there.broker):
            stack.callback(victim.kill)
        stack.callback(lambda: there.service.kill())  # noqa: PLW0108 - a fault may put others in its place
        _bring_up(there, service_of is None)
        yield there


def _bring_up(there: Stand, is_tagwatch: bool) -> None:
    there.start(there.broker, there.database)
    if is_tagwatch:
        initialise(there.url)
        first = there.world.first
        with database.connect(there.url) as connection:
            configuration.save(
                connection, first.from_us, zones=first.zones, curfews=first.curfews, activations=there.world.activations
            )
    there.fault.prepare(there)
    there.start(there.service)
    given = there.fault.setting
    there.service.wait_ready(given.patience_s)  # type: ignore[attr-defined]
    there.tags = Tags(
        there.world, there.broker.url, there.network, tries=there.tries, slice_s=given.slice_s, batch=given.batch,
        resend_s=given.resend_s, await_stored=is_tagwatch,
    )  # fmt: skip


def count(connection: psycopg.Connection[Any], query: str) -> int:
    """The one number that a query answers."""
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
