"""What is known of one connection to a broker: what was read, how far the two have come, and when it was last alive."""

from __future__ import annotations

import time

from ingest import mqtt_wire as wire

KEEPALIVE_S = 30.0
_PATIENCE_S = 15.0


class Talk:
    """One connection from CONNECT on. A broker that does not answer in time, or takes nothing from us, is given up."""

    def __init__(self, protocol: str, generation: int, keepalive_s: float = KEEPALIVE_S) -> None:
        self.reader = wire.Reader(protocol, generation)
        self.begun = self.answered = self.wrong_protocol = False
        self.awaits_subscription = False
        self.keepalive_s = keepalive_s
        self.asked_s = self.sent_s = self.heard_s = time.monotonic()
        self._pinged_s: float | None = None

    def answer(self, answer: wire.Answer) -> None:
        """The broker's answer to CONNECT has come; WireError where it is not the first."""
        if self.answered:
            raise wire.WireError("it answers CONNECT a second time")
        self.answered, self.wrong_protocol = True, answer.wrong_protocol
        self.keepalive_s = answer.keepalive_s or self.keepalive_s

    def pulse(self, now_s: float, unsent: bool) -> bytes:
        """A PING where nothing was said or heard for long; OSError where the other side is not there any more, `unsent`:
        whether something waits to be sent."""
        if (self.awaits_subscription or not self.answered) and now_s - self.asked_s > _PATIENCE_S:
            raise TimeoutError("no answer from the broker")
        if unsent and now_s - self.sent_s > 2 * self.keepalive_s:
            raise TimeoutError("the broker takes nothing from us")
        if self._pinged_s is not None and self.heard_s >= self._pinged_s:
            self._pinged_s = None
        quiet_s = now_s - min(self.sent_s, self.heard_s)
        if quiet_s < self.keepalive_s / 2:
            return b""
        if self._pinged_s is None:
            self._pinged_s = now_s
            return wire.PING if self.answered else b""
        if now_s - self._pinged_s > self.keepalive_s:
            raise TimeoutError("no answer from the broker")
        return b""
