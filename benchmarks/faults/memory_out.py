"""No memory left: the kernel kills the service, or the database's process that serves it; or the service's own asking fails."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand
from benchmarks.victims import until

_GROUPS = Path("/sys/fs/cgroup/memory")
_SPARE = 4 << 20
_BALLAST = """
import sys, time
open("/proc/self/oom_score_adj", "w").write("-1000")
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
held = []
for _ in range(64):
    held.append(bytearray(1 << 20))
    time.sleep(0.02)
"""
"""It takes 64 MB in the group that it joins, and is not the first that the kernel chooses."""


class OutOfMemory(Fault):
    """A process is put into a control group with no memory to spare, and another one there asks for more."""

    def lacks(self) -> str:
        """See `Fault`."""
        if os.geteuid() != 0:
            return "root may make a control group, nobody else"
        return "" if (_GROUPS / "memory.limit_in_bytes").exists() else "there are no control groups for memory (version 1)"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        pid = self._victim(stand)
        with _group() as group:
            (group / "cgroup.procs").write_text(str(pid))
            (group / "memory.limit_in_bytes").write_text(
                str(_SPARE)
            )  # what it has is charged elsewhere, what it asks for here
            for _ in range(10):
                subprocess.run([sys.executable, "-c", _BALLAST, str(group)], check=False, timeout=60.0)
                if _is_dead(pid):
                    break
            assert _is_dead(pid), "the kernel let it live"
            assert "oom_kill 0" not in (group / "memory.oom_control").read_text(), "the kernel did not kill it"
        self._after(stand)

    def _victim(self, stand: Stand) -> int:
        raise NotImplementedError

    def _after(self, stand: Stand) -> None:
        """What starts it again."""


class ServiceOutOfMemory(OutOfMemory):
    """The service."""

    name = "service out of memory"
    how = "the kernel's OOM kill, in a control group that is full (cgroup memory limit); started again 1 s later"

    def _victim(self, stand: Stand) -> int:
        return int(stand.service.pid)  # type: ignore[attr-defined]

    def _after(self, stand: Stand) -> None:
        stand.hold(1.0)
        stand.service.kill()  # it is dead, and is waited for
        stand.start(stand.service)
        stand.over()
        stand.service.wait_ready()  # type: ignore[attr-defined]


class BackendOutOfMemory(OutOfMemory):
    """The database's process that serves the service."""

    name = "database out of memory"
    how = "the kernel's OOM kill of the service's backend, in a control group that is full; PostgreSQL recovers by itself"

    def _victim(self, stand: Stand) -> int:
        return stand.session_backend()


class NoMoreMemory(Fault):
    """The service may not have one page more than it has: what it asks for is refused."""

    name = "memory refused to the service"
    how = "its address space may not grow for 8 s (prlimit), and its connection is cut: what begins again finds no memory"
    setting = Setting(slice_s=10.0)
    peer = False

    def lacks(self) -> str:
        """See `Fault`."""
        return "" if sys.platform == "linux" else "prlimit is Linux'"

    def produce(self, stand: Stand) -> None:
        """See `Fault`: a process that ends by it is started again."""
        pid = int(stand.service.pid)  # type: ignore[attr-defined]
        size = psutil.Process(pid).memory_info().vms
        resource.prlimit(pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        with psycopg.connect(stand.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
        stand.hold(8.0, 5.0)
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if not stand.service.running:  # type: ignore[attr-defined]
            stand.note("ended by itself", 1)
            stand.start(stand.service)


@contextmanager
def _group() -> Iterator[Path]:
    """A control group of its own, which ends when the processes in it have ended or left."""
    made = _GROUPS / f"tagwatch-fault-{os.getpid()}"
    made.mkdir(exist_ok=True)
    try:
        yield made
    finally:
        (made / "memory.limit_in_bytes").write_text("-1")
        for pid in (made / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (_GROUPS / "cgroup.procs").write_text(pid)
        until(lambda: _removed(made), 20.0, "the end of the control group")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        time.sleep(0.1)
        return False
    return True


def _is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


FAULTS: list[Fault] = [ServiceOutOfMemory(), BackendOutOfMemory(), NoMoreMemory()]
