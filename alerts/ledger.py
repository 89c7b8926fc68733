"""The ledger: the present content of all alerts, and the versions through which each got there.

Content comes from the rules and is a pure function of what happened. The ledger compares it with what it held, keeps
identifiers through amendments, and turns each difference into a version with its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from alerts.alert import Alert, ends_before, instant_key
from engine.times import parse_time

FOREVER_US = 2**62
_FOREVER = "~"  # after every instant as it is written
NOT_BORNE_OUT = "the data received since then do not bear it out"


class Version(NamedTuple):
    """One step of an alert's history: what it became, why, as of when, and how late after the deciding fix."""

    id: str
    version: int
    reason: str
    alert: Alert
    as_of_us: int
    late_s: float
    retracted: bool = False


@dataclass(slots=True)
class Entry:
    """One alert that the ledger holds; `order` tells which was raised first."""

    id: str
    version: int
    alert: Alert
    order: int


class _Given(NamedTuple):
    """How often a stem was given, and the instant from which on that matters no more: FOREVER_US while an alert has it."""

    times: int
    until_us: int


class Ledger:
    """Alerts by wearer; retracted ones are forgotten here and live on in the history that the caller keeps."""

    def __init__(self, n_raised: int = 0) -> None:
        """n_raised: how many alerts were ever raised, where not all of them are told by `restore`."""
        self._entries: dict[str, list[Entry]] = {}
        self._given: dict[str, dict[str, _Given]] = {}
        self._n_raised = n_raised

    def restore(self, entry: Entry) -> None:
        """Take up an alert as it was stored, with its identifier and version."""
        self._entries.setdefault(entry.alert.wearer, []).append(entry)
        self._n_raised = max(self._n_raised, entry.order + 1)
        self.reserve(entry.alert.wearer, entry.id, FOREVER_US)

    def reserve(self, wearer: str, identifier: str, until_us: int) -> None:
        """Remember an identifier that was given, so that it is never given again: until this much is forgotten of a wearer."""
        stem, _, count = identifier.partition("-")
        given = self._given.setdefault(wearer, {})
        known = given.get(stem, _Given(0, until_us))
        until_us = until_us if known.until_us == FOREVER_US else max(known.until_us, until_us)  # its alert was retracted
        given[stem] = _Given(max(known.times, int(count or 1)), until_us)

    def forget(self, wearer: str, since_us: int = FOREVER_US) -> None:
        """Leave out a wearer's alerts that ended before an instant (default: all); they are to be restored before they can
        come up again."""
        kept = [e for e in self._entries.pop(wearer, []) if not ends_before(e.alert, since_us) and since_us != FOREVER_US]
        given = self._given.pop(wearer, {})
        stems = {e.id.partition("-")[0] for e in kept}
        left = {stem: g for stem, g in given.items() if stem in stems or since_us <= g.until_us < FOREVER_US}
        if kept:
            self._entries[wearer] = kept
        if left:
            self._given[wearer] = left

    def entries(self, wearer: str | None = None) -> list[Entry]:
        """The alerts held, of one wearer or of all, in the order of a ledger."""
        held = self._entries.get(wearer, []) if wearer is not None else [e for es in self._entries.values() for e in es]
        return sorted(held, key=lambda e: e.alert.sort_key)

    def content(self) -> list[Alert]:
        """The content of all alerts in the order of a ledger."""
        return [entry.alert for entry in self.entries()]

    def apply(self, wearer: str, alerts: Iterable[Alert], as_of_us: int, cause: str = "") -> list[Version]:
        """Make these the alerts of a wearer; returns the versions that this makes, in the order they happened.

        `cause` is added to their reasons: what made the past be decided anew, where it was not the data.

        An alert goes on under its identifier where one of its family overlaps it. Where late data join alerts the one raised
        first goes on and the others are retracted; where they split one the earlier part keeps it.
        """
        new = sorted(alerts, key=lambda a: a.sort_key)
        held = sorted(self._entries.get(wearer, []), key=lambda e: e.order)
        unmoved = {(e.alert.family, e.alert.began, e.alert.ended): e for e in reversed(held)}
        here = {k: unmoved.pop((a.family, a.began, a.ended), None) for k, a in enumerate(new)}
        taken = {k: entry for k, entry in here.items() if entry}
        settled = {entry.id for entry in taken.values()}
        made: list[Version] = []
        for old in (e for e in held if e.id not in settled):
            meeting = [k for k, alert in enumerate(new) if _same(old.alert, alert)]
            k = next((k for k in meeting if k not in taken), meeting[0] if meeting else None)
            if k is None:
                made.append(_retraction(old, f"retracted: {cause or NOT_BORNE_OUT}", as_of_us))
            elif k in taken:
                made.append(_retraction(old, f"joined into {taken[k].id}", as_of_us))
            else:
                taken[k] = old
        kept = []
        for k, alert in enumerate(new):
            entry, version = self._amend(taken[k], alert, as_of_us) if k in taken else self._raise(alert, as_of_us)
            kept.append(entry)
            if version:
                made.append(version._replace(reason=f"{version.reason}; {cause}") if cause else version)
        for version in made:
            if version.retracted:
                self.reserve(wearer, version.id, as_of_us)
        self._entries[wearer] = kept
        return made

    def _raise(self, alert: Alert, as_of_us: int) -> tuple[Entry, Version]:
        stem = hashlib.sha256("\0".join((alert.wearer, *alert.family, alert.began)).encode()).hexdigest()[:16]
        given = self._given.setdefault(alert.wearer, {})
        count = given[stem].times + 1 if stem in given else 1
        given[stem] = _Given(count, FOREVER_US)
        entry = Entry(stem if count == 1 else f"{stem}-{count}", 1, alert, self._n_raised)
        self._n_raised += 1
        return entry, Version(entry.id, 1, "raised", alert, as_of_us, _late_s(alert, as_of_us))

    def _amend(self, old: Entry, alert: Alert, as_of_us: int) -> tuple[Entry, Version | None]:
        before = old.alert
        if before.substance() == alert.substance():
            return Entry(old.id, old.version, alert, old.order), None
        entry = Entry(old.id, old.version + 1, alert, old.order)
        return entry, Version(old.id, entry.version, _reason(before, alert), alert, as_of_us, _late_s(alert, as_of_us))


