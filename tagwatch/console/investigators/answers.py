"""Answers that somebody may look at again for a while: kept in memory, for the account that asked, never on disk."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request

from tagwatch.console.caller import Caller
from tagwatch.console.office import office_of

KEPT_S, MOST_OF_ONE, MOST = 3600.0, 4, 24
T = TypeVar("T")


@dataclass
class Shelf(Generic[T]):
    """Things by a number that nobody guesses: the newest few of each account, an hour at most."""

    _held: OrderedDict[str, tuple[int, float, T]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, caller: Caller, thing: T) -> str:
        """Keep something for a caller; returns its number."""
        number = secrets.token_urlsafe(16)
        with self._lock:
            self._forget(caller.account.id)
            self._held[number] = (caller.account.id, time.monotonic(), thing)
        return number

    def find(self, caller: Caller, number: str) -> T | None:
        """What is kept for this caller by this number; None where there is nothing, or it is somebody else's."""
        with self._lock:
            self._forget(None)
            owner, _, thing = self._held.get(number, (None, 0.0, None))
        return thing if owner == caller.account.id else None

    def drop(self, caller: Caller, number: str) -> None:
        """Forget what is kept for this caller by this number."""
        with self._lock:
            if self._held.get(number, (None,))[0] == caller.account.id:
                del self._held[number]

    def _forget(self, account: int | None) -> None:
        """Drop what is old, and, before `account` gets one more, its oldest ones and the oldest of all."""
        old = time.monotonic() - KEPT_S
        gone = [number for number, (_, since, _) in self._held.items() if since < old]
        if account is not None:
            own = [number for number, (owner, _, _) in self._held.items() if owner == account]
            gone += own[: max(0, len(own) - MOST_OF_ONE + 1)]
            gone += list(self._held)[: max(0, len(self._held) - MOST + 1)]
        for number in gone:
            self._held.pop(number, None)


def shelf_of(request: Request, name: str) -> Shelf[Any]:
    """The shelf of this name of the application that serves a request; made when it is first asked for."""
    return office_of(request).one((Shelf, name), Shelf)
