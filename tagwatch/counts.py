"""What went through the service since its start: plain numbers that cost a batch next to nothing and are read at a scrape."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.fixes import Fixes
from engine.times import SECOND_US
from ingest.message import Message
from ingest.payload import Decoded
from tagwatch.health.tag_clocks import TagClocks
from tagwatch.metrics.codes import quarantine_code
from tagwatch.metrics.distribution import DAYS_S, DISK_S, SIZES, SOON_S, Distribution


@dataclass(slots=True)
class Counts:
    """What went through since the start."""

    messages: int = 0
    fixes: int = 0
    duplicates: int = 0
    unassigned: int = 0
    events: int = 0
    quarantined: int = 0
    versions: int = 0
    batches: int = 0
    recalls: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    """Quarantined, by code (`metrics.codes`)."""
    by_step: Counter[str] = field(default_factory=Counter)
    """Versions, by code of their reason."""
    decision_s: Distribution = field(default_factory=lambda: Distribution(SOON_S))
    """From the arrival of a message to the commit of what it decided."""
    age_s: Distribution = field(default_factory=lambda: Distribution(DAYS_S))
    """From the time of a fix to its commit."""
    batch: Distribution = field(default_factory=lambda: Distribution(SIZES))
    flush_s: Distribution = field(default_factory=lambda: Distribution(DISK_S))
    raw_bytes: int = 0
    lag_s: float = 0.0
    """How long the first message of the last batch had waited when it was committed."""
    beat_s: float = field(default_factory=time.monotonic)
    """When the service last did something [s, monotonic]."""
    tags: TagClocks = field(default_factory=TagClocks)

    def take(self, messages: Sequence[Message], decoded: Decoded, now_us: int) -> None:
        """A batch has been committed by now."""
        self.messages += len(messages)
        self.fixes += len(decoded.fixes)
        self.events += len(decoded.events)
        self.quarantined += len(decoded.quarantined)
        self.batches += 1
        self.by_reason.update(quarantine_code(q.reason, q.field) for q in decoded.quarantined)
        self.raw_bytes += sum(len(message.payload) for message in messages)
        self._measure(messages, decoded.fixes, now_us)

    def _measure(self, messages: Sequence[Message], fixes: Fixes, now_us: int) -> None:
        """How late these were, once a batch."""
        waited_s = (now_us - np.array([message.received_us for message in messages])) / SECOND_US
        self.lag_s = float(waited_s[0])
        self.decision_s.add_all(waited_s)
        self.batch.add(len(messages))
        if len(fixes):
            self.age_s.add_all((now_us - fixes.time_us) / SECOND_US)
            self.tags.take(fixes, now_us)
