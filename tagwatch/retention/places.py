"""The places outside a room's own tables in which positions are: the fix store, archives, and the raw log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from engine.database import Connection
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import DAY_US
from tagwatch.retention.spans import DeviceSpan

AT_ONCE = 64
"""Devices whose day is erased in one transaction: at a fix a minute about 90,000 rows."""


def steps(spans: Iterable[DeviceSpan], first_us: dict[str, int]) -> Iterator[tuple[list[str], int, int]]:
    """Spans as portions (devices, from_us, to_us) of at most a day (UTC), the oldest day first, from the first on that is
    stored of a device."""
    stored = [one for one in spans if first_us.get(one.device, one.to_us) < one.to_us]
    begins = [max(one.from_us, first_us[one.device]) // DAY_US for one in stored]
    ends = [(one.to_us - 1) // DAY_US for one in stored]
    for day in sorted({day for begin, end in zip(begins, ends, strict=True) for day in range(begin, end + 1)}):
        portions: dict[tuple[int, int], list[str]] = {}
        for one, begin, end in zip(stored, begins, ends, strict=True):
            if begin <= day <= end:
                part = max(one.from_us, day * DAY_US), min(one.to_us, (day + 1) * DAY_US)
                portions.setdefault(part, []).append(one.device)
        for (start, stop), devices in sorted(portions.items()):
            rest = iter(sorted(devices))
            while some := list(islice(rest, AT_ONCE)):
                yield some, start, stop


def erase_fixes(connection: Connection, devices: Sequence[str], from_us: int, to_us: int) -> tuple[int, int]:
    """Erase fixes and device events in the caller's transaction; returns how many of each."""
    n_fixes, n_events = FixStore(connection).erase(devices, from_us, to_us)
    return int(n_fixes), int(n_events)


def refresh_summaries(connection: Connection) -> None:
    """Make the hourly summaries anew that the erased fixes were in; in transactions of its own."""
    summaries = HourSummaries(connection)
    with connection.transaction():
        until_s = summaries.until_s
    summaries.refresh(until_s)


def erase_in_archive(folder: Path, spans: Iterable[DeviceSpan], order: str, reason: str, now_us: int) -> tuple[int, int]:
    """Erase fixes and events in an archive; returns how many of each. Safe to repeat."""
    from engine.archive.erasure import erase

    n_fixes = n_events = 0
    for (from_us, to_us), devices in _alike(spans).items():
        found = erase(folder, devices, from_us, to_us, order, reason=reason, clock=lambda: now_us)
        n_fixes, n_events = n_fixes + found.fixes, n_events + found.events
    return n_fixes, n_events


def redact_raw(folder: Path, spans: Iterable[DeviceSpan], order: str, *, dry_run: bool = False) -> dict[str, int]:
    """Take payloads out of the raw log; returns how many, and how many wait for the day that is open to end."""
    from ingest.raw_redaction import redact

    found = redact(folder, spans, order, dry_run=dry_run)
    return {"messages": found.n_erased + found.n_partly, "waiting": found.n_waiting}


def _alike(spans: Iterable[DeviceSpan]) -> dict[tuple[int, int], list[str]]:
    found: dict[tuple[int, int], list[str]] = {}
    for one in spans:
        found.setdefault((one.from_us, one.to_us), []).append(one.device)
    return found
