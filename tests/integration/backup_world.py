"""A world whose messages are fed to sessions by hand, time as it is in them; and what is compared between two databases."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alerts.handling import Action, Limits
from alerts.handling_store import act
from benchmarks.crash_world import World, world
from engine.database import Connection, connect
from engine.store.fixes import FixStore
from engine.times import SECOND_US
from ingest.message import Message
from ingest.payload_text import event_text, fix_texts
from ingest.raw_log import RawLog
from tagwatch import configuration
from tagwatch.access import audit
from tagwatch.counts import Counts
from tagwatch.session import Session
from tagwatch.settings import Database, Settings, Webhook
from tagwatch.settings import RawLog as RawLogSettings

SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode()
HOOK = Webhook(url="http://127.0.0.1:9/hook", secret=SECRET)


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(database=Database(url=url), raw_log=RawLogSettings(folder=folder / "raw-log"), webhook=HOOK)


def messages_of(scene: World, each: int = 4) -> list[Message]:
    """The scene as its tags send it, several fixes a message, here and there one that cannot be read, in order of arrival."""
    found: list[Message] = []
    for number, name in enumerate(scene.fixes.devices):
        mine = scene.fixes.take(np.flatnonzero(scene.fixes.device == number))
        texts = fix_texts(mine, np.arange(1, len(mine) + 1))
        arrived = mine.received_s.tolist()
        for at in range(0, len(texts), each):
            payload = b"[" + b",".join(texts[at : at + each]) + b"]"
            found.append(Message(max(arrived[at : at + each]) * SECOND_US + number, f"tags/{name}/fixes", payload))
        found += [Message(m.received_us + 7, m.topic, b'[{"time":"never"}]') for m in found[-1:-40:-17]]
    for event in scene.events:
        found.append(Message(event.received_s * SECOND_US, f"tags/{event.device}/events", event_text(event)))
    broken = found[len(found) // 2]
    found += [Message(broken.received_us, broken.topic, b"{torn")] * 2  # the same twice within a second
    return sorted(found, key=lambda m: m.received_us)


def impose(url: str, scene: World) -> None:
    with connect(url) as connection:
        configuration.save(
            connection, 0, zones=scene.first.zones, curfews=scene.first.curfews, activations=scene.activations
        )


class Feed:
    """A session, and the log it writes; the clock stands where the last message came."""

    def __init__(self, settings: Settings, now_us: int) -> None:
        self.settings, self.now_us = settings, now_us
        self.log = RawLog(settings.raw_log.folder)
        self.session = Session(settings, lambda: self.now_us, Counts(), 10.0)

    def send(self, messages: Sequence[Message], at_once: int = 40) -> None:
        for k in range(0, len(messages), at_once):
            batch = messages[k : k + at_once]
            self.now_us = max(self.now_us, batch[-1].received_us)
            self.session.step(batch, self.log)

    def close(self, now_us: int | None = None) -> None:
        self.now_us = max(self.now_us, now_us or 0)
        self.session.finish()
        self.log.close()


def scene_of(seed: int = 3, n_devices: int = 6, n_each: int = 240) -> tuple[World, list[Message]]:
    made = world(seed, n_devices, n_each)
    return made, messages_of(made)


def handle_some(connection: Connection, now_us: int, most: int = 6) -> int:
    """Operators take the oldest new alerts in hand; each is in the audit log."""
    rows = connection.execute("SELECT id FROM alert WHERE handling = 'new' AND condition <> 'retracted' ORDER BY raised")
    with connection.transaction():
        taken = [row[0] for row in rows.fetchall()][:most]
        for name in taken:
            act(connection, name, Action(kind="acknowledge", actor="kim", at_us=now_us, role="operator"), Limits())
            audit.write(connection, audit.Entry("kim", "operator", "console", "alert handled", name), now_us)
    return len(taken)


def deliver_some(connection: Connection) -> None:
    """As if a courier had delivered every second of what is pending."""
    with connection.transaction():
        connection.execute(
            "UPDATE outbox SET status = 'delivered', attempts = 1, delivered = next_at WHERE status = 'pending' AND id % 2 = 0"
        )


def facts(connection: Connection) -> dict[str, Any]:
    """What follows from the messages alone: fixes and events with their arrival, sequences, quarantine."""
    with connection.transaction():
        return {
            "fix": sorted(connection.execute("SELECT * FROM fix_readable").fetchall(), key=repr),
            "event": sorted(FixStore(connection).read_events()),
            "sequence": FixStore(connection).read_sequences(),
            "quarantine": sorted(
                connection.execute(
                    "SELECT received, topic, device, payload, reason, field, value, expected FROM quarantine"
                ).fetchall()
            ),
        }


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    with connection.transaction():
        return connection.execute(query.encode()).fetchall()
