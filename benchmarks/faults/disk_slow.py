"""A slow disk: each fsync and fdatasync of a process takes a while, made so by strace (Debian's package)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess, until


class SlowDisk(Fault):
    """Slow flushing of one part for a while."""

    setting = Setting(slice_s=12.0, entries_a_try=1200)

    def __init__(self, name: str, how: str, delay_s: float, part: str) -> None:
        self.name, self.how, self._delay_s, self._part = name, how, delay_s, part
        self.peer = part == "database"

    def lacks(self) -> str:
        """See `Fault`."""
        return "" if shutil.which("strace") else "strace is not on this machine"

    def produce(self, stand: Stand) -> None:
        """See `Fault`: memory and the connection to the broker are watched meanwhile."""
        victim = stand.service if self._part == "service" else stand.database
        with _watched(stand), _slowed(victim.pid, self._delay_s):  # type: ignore[attr-defined]
            stand.hold(15.0, 8.0)

    def check(self, stand: Stand) -> None:
        """Memory stayed flat, and the service was not thrown out by the broker."""
        if isinstance(stand.service, ServiceProcess):
            assert stand.notes["service grew by [MB]"] < 64, stand.notes
            assert stand.service.n_lives == 1, "the service had to be started again"
            assert "starting again" not in stand.service.log, "the service began anew"


@contextmanager
def _slowed(pid: int, delay_s: float) -> Iterator[None]:
    """Every flush of a process, its threads, and what it starts is late by so much."""
    pids = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e",
         f"inject=fsync,fdatasync:delay_enter={round(delay_s * 1e6)}", *(f"-p{each}" for each in pids)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: all(_is_traced(each) for each in pids), 10.0, "strace")
        yield
    finally:
        process.send_signal(signal.SIGINT)  # it lets go of them
        process.wait(30.0)


def _is_traced(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return "TracerPid:\t0\n" not in file.read()
    except FileNotFoundError:
        return True


@contextmanager
def _watched(stand: Stand) -> Iterator[None]:
    """By how much the service's memory grew meanwhile."""
    process = psutil.Process(stand.service.pid)  # type: ignore[attr-defined]
    before = most = process.memory_info().rss
    done = threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.1):
            most = max(most, process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    began_s = time.monotonic()
    try:
        yield
    finally:
        done.set()
        thread.join()
        stand.note("slow for [s]", round(time.monotonic() - began_s))
        stand.note("service grew by [MB]", (most - before) >> 20)


FAULTS: list[Fault] = [
    SlowDisk("disk of the raw log slow", "each flush of the service takes 1 s more (strace inject), for 15 s", 1.0, "service"),
    SlowDisk("disk of the database slow", "each flush of PostgreSQL takes 0.5 s longer (strace inject), for 15 s", 0.5,
             "database"),
]  # fmt: skip
