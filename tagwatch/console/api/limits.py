"""How often somebody may call: token buckets in memory, one an account, and one an address for tokens that are none.

Limits are there against a loop that went wild, so they are generous. A right token is served also where others of its address
fail: many systems may share one address.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from fastapi import HTTPException, Request

from engine.times import SECOND_US
from tagwatch.console.caller import Caller
from tagwatch.console.office import office_of

MOST_KEPT = 10_000


class Standing(NamedTuple):
    """How a bucket stands after it was asked: whether it gave, calls left, seconds until it gives again (or is full)."""

    gave: bool
    left: int
    wait_s: int


@dataclass
class Buckets:
    """Buckets by name: each holds `most` calls and is filled again in `fill_s` seconds."""

    most: int
    fill_s: float
    _held: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str, now_us: int) -> Standing:
        """Take one out of the bucket of this name, if there is one in it."""
        a_second = self.most / self.fill_s
        with self._lock:
            left, since_us = self._held.pop(name, (float(self.most), now_us))
            left = min(self.most, left + max(0, now_us - since_us) / SECOND_US * a_second)
            gave = left >= 1.0
            left -= gave
            self._held[name] = (left, now_us)
            if len(self._held) > MOST_KEPT:
                self._held.popitem(last=False)
        lacks = self.most - left if gave else 1.0 - left
        return Standing(gave, int(left), math.ceil(lacks / a_second))

    @property
    def policy(self) -> str:
        """The policy as the header `RateLimit-Policy` says it."""
        return f'"calls";q={self.most};w={math.ceil(self.fill_s)}'


@dataclass
class Limits:
    """The limits of an application."""

    calls: Buckets = field(default_factory=lambda: Buckets(600, 30.0))
    failures: Buckets = field(default_factory=lambda: Buckets(30, 300.0))

    def count(self, request: Request, caller: Caller) -> None:
        """Count a call of an account; 429 where these are too many."""
        standing = self.calls.take(str(caller.account.id), office_of(request).wall())
        request.state.calls_left = standing
        if not standing.gave:
            raise self._too_many("this account calls too often", standing, self.headers(request))

    def count_failure(self, request: Request) -> None:
        """Count a call that nobody could be found for; 429 where there were too many from its address."""
        address = request.client.host if request.client else ""
        standing = self.failures.take(address, office_of(request).wall())
        if not standing.gave:
            raise self._too_many("too many calls without a right token came from this address", standing, {})

    def headers(self, request: Request) -> dict[str, str]:
        """What the answer to a counted call says of the limit."""
        standing: Standing | None = getattr(request.state, "calls_left", None)
        if standing is None:
            return {}
        return {"ratelimit-policy": self.calls.policy, "ratelimit": f'"calls";r={standing.left};t={standing.wait_s}'}

    def _too_many(self, told: str, standing: Standing, headers: dict[str, str]) -> HTTPException:
        wait = {"retry-after": str(max(1, standing.wait_s))}
        return HTTPException(429, f"{told}: wait {wait['retry-after']} s", {**headers, **wait})


def limits_of(request: Request) -> Limits:
    """The limits of the application that serves a request."""
    return office_of(request).one(Limits, Limits)
