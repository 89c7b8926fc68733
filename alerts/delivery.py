"""One delivery: a version of an alert, or a notice about one, on its way to one channel; and how it may fail."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import msgspec

from alerts.disclosure import shown_to
from engine.errors import TagwatchError

VERSION = "version"


class Delivery(msgspec.Struct, frozen=True, dict=True):
    """One version of one alert on its way out; `alert` is the content as it is stored, byte for byte.

    `kind` is `version`, or that of a notice (`escalated`, `returned`) about this version; `time` is when it was made.
    """

    id: str
    version: int
    reason: str
    late_s: float
    seq: int
    alert: msgspec.Raw
    channel: str = ""
    role: str = ""
    timezone: str = "UTC"
    kind: str = VERSION
    notice: int = 0
    time: str = ""

    @property
    def key(self) -> str:
        """The same for every attempt: the receiver tells repetitions by it."""
        return key_of(self.id, self.version, self.kind, self.notice)

    @property
    def target(self) -> str:
        """What the channel says after its kind: an address, a topic; empty for the centre's own."""
        return self.channel.partition(":")[2]

    @property
    def step(self) -> str:
        """What happened to the alert: raised, amended, cleared, retracted, or the kind of the notice."""
        if self.kind != VERSION:
            return self.kind
        if self.reason.startswith(("retracted", "joined into")):
            return "retracted"
        step = self.reason.partition(";")[0]  # what follows is what made the past be decided anew
        return step if step in ("raised", "cleared") else "amended"

    def to_json(self) -> bytes:
        """The payload, keys in a fixed order; the alert as the receiver's role is shown it."""
        return msgspec.json.encode(self.payload())

    def payload(self) -> dict[str, Any]:
        """The payload before it is written."""
        shown = self.alert if self.role == "" else shown_to(self.role, self.content)
        return {"id": self.id, "version": self.version, "reason": self.reason, "late_s": self.late_s, "seq": self.seq,
                "alert": shown}  # fmt: skip

    @cached_property
    def content(self) -> dict[str, Any]:
        """The content of the alert, as the receiver's role is shown it."""
        return shown_to(self.role, dict(msgspec.json.decode(self.alert)))


class DeliveryError(TagwatchError):
    """The receiver did not take a delivery; another attempt is due, not before `wait_s` seconds."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class AwayError(DeliveryError):
    """The receiver could not be reached at all: other deliveries to it will fare no better now."""


class GoneError(DeliveryError):
    """The receiver is gone for good and wants no further attempt."""


class Notifier(Protocol):
    """Somewhere deliveries go. `send` may be called from several threads at once where it is given several lanes."""

    def send(self, delivery: Delivery) -> None:
        """Hand over one delivery; raises when that failed (GoneError: never try again)."""


def key_of(alert_id: str, version: int, kind: str, notice: int) -> str:
    """The identifier of a delivery, the same on every channel and at every attempt."""
    return f"{alert_id}.{version}" + (f".{kind}-{notice}" if notice else "")


def printable(text: str) -> str:
    """The text without control characters: names come from files and must not steer a terminal or a mail's header."""
    return "".join(c if c.isprintable() else "�" for c in text)
