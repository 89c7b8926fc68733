"""Poison: a message at which taking fails. What failed is tried again in halves, from session to session, until it is found.

It goes to quarantine as sent, and is acknowledged: else it would come for ever, and everything behind it would wait.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import psycopg
import structlog

from engine.database import Connection
from engine.errors import InputError, TagwatchError
from ingest.message import Message
from ingest.quarantine import POISON, Quarantined
from ingest.store import read_quarantined
from ingest.topics import route_of
from tagwatch.attempt import MOST_DEATHS, Attempt

ALONE = 2
"""So many times a message must fail alone."""
MOST_DEVICES, WITHIN_S = 16, 3600.0
"""Of no more devices in an hour is anything called poison: what fails for everybody is a fault of ours, and messages wait."""
_TIMES_WITHOUT_MEMORY = 3
_LARGE_BYTES = 1 << 16
"""A smaller message is not the reason why memory runs out."""
_OF_MESSAGES = ("22", "23", "54")  # classes of SQLSTATE: data, integrity, limits of the program
_OF_VALUES = (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)

log = structlog.get_logger("tagwatch.poison")


class Poison:
    """What is known of messages that cannot be taken; it outlives sessions, and with a file the process too."""

    def __init__(self, file: Path | None = None) -> None:
        self.found: dict[str, str] = {}
        """What taking a message raised, and where, by the message's key."""
        self._kept: set[str] = set()
        self._suspects: set[str] = set()
        self._times_alone = self._times_without_memory = 0
        self._when: dict[str, float] = {}
        self._is_loaded = False
        self._is_nearer = False
        self._by = f"tagwatch {version('tagwatch')}"  # another version may be able to take it
        self._attempt = Attempt(file)

    def load(self, connection: Connection, tail: Sequence[Message] = ()) -> None:
        """What is in quarantine as poison, and what the last process died of; once, within the caller's transaction.

        `tail`: the messages that were kept last, among them those at which it may have died.
        """
        if self._is_loaded:
            return
        self._is_loaded = True
        for topic, payload, told in read_quarantined(connection, POISON, self._by):
            self.found[_key(topic, payload)] = told
        self._kept |= self.found.keys()
        died_at = set(self._attempt.died_at()) - self.found.keys()
        if len(died_at) == 1:
            self._condemn(died_at.pop(), "the process died", "")
        elif died_at or self._attempt.n_deaths >= MOST_DEATHS:
            self._suspects = died_at or {_key_of(message) for message in tail} - self.found.keys()
            log.error("the service died while it took messages; they are tried in halves", messages=len(self._suspects))

    def parted(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """The messages in their order: all at once, but what is suspected in halves."""
        while messages:
            n = self._how_many(messages)
            yield messages[:n]
            messages = messages[n:]

    def split(self, messages: Sequence[Message]) -> tuple[Sequence[Message], list[Quarantined]]:
        """The messages to be taken, and what of the others is not in quarantine yet."""
        if not self.found:
            return messages, []
        keys = [_key_of(message) for message in messages]
        bad = {key: m for key, m in zip(keys, messages, strict=True) if key in self.found and key not in self._kept}
        rest = [message for key, message in zip(keys, messages, strict=True) if key not in self.found]
        return rest, [
            Quarantined(m.received_s, m.topic, route_of(m.topic).device, m.payload, POISON, "", self.found[key], self._by)
            for key, m in bad.items()
        ]

    def kept(self, refused: Sequence[Quarantined]) -> None:
        """These are in quarantine now."""
        self._kept |= {_key(q.topic, q.payload) for q in refused}

    @contextmanager
    def trying(self, messages: Sequence[Message]) -> Iterator[None]:
        """Around what takes messages: by how it ends it is known what they are."""
        keys = [_key_of(m) for m in messages] if self._suspects else []
        with self._attempt.at(keys):
            try:
                yield
            except Exception as fault:
                if self._is_of_messages(fault):
                    self._narrow(messages, fault)
                raise
        self._suspects.difference_update(keys)
        self._times_without_memory = 0

    def came_nearer(self) -> bool:
        """Whether a failure has made the suspects fewer since this was last asked."""
        told, self._is_nearer = self._is_nearer, False
        return told

    def close(self) -> None:
        """Let go of the file."""
        self._attempt.close()

    def _how_many(self, messages: Sequence[Message]) -> int:
        if not self._suspects:
            return len(messages)
        first = next((k for k, message in enumerate(messages) if _key_of(message) in self._suspects), len(messages))
        return first or max(1, len(self._suspects) // 2)

    def _is_of_messages(self, fault: Exception) -> bool:
        """Whether it may be their doing: not that of a connection, a disk, or a right that is lacking."""
        if _is_memory(fault):
            self._times_without_memory += 1
            return self._times_without_memory >= _TIMES_WITHOUT_MEMORY
        if isinstance(fault, psycopg.Error):
            return (fault.sqlstate or "")[:2] in _OF_MESSAGES or (not fault.sqlstate and isinstance(fault, _OF_VALUES))
        return isinstance(fault, InputError) or not isinstance(fault, (OSError, TagwatchError))

    def _narrow(self, messages: Sequence[Message], fault: Exception) -> None:
        """Taking these failed: the poison is among them."""
        told, first = place_of(fault), messages[0]
        tried = {_key_of(message) for message in messages} - self.found.keys()
        self._times_alone = self._times_alone + 1 if tried == self._suspects and len(tried) == 1 else 1
        self._is_nearer = len(tried) < len(self._suspects) or not self._suspects
        self._suspects = tried
        log.error("taking failed; messages are tried in halves", messages=len(tried), error=told)
        if len(tried) != 1 or self._times_alone < ALONE or (_is_memory(fault) and len(first.payload) < _LARGE_BYTES):
            return
        self._condemn(tried.pop(), told, route_of(first.topic).device or first.topic)

    def _condemn(self, key: str, told: str, device: str) -> None:
        if self._may_condemn(device):
            self.found[key] = told
            self._suspects, self._is_nearer = set(), True
            log.error("a message is poison; it goes to quarantine", error=told)

    def _may_condemn(self, device: str) -> bool:
        now_s = time.monotonic()
        self._when = {name: at_s for name, at_s in self._when.items() if now_s - at_s < WITHIN_S}
        if device not in self._when and len(self._when) >= MOST_DEVICES:
            log.critical("messages of many devices cannot be taken: this is no poison, they wait", devices=len(self._when))
            return False
        self._when[device] = now_s
        return True


def _is_memory(fault: Exception) -> bool:
    return isinstance(fault, (MemoryError, psycopg.errors.OutOfMemory))


def place_of(fault: Exception) -> str:
    """What was raised and where, without what it says: that may hold a position or a name."""
    frames = traceback.extract_tb(fault.__traceback__)
    if not frames:
        return type(fault).__name__
    return f"{type(fault).__name__} in {frames[-1].name} ({Path(frames[-1].filename).name}:{frames[-1].lineno})"


def _key_of(message: Message) -> str:
    return _key(message.topic, message.payload)


def _key(topic: str, payload: bytes) -> str:
    return sha256(topic.encode("utf-8", "surrogatepass") + b"\0" + payload).hexdigest()
