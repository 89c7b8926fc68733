"""What a tag has sent and not yet been told to be durable, and when it is to be sent again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from engine.errors import InputError
from ingest.json_text import read_json
from ingest.time_texts import parse_value


@dataclass(slots=True)
class Sent:
    """One message: its entries' highest and lowest `seq`, latest time [us], and since when [s] a notice could cover it."""

    topic: str
    payload: bytes
    n_entries: int
    top_seq: int
    latest_us: int
    since_s: float | None = None
    n_resent: int = 0
    low_seq: int = 0


@dataclass(slots=True)
class _Device:
    waiting: dict[int, Sent] = field(default_factory=dict)  # by order of sending
    early: set[int] = field(default_factory=set)  # sent before a lower seq was
    complete: int = 0  # all up to this seq have been sent
    progress: bool = False  # a notice has covered something since the backlog was last looked through


class Backlog:
    """The backlogs of all devices. A notice covers what was sent before it came, by `seq` or by time.

    `seq` counts from `first_seq` in the order of the tag's own time; a message sent late holds the notices back, so its
    successors wait for it before they count as overdue.
    """

    def __init__(self, first_seq: int = 1) -> None:
        self.n_entries = 0
        self._first = first_seq
        self._n = 0
        self._devices: dict[str, _Device] = {}

    def add(self, device: str, sent: Sent, seqs: list[int]) -> None:
        """A message has been sent with these `seq`."""
        state = self._devices.setdefault(device, _Device(complete=self._first - 1))
        self._n += 1
        state.waiting[self._n] = sent
        self.n_entries += sent.n_entries
        state.early.update(seqs)
        while state.complete + 1 in state.early:
            state.complete += 1
            state.early.remove(state.complete)

    def cover(self, device: str, notice: bytes) -> int:
        """Take in a `tags/<device>/stored` payload; returns how many entries it covered. What is no notice covers none."""
        state = self._devices.get(device)
        up_to = _read_notice(notice)
        if state is None or up_to is None:
            return 0
        first, last, until_us = up_to
        covered = [
            key
            for key, sent in state.waiting.items()
            if (first <= sent.low_seq and sent.top_seq <= last) or sent.latest_us <= until_us
        ]
        count = sum(state.waiting.pop(key).n_entries for key in covered)
        self.n_entries -= count
        state.progress = state.progress or count > 0
        return count

    def overdue(self, now_s: float, resend_s: float) -> Iterator[Sent]:
        """The messages to be sent again: a notice could have covered them for `resend_s`, and then twice as long each
        time, and none has come for their device meanwhile. Where notices come, Tagwatch is only behind, and sending more
        would put it further behind."""
        for state in self._devices.values():
            for sent in state.waiting.values():
                if sent.top_seq > state.complete:
                    continue
                if sent.since_s is None or state.progress:
                    sent.since_s, sent.n_resent = now_s, 0
                elif now_s - sent.since_s >= resend_s * 2**sent.n_resent:
                    sent.since_s, sent.n_resent = now_s, sent.n_resent + 1
                    yield sent
            state.progress = False

    def devices(self) -> list[str]:
        """The devices that still have something in the backlog, by name."""
        return sorted(name for name, state in self._devices.items() if state.waiting)


def _read_notice(notice: bytes) -> tuple[int, int, int] | None:
    try:
        document = read_json(notice)
        if not isinstance(document, dict):
            return None
        first, seq, until = document.get("from"), document.get("seq"), document.get("until")
        until_us = parse_value(until) if isinstance(until, (str, int, float)) else -1
    except (InputError, msgspec.MsgspecError):
        return None
    return (first if type(first) is int else 0), (seq if type(seq) is int else -1), until_us
