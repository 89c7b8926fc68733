"""One fault. To plug in: a module of this package with a class of this kind and `FAULTS = [Mine()]`; nothing else is needed.

The runner makes a stand (broker, database, service, a webhook receiver, all processes or threads of this machine), lets tags
publish, calls `produce` some times in one run, measures the recovery after each, and judges the whole at the end:
`python -m benchmarks.faults --only NAME --times 2 --quick`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.crash_world import World, world

if TYPE_CHECKING:
    from benchmarks.faults.stand import Stand


_LATE = ((0.10, 180), (0.01, 360))
"""Minutes, not hours: a tag cannot know that a fix is stored while one with a lower number is to come, and so does not send it
again. After a broker lost its queue nothing can be whole until then."""


@dataclass(frozen=True)
class Setting:
    """What a fault wants of its stand.

    `entries_a_try`: fixes and events that the tags send in each try, spread over `slice_s` seconds of it. `network`: each
    part in a network namespace of its own. `toml`: further parts of tagwatch.toml, `environment`: of the service.
    """

    n_devices: int = 20
    entries_a_try: int = 900
    slice_s: float = 6.0
    batch: int = 1
    network: bool = False
    resend_s: float = 3.0
    patience_s: float = 120.0
    """How long after the end of a fault all must be as before."""
    toml: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    postgres: tuple[str, ...] = ()
    """Further arguments of the database server."""


class Fault:
    """What goes wrong, and how it is made to. Only `name`, `how` and `produce` must be given."""

    name: str
    """A few words, the same in the table and after --only (blanks are hyphens there)."""
    how: str
    """How it is produced, in a sentence."""
    times: int = 3
    """How often it is tried in the whole table; --quick tries each once."""
    setting: Setting = Setting()
    peer: bool = True
    """Whether the naive service is put to it too."""
    shares: bool = False
    """Whether the short test may put it on one stand with other faults: it asks nothing of the world and of the settings."""
    waits: bool = False
    """Whether it mostly waits, so that others may run beside it without disturbing it."""

    def lacks(self) -> str:
        """Why it cannot be produced on this machine (root, a Debian package, a part of the kernel); empty where it can."""
        return ""

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """What the tags send and what is imposed on them, for so many tries."""
        each = self.setting
        return world(seed, each.n_devices, max(30, tries * each.entries_a_try // each.n_devices), 0, _LATE)

    @contextmanager
    def around(self, folder: Path) -> Iterator[None]:
        """Around the whole life of the stand, whose servers have their folders here: a mount, a control group."""
        yield

    def prepare(self, stand: Stand) -> None:
        """After the servers were started, before the service is."""

    def produce(self, stand: Stand) -> None:
        """Produce it once and return when it is over: from then on the recovery is measured.

        Where it ends before this returns: call `stand.over()` at that moment. `stand.hold(seconds, quick_seconds)` waits.
        What was sent besides the world goes to `stand.also(fixes, events)`, what must be in quarantine to
        `stand.n_quarantined`; `stand.note(name, value)` keeps a figure for the table.
        """
        raise NotImplementedError

    def check(self, stand: Stand) -> None:
        """After the judgement: what must hold besides; raises AssertionError."""

    @property
    def slug(self) -> str:
        """The name for a command line."""
        return self.name.replace(" ", "-").replace(",", "")
