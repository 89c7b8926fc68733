"""What an examination finds, and what it is given to look at."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from engine.database import Connection
from engine.times import system_clock
from tagwatch.settings import Settings

OK, WARNING, FAULT = "ok", "warning", "FAULT"


class Finding(NamedTuple):
    """One sentence on a part, `grade` OK, WARNING or FAULT, and what to do; without names of people, devices or places."""

    part: str
    grade: str
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is examined. `connection` is None where the database is not there; `thorough`: take the time that it takes."""

    settings: Settings
    file: Path
    connection: Connection | None
    thorough: bool = False

    @property
    def now_us(self) -> int:
        """Now [us UTC]."""
        return system_clock()


def is_local(host: str) -> bool:
    """Whether a host is this machine: nothing between it and us can be listened to. Sockets have a path or no name."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
