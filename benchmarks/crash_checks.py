"""What must hold after a crash run: each check raises AssertionError with the figure that is wrong, and returns its counts."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from alerts.alert import to_json
from benchmarks.receiver import Receiver, alert_of
from engine import database
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.store.fixes import FixStore
from engine.times import parse_time
from ingest.message import Message
from ingest.payload import decode_batch
from ingest.raw_log import day_files
from ingest.raw_record import Record, read_line
from ingest.raw_verify import verify
from tagwatch import configuration
from tagwatch.replay import replay
from tagwatch.service import ledger_content
from tagwatch.settings import Settings

_PORTION = 20_000

Identity = tuple[str, int, int]
"""(device, time, content): what makes a fix that fix."""


def every_fix_once(url: str, fixes: Fixes, events: list[DeviceEvent], n_quarantined: int = 0) -> dict[str, int]:
    """Fixes and events as sent, each once, and in quarantine what was wrong and no more."""
    with database.connect(url) as connection:
        kept, noticed = FixStore(connection).read(), FixStore(connection).read_events()
        quarantined = _count(connection, "SELECT count(*) FROM quarantine")
    wanted, there = set(identities(fixes)), identities(kept)
    told = {(e.device, e.time_us, e.kind, e.value) for e in events}
    found = [(e.device, e.time_us, e.kind, e.value) for e in noticed]
    assert len(set(there)) == len(there), f"{len(there) - len(set(there))} fixes are stored twice"
    assert set(there) == wanted, f"{len(wanted - set(there))} fixes are lost, {len(set(there) - wanted)} are nobody's"
    assert Counter(found) == Counter(told), f"{len(told - set(found))} events are lost"
    assert quarantined == n_quarantined, f"{quarantined} entries are in quarantine, not {n_quarantined}"
    return {"fixes sent": len(fixes), "of them different": len(wanted), "fixes stored": len(there), "events": len(found),
            "quarantined": quarantined}  # fmt: skip


def ledger_as_replayed(url: str, settings: Settings, fixes: Fixes, as_of_us: int) -> dict[str, int]:
    """The ledger's content, byte for byte that of a replay of what was sent (`received` is the database's)."""
    with database.connect(url) as connection:
        conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
        arrived = dict(zip(identities(kept := FixStore(connection).read()), kept.received_s.tolist(), strict=True))
        events = FixStore(connection).read_events()
    keys = identities(fixes)
    columns = {name: fixes.column(name) for name in Fixes.__slots__ if name not in ("devices", "received_s")}
    sent = Fixes(fixes.devices, received_s=np.array([arrived[key] for key in keys], np.int64), **columns)
    again = [to_json(alert) for alert in replay(sent, conditions, as_of_us, events=events).alerts]
    ledger = ledger_content(url)
    others = next((pair for pair in zip(ledger, again, strict=False) if pair[0] != pair[1]), None)
    assert ledger == again, f"{len(ledger)} alerts, a replay gives {len(again)}; the first that differs: {others}"
    return {"alerts": len(ledger), "of them active": sum(b'"condition":"active"' in line for line in ledger)}


def history_is_whole(url: str, channels: int) -> dict[str, int]:
    """No alert twice, versions without a gap, and one delivery for each version and channel."""
    with database.connect(url) as connection:
        twice = connection.execute(
            "SELECT wearer, rule, subject, began FROM alert WHERE condition <> 'retracted' GROUP BY 1, 2, 3, 4"
            " HAVING count(*) > 1"
        ).fetchall()
        open_twice = connection.execute(
            "SELECT wearer, rule, subject FROM alert WHERE condition = 'active' GROUP BY 1, 2, 3 HAVING count(*) > 1"
        ).fetchall()
        gaps = connection.execute(
            "SELECT a.id FROM alert a LEFT JOIN alert_version v USING (id) GROUP BY a.id, a.version"
            " HAVING count(v.version) <> a.version OR max(v.version) <> a.version OR min(v.version) <> 1"
        ).fetchall()
        n_versions = _count(connection, "SELECT count(*) FROM alert_version")
        n_posted = _count(connection, "SELECT count(DISTINCT (alert_id, version, channel)) FROM outbox")
        n_retracted = _count(connection, "SELECT count(*) FROM alert WHERE condition = 'retracted'")
    assert not twice, f"alerts that are there twice: {twice[:5]}"
    assert not open_twice, f"alerts that are active twice: {open_twice[:5]}"
    assert not gaps, f"alerts whose versions have gaps: {gaps[:5]}"
    assert n_posted == n_versions * channels, f"{n_posted} deliveries for {n_versions} versions on {channels} channels"
    return {"versions": n_versions, "retracted": n_retracted}


def every_delivery_arrived(url: str, receiver: Receiver) -> dict[str, int]:
    """Every version at the receiver at least once, under one identifier with one body, those of an alert in their order."""
    with database.connect(url) as connection:
        wanted = set(connection.execute("SELECT id, version FROM alert_version").fetchall())
        left = connection.execute("SELECT status, count(*) FROM outbox WHERE status <> 'delivered' GROUP BY 1").fetchall()
    bodies: dict[str, bytes] = {}
    newest: dict[str, int] = {}
    for taken in receiver.taken:
        name, version = alert_of(taken)
        assert bodies.setdefault(taken.key, taken.body) == taken.body, f"{taken.key} came with two bodies"
        if taken.key.startswith(f"{name}.{version}."):
            continue  # a notice about a version, such as an escalation
        assert taken.key == f"{name}.{version}", f"{taken.key} is the identifier of {name}.{version}"
        assert version <= newest.get(name, 0) + 1, f"{taken.key} came before version {newest.get(name, 0) + 1}"
        newest[name] = max(version, newest.get(name, 0))
    keys = {f"{name}.{version}" for name, version in wanted}
    assert not left, f"not delivered: {left}"
    unknown = [key for key in bodies if ".".join(key.split(".")[:2]) not in keys]
    assert keys <= bodies.keys(), f"{len(keys - bodies.keys())} versions never arrived"
    assert not unknown, f"deliveries of what the ledger does not know: {unknown[:5]}"
    return {"delivered": len(bodies), "delivered again": len(receiver.taken) - len(bodies),
            "refused with 500": receiver.n_refused, "cut off": len(receiver.unanswered)}  # fmt: skip


def raw_log_is_whole(folders: Sequence[Path], url: str) -> dict[str, int]:
    """The chains verify, and what the logs of all instances hold decodes to the fixes of the database, none heard of later."""
    logs = [verify(folder) for folder in folders]
    assert not any(log.faults for log in logs), f"the raw log: {[log.faults[:3] for log in logs]}"
    first: dict[Identity, int] = {}
    for fixes in chain.from_iterable(map(_decoded, folders)):
        for key, received_s in zip(identities(fixes), fixes.received_s.tolist(), strict=True):
            first[key] = min(received_s, first.get(key, received_s))
    with database.connect(url) as connection:
        kept = FixStore(connection).read()
    arrived = dict(zip(identities(kept), kept.received_s.tolist(), strict=True))
    assert first.keys() == arrived.keys(), f"the raw log holds {len(first)} fixes, the database {len(arrived)}"
    n_earlier = sum(first[key] < received_s for key, received_s in arrived.items())
    n_later = sum(first[key] > received_s for key, received_s in arrived.items())
    assert n_later == 0, f"{n_later} fixes are said to be received before the raw log has them"
    return {
        "raw messages": sum(log.n_messages for log in logs),
        "torn ends": sum(len(list(folder.glob("*.torn-*"))) for folder in folders),
        "received restamped": n_earlier,
    }


def identities(fixes: Fixes) -> list[Identity]:
    """(device, time, content) of every fix, in order."""
    names = (fixes.devices[k] for k in fixes.device.tolist())
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def _decoded(folder: Path) -> Any:
    batch: list[Message] = []
    for path in day_files(folder):
        with path.open("rb") as file:
            for line in file:
                record = read_line(line)
                assert isinstance(record, Record)
                batch.append(Message(parse_time(record.received), record.topic, base64.b64decode(record.payload or "")))
                if len(batch) == _PORTION:
                    yield decode_batch(batch).fixes
                    batch = []
    yield concat([decode_batch(batch).fixes])


def _count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
