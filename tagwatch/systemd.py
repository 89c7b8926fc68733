"""What systemd is told of the service, over its socket: ready, alive, stopping. Without systemd nothing is said."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(*lines: str) -> bool:
    """Tell systemd these lines (READY=1, WATCHDOG=1, STATUS=...); returns whether there was somebody to tell."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaking:
        speaking.settimeout(1.0)
        speaking.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), address)
        return True
    return False


def watchdog_s() -> float | None:
    """Within how many seconds the next WATCHDOG=1 must come; None where systemd waits for none."""
    told, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not told.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(told) / 1_000_000 or None
