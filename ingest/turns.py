"""Whose messages go first. In order of arrival, until more waits than one transaction should hold: then a topic that floods
gets its share of each, and the others pass it by."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from ingest.message import Message

MOST_BYTES = 1 << 19
"""Of payloads in one transaction, some 3,500 fixes: whoever comes next waits for as long as these take."""
SHARE_BYTES = MOST_BYTES // 16
"""Of one topic, where others wait."""


class Turns:
    """The messages that wait; those of one topic keep their order."""

    def __init__(self) -> None:
        self._waiting: list[Message] = []
        self._line: deque[Message] = deque()  # in order of arrival, once somebody was passed by: not acknowledged yet
        self._done: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, messages: Sequence[Message]) -> None:
        """These have arrived."""
        self._waiting += messages
        if self._line:
            self._line.extend(messages)

    def take(self, most: int) -> list[Message]:
        """The next to be dealt with together: at most so many, and MOST_BYTES unless a single one is longer."""
        waiting = self._waiting
        if len(waiting) <= most and sum(len(m.payload) for m in waiting) <= MOST_BYTES:
            self._waiting = []
            return waiting
        taken, rest = _by_share(waiting, most)
        if not self._line and taken != waiting[: len(taken)]:
            self._line.extend(waiting)
        self._waiting = rest
        return taken

    def acknowledged(self, messages: Iterable[Message]) -> list[Message]:
        """These are done: which may be acknowledged now. MQTT wants that in the order of arrival (3.1.1, section 4.6), so
        who was passed by is waited for."""
        if not self._line:
            return list(messages)
        self._done.update(map(id, messages))
        found = []
        while self._line and id(self._line[0]) in self._done:
            message = self._line.popleft()
            self._done.discard(id(message))
            found.append(message)
        return found


def _by_share(waiting: Sequence[Message], most: int) -> tuple[list[Message], list[Message]]:
    """What is taken, and what is left in its order. Nobody's share is taken from him: what is left over goes to who waits."""
    room, spent, passed_by = MOST_BYTES, dict[str, int](), set[str]()
    taken: list[Message] = []
    rest: list[Message] = []
    for k, message in enumerate(waiting):
        size, topic = len(message.payload), message.topic
        if len(taken) == most or (taken and size > room):
            if not passed_by:  # nobody has had more than his share: the others keep their places
                return taken, [*waiting[k:]]
            rest += waiting[k:]
            return taken, rest
        used = spent.get(topic, 0)
        if topic in passed_by or (used and used + size > SHARE_BYTES):
            passed_by.add(topic)
            rest.append(message)
            continue
        spent[topic] = used + size
        room -= size
        taken.append(message)
    for k, message in enumerate(rest):
        if len(taken) == most or len(message.payload) > room:
            return taken, rest[k:]
        room -= len(message.payload)
        taken.append(message)
    return taken, []