def _same(old: Alert, new: Alert) -> bool:
    """Whether two contents are the same alert at two times: one family, and intervals that have more than an end in common."""
    if old.family != new.family:
        return False
    (began, ended), (since, until) = _interval(old), _interval(new)
    start, end = max(began, since), min(ended, until)
    return start < end or (start == end and (began == ended or since == until))


def _interval(alert: Alert) -> tuple[str, str]:
    return instant_key(alert.began), _FOREVER if alert.ended is None else instant_key(alert.ended)


def _reason(before: Alert, now: Alert) -> str:
    if before.active and not now.active:
        return "cleared"
    if not before.active and now.active:
        return "active again"
    names = ("rule", "grade", "began", "ended", "posterior", "device")
    changed = [name for name in names if getattr(before, name) != getattr(now, name)]
    if before.why.get("unknown_since") != now.why.get("unknown_since"):
        changed.append("unknown since")
    return "amended: " + ", ".join(changed or ["fixes"])


def _retraction(entry: Entry, reason: str, as_of_us: int) -> Version:
    return Version(entry.id, entry.version + 1, reason, entry.alert, as_of_us, _late_s(entry.alert, as_of_us), True)


def _late_s(alert: Alert, as_of_us: int) -> float:
    """How long after the fix that decided it this is known [s]."""
    decided = alert.why.get("decided_at")
    return round((as_of_us - parse_time(decided)) / 1_000_000, 3) if decided else 0.0
