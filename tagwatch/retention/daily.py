"""The policy once a day, as a work of the service's upkeep: in its thread, with its connection."""

from __future__ import annotations

import structlog

from engine.database import Connection
from engine.errors import StoreError
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, SECOND_US
from tagwatch.retention.policy import run_policy
from tagwatch.settings import Settings

AT_US = 3 * HOUR_US
"""When in the day (UTC) it is done: in the quiet hours, after the day of the raw log has ended."""
DOUBTFUL_US = 7 * DAY_US
"""Without a fix for so long, either nobody is monitored or the clock is ahead."""

log = structlog.get_logger("tagwatch.retention")


class Daily:
    """Runs the policy once a day: a work of upkeep; `done_us`: when it did so last [us UTC], 0 for not yet.

    At the service's start the last run that was due is caught up on. A clock that is ahead would erase too early, and nobody
    could bring it back: where the newest fix is older than DOUBTFUL_US, the run waits for fixes, or for somebody who knows.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._day: int | None = None
        self.done_us = 0

    def __call__(self, connection: Connection, now_us: int) -> None:
        """Do it where a day's hour has come; nearly free where it has not. What fails is tried again the next time."""
        day = (now_us - AT_US) // DAY_US
        if day == self._day:
            return
        with connection.transaction():
            newest_us = FixStore(connection).newest_us(now_us)
        if newest_us is not None and now_us - newest_us > DOUBTFUL_US:
            log.error("retention waits: is the clock right", offset_s=(now_us - newest_us) / SECOND_US)
            return
        try:
            receipt = run_policy(connection, self._settings, now_us)
        except StoreError as fault:  # somebody carries out an order: the next turn is soon
            log.warning("retention waits", why=fault)
            return
        self._day, self.done_us = day, now_us
        erased = receipt.told.get("erased", {})
        log.info("retention run", state=receipt.state, number=receipt.number, erased=sum(erased.values()))
