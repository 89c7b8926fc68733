"""The office: what every page and every call of the API is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from engine.times import Clock, system_clock
from tagwatch.access import audit
from tagwatch.access.people import People
from tagwatch.console.caller import Caller
from tagwatch.console.database import Database
from tagwatch.console.jobs import Jobs
from tagwatch.health.examiner import Examiner
from tagwatch.settings import Settings

Thing = TypeVar("Thing")
Feed = Callable[[], dict[str, Any]]
"""What the running service tells of itself, such as `messages` and `quarantined`; each may be missing."""


@dataclass
class Office:
    """`clock` is the centre's time (in the demo that of the town); who signs in and what is audited goes by `wall`.

    `examiner` knows the health of the service in this process, where there is one.
    """

    database: Database
    settings: Settings
    clock: Clock = system_clock
    wall: Clock = system_clock
    feed: Feed = dict
    scene: Mapping[str, Any] = field(default_factory=dict)
    examiner: Examiner | None = None
    people: People = field(default_factory=People)
    jobs: Jobs = field(default_factory=Jobs)
    stopping: threading.Event = field(default_factory=threading.Event)
    _ones: dict[Hashable, Any] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def one(self, name: Hashable, make: Callable[[], Thing]) -> Thing:
        """The one thing of this name that pages share, such as what they hold in memory; made when it is first asked for."""
        with self._making:
            if name not in self._ones:
                self._ones[name] = make()
            found: Thing = self._ones[name]
            return found

    def close(self) -> None:
        """At the end: streams end by themselves, connections are given back."""
        self.stopping.set()
        self.jobs.close()
        self.database.close()

    def log(
        self, caller: Caller, action: str, subject: str = "", *, reason: str = "", case_ref: str = "", **detail: Any
    ) -> None:
        """Note what somebody does, before it is done; committed at once. What is written takes its `entry` along."""
        entry = self.entry(caller, action, subject, reason=reason, case_ref=case_ref, **detail)
        with self.database.writing() as connection:
            audit.write(connection, entry, self.wall())

    def entry(
        self, caller: Caller, action: str, subject: str = "", *, reason: str = "", case_ref: str = "", **detail: Any
    ) -> audit.Entry:
        """A row of the audit log about this caller."""
        roles = ", ".join(sorted(caller.account.roles))
        return audit.Entry(caller.account.login, roles, caller.via, action, subject, reason, case_ref, detail)


def office_of(request: Request) -> Office:
    """The office of the application that serves a request."""
    found: Office = request.app.state.office
    return found


Here = Annotated[Office, Depends(office_of)]
"""The type of a parameter that is to be given the office."""
