"""SIGKILL to each part, to all at once, and to one backend of the database only."""

from __future__ import annotations

import os
import signal
import time

import psycopg

from benchmarks.faults.fault import Fault
from benchmarks.faults.stand import Stand
from benchmarks.victims import Victim


class Kill(Fault):
    """Parts that are killed together, and are back after a second."""

    shares = True

    def __init__(self, name: str, how: str, *parts: str) -> None:
        self.name, self.how, self._parts = name, how, parts
        self.times = 5

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        victims: list[Victim] = [getattr(stand, part) for part in self._parts]
        for victim in victims:
            victim.kill()
        stand.hold(1.0, 0.3)
        stand.start(*reversed(victims))


class KillReceiver(Fault):
    """The receiver of the webhook is gone, connections and all, and comes back."""

    shares = True
    name = "webhook receiver killed"
    how = "its sockets are closed in the middle of deliveries; it listens again 3 s later"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        stand.hook.close()
        stand.hold(3.0, 1.0)
        with stand.network.within("receiver"):
            stand.hook.open()


class KillBackends(Fault):
    """The server processes of the service's connections are ended; the server goes on."""

    shares = True
    name = "database backends ended"
    how = "pg_terminate_backend of every connection of the service and its couriers"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        with psycopg.connect(stand.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )


class KillOneBackend(Fault):
    """One backend by SIGKILL: PostgreSQL then throws all others out and recovers from its log."""

    shares = True
    name = "database backend killed"
    how = "SIGKILL to the process that serves the service's session; PostgreSQL restarts all its processes by itself"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        os.kill(stand.session_backend(), signal.SIGKILL)
        time.sleep(0.2)


FAULTS: list[Fault] = [
    Kill("service killed", "SIGKILL; started again 1 s later", "service"),
    Kill("broker killed", "SIGKILL to Mosquitto, whose queue was last saved at its start; started again 1 s later", "broker"),
    Kill("database killed", "SIGKILL to every process of PostgreSQL; started again 1 s later", "database"),
    Kill("all killed at once", "SIGKILL to service, database and broker; started again 1 s later", "service", "database",
         "broker"),
    KillReceiver(),
    KillBackends(),
    KillOneBackend(),
]  # fmt: skip
