"""What a run lost and what it doubled: by the checks of `crash_checks`, which are those of every crash run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import crash_checks
from benchmarks.crashes import LastLife, deliver_the_rest, logged_to
from benchmarks.faults.stand import Stand
from engine import database
from engine.store.fixes import FixStore
from tagwatch.settings import Settings, read_settings


@dataclass
class Verdict:
    """What is missing of fixes, events and alerts, what is there too often, and the sentences of the checks that failed."""

    lost: int = 0
    doubled: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def judge(stand: Stand, verdict: Verdict) -> None:
    """End the tags and the service cleanly, and count."""
    url, settings = stand.url, read_settings(stand.settings_file)
    as_of_us = _last_life(stand, settings, verdict)
    fixes, events = stand.sent()
    with stand.network.within("service"):
        deliver_the_rest(url, settings)
    checks: list[Callable[[], dict[str, int]]] = [
        lambda: crash_checks.every_fix_once(url, fixes, events, stand.n_quarantined),
        lambda: crash_checks.history_is_whole(url, channels=2),
        lambda: crash_checks.ledger_as_replayed(url, settings, fixes, as_of_us),
        lambda: crash_checks.every_delivery_arrived(url, stand.hook),
        lambda: crash_checks.raw_log_is_whole(stand.raw_logs, url),
        lambda: stand.fault.check(stand) or {},  # type: ignore[func-returns-value]
    ]
    for check in checks:
        try:
            verdict.counts |= check()
        except AssertionError as fault:
            verdict.faults.append(str(fault)[:600])
    _count_fixes(stand, verdict)


def _last_life(stand: Stand, settings: Settings, verdict: Verdict) -> int:
    """End the service, go on in this process until the tags are done, and return the instant of the end [us]."""
    if code := stand.service.stop():
        verdict.faults.append(f"the service ended with {code}")
    with logged_to(stand.folder / "service-last.log"), stand.network.within("service"), LastLife(settings) as last:
        assert last.service.ready.wait(stand.fault.setting.patience_s), "the service of the end did not get ready"
        told = stand.tags.finish(180.0)
        as_of_us = last.end()
    verdict.counts |= {"messages": told.messages, "sent again by the tags": told.resent}
    if told.unstored:
        verdict.faults.append(f"{told.unstored} entries were never said to be stored, of {told.devices[:5]}")
    return as_of_us


def _count_fixes(stand: Stand, verdict: Verdict) -> None:
    """The figures for the table: a check that failed says what, these say how much of the fixes."""
    with database.connect(stand.url) as connection:
        there = crash_checks.identities(FixStore(connection).read())
    wanted = set(crash_checks.identities(stand.sent()[0]))
    verdict.lost, verdict.doubled = len(wanted - set(there)), len(there) - len(set(there))
