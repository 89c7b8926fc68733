"""Recovery from the raw log: what the log holds and the database does not is taken again, by the service's own steps.

Time goes as it went: what came at eleven is decided as of eleven, so that nobody is said to be silent whose fixes are yet to be
read. What is stored is left as it is, so all of it may be done again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

import psycopg
from msgspec import UNSET

from engine.errors import TagwatchError
from engine.times import MINUTE_US, parse_time, to_iso
from ingest.message import Message
from ingest.raw_log import day_files, day_of
from ingest.raw_record import Broken, Record, records_of
from ingest.raw_remainder import living
from tagwatch.counts import Counts
from tagwatch.poison import Poison
from tagwatch.session import Session
from tagwatch.settings import Settings

MOST, SPAN_US = 4096, 10 * MINUTE_US
"""So many messages, of so long, are taken at once."""
_MOST_LIVES = 100


class Recovered(NamedTuple):
    """How many messages were read, how many fixes were news; lines that are no records; until when the log goes [us UTC]."""

    n_messages: int = 0
    n_fixes: int = 0
    n_broken: int = 0
    until_us: int = 0


def recover(
    settings: Settings, since_us: int, as_of_us: int, note: Callable[[int], None] = lambda until_us: None,
    tell: Callable[[str, int], None] = lambda what, n: None,
) -> Recovered:  # fmt: skip
    """Take again what came after the first message that arrived at `since_us` or later; nothing is decided as of before
    `as_of_us`.

    `note` hears, before a day is begun, as of when its last message will be decided: whoever goes on after a crash gives that
    as `as_of_us`. No service may run. StoreError and UnreachableError as of a session.
    """
    life = _Life(settings, as_of_us)
    found = Recovered(until_us=as_of_us)
    try:
        for path in day_files(settings.raw_log.folder):
            if day_of(path) < to_iso(since_us)[:10]:
                continue
            note(max(found.until_us, _last_us(path)))
            n_broken = [0]
            messages = _messages(path, n_broken)
            news = messages if found.n_messages else dropwhile(lambda m: m.received_us < since_us, messages)
            for batch in _batches(news):
                n_fixes = life.take(batch)
                found = found._replace(
                    n_messages=found.n_messages + len(batch), n_fixes=found.n_fixes + n_fixes, until_us=life.now_us
                )
                tell("messages taken again", found.n_messages)
            found = found._replace(n_broken=found.n_broken + n_broken[0])
    finally:
        life.close()
    return found


class _Life:
    """A session whose clock is that of the log; another one where a message ended it."""

    def __init__(self, settings: Settings, now_us: int) -> None:
        self.now_us = now_us
        self._settings, self._poison, self._n_lives = settings, Poison(), 0
        self._session = self._open()

    def take(self, batch: list[Message]) -> int:
        """Take a batch, and then what time itself changes."""
        self.now_us = max(self.now_us, *(message.received_us for message in batch))
        n_fixes = 0
        while True:
            try:
                for part in self._poison.parted(batch):
                    n_fixes += self._session.recover(part)
                self._session.turn(len(batch))
                return n_fixes
            except (psycopg.OperationalError, TagwatchError, OSError):
                raise
            except Exception:  # a message that cannot be taken is found in halves, as the service does
                if self._n_lives >= _MOST_LIVES:
                    raise
                self.close()
                self._session = self._open()

    def close(self) -> None:
        self._session.connection.close()

    def _open(self) -> Session:
        self._n_lives += 1
        session = Session(self._settings, lambda: self.now_us, Counts(), 30.0, self._poison)
        with session.connection.transaction():
            self._poison.load(session.connection)
        return session


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Messages in their order, those of one second together: in it the quarantine is counted."""
    batch: list[Message] = []
    for message in messages:
        is_full = len(batch) >= MOST or (batch and message.received_us - batch[0].received_us >= SPAN_US)
        if is_full and message.received_s != batch[-1].received_s:
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch


def _messages(path: Path, n_broken: list[int]) -> Iterator[Message]:
    """What is left of the messages of a day."""
    for _, record in records_of(path):
        if isinstance(record, Broken):
            n_broken[0] += 1
        elif record.payload is not None:
            yield Message(parse_time(record.received), record.topic, base64.b64decode(record.payload))
        elif record.rest is not UNSET:
            yield Message(parse_time(record.received), record.topic, living(base64.b64decode(str(record.rest))))


def _last_us(path: Path) -> int:
    """When the last message of a day was received."""
    last = max((r.received for _, r in records_of(path) if isinstance(r, Record)), default="")
    return parse_time(last) if last else 0
