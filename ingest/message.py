"""A message as it came from the broker: what arrived, when, and what is needed to acknowledge it."""

from __future__ import annotations

from typing import NamedTuple

from engine.times import SECOND_US


class Message(NamedTuple):
    """received_us [us UTC], topic, payload; mid, qos and the generation of the connection serve acknowledgement only."""

    received_us: int
    topic: str
    payload: bytes
    mid: int = 0
    qos: int = 0
    generation: int = 0

    @property
    def received_s(self) -> int:
        """Arrival in whole seconds, as fixes keep it."""
        return self.received_us // SECOND_US
