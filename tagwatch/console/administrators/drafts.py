"""Drafts: changes that were checked and not saved yet. They live as long as the server, for the account that made them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from tagwatch.console.administrators.change import Change
from tagwatch.console.caller import Caller, NotAllowed
from tagwatch.console.office import office_of

MOST_KEPT, MOST_OF_ONE = 500, 20


@dataclass
class Draft:
    """`typed` is what the form held, to go back to; `outcome` what a what-if found."""

    id: str
    owner: int
    title: str
    change: Change
    typed: Mapping[str, Sequence[str]] | None = None
    outcome: Any = None


@dataclass
class Drafts:
    """The drafts of a console."""

    _held: dict[str, Draft] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(
        self, caller: Caller, title: str, change: Change, typed: Mapping[str, Sequence[str]] | None = None
    ) -> Draft:  # fmt: skip
        """A new draft; the oldest of too many are forgotten."""
        draft = Draft(secrets.token_urlsafe(16), caller.account.id, title, change, typed)
        with self._lock:
            own = [one.id for one in self._held.values() if one.owner == draft.owner]
            for name in [
                *own[: max(0, len(own) + 1 - MOST_OF_ONE)],
                *[*self._held][: max(0, len(self._held) + 1 - MOST_KEPT)],
            ]:
                self._held.pop(name, None)
            self._held[draft.id] = draft
        return draft

    def find(self, caller: Caller, identifier: str) -> Draft:
        """A caller's own draft; NotAllowed where there is none."""
        draft = self._held.get(identifier)
        if draft is None or draft.owner != caller.account.id:
            raise NotAllowed("there is no such draft of yours; drafts are forgotten when the server is started again")
        return draft

    def drop(self, draft: Draft) -> None:
        """It was saved."""
        self._held.pop(draft.id, None)


def drafts_of(request: Request) -> Drafts:
    """The drafts of the application that serves a request."""
    return office_of(request).one(Drafts, Drafts)


Kept = Annotated[Drafts, Depends(drafts_of)]
"""The type of a parameter that is to be given the drafts."""
