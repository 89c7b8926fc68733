"""The policy once a day, as a work of the service's upkeep: in its thread, with its connection."""

from __future__ import annotations

import structlog

from engine.database import Connection
from engine.errors import StoreError
from engine.times import DAY_US, HOUR_US
from tagwatch.retention.policy import run_policy
from tagwatch.settings import Settings

AT_US = 3 * HOUR_US
"""When in the day (UTC) it is done: in the quiet hours, after the day of the raw log has ended."""

log = structlog.get_logger("tagwatch.retention")


class Daily:
    """Runs the policy once a day: a work of upkeep; `done_us`: when it did so last [us UTC], 0 for not yet.

    At the service's start the last run that was due is caught up on.
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
        try:
            receipt = run_policy(connection, self._settings, now_us)
        except StoreError as fault:  # somebody carries out an order: the next turn is soon
            log.warning("retention waits", why=fault)
            return
        self._day, self.done_us = day, now_us
        erased = receipt.told.get("erased", {})
        log.info("retention run", state=receipt.state, number=receipt.number, erased=sum(erased.values()))
