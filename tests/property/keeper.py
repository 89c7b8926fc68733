"""A service in miniature: the session of `tagwatch.session` with dictionaries in place of the database, and no network.

What it stores is content as JSON, as the database does; memory is lost by a restart and taken up again from what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np

from alerts.alert import Alert, from_json, to_json
from alerts.ledger import Entry, Ledger, Version
from alerts.store import KEPT_US
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import SECOND_US
from tagwatch.monitor import Monitor
from tagwatch.replay import replay
from tests.property.test_ledger_law import check_history, text
from tests.property.worlds import Raw, Step, World

_ONE = 1
Row = tuple[int, bytes, int, bool]
"""Of an alert as it is stored: version, content, which was raised first, whether it was retracted."""


def live(world: World) -> Keeper:
    """Let a world happen; AssertionError where a law is broken."""
    with patch("tagwatch.monitor.KEPT_ROWS", world.kept_rows):
        keeper = Keeper(world.raw, world.steps[0].now_us)
        for step in world.steps:
            keeper.take(step)
    return keeper


class Keeper:
    """What is stored, and the monitor and the ledger in memory."""

    def __init__(self, raw: Raw, now_us: int) -> None:
        self.raw = raw
        self.fixes: list[Fixes] = []
        self.events: list[DeviceEvent] = []
        self.rows: dict[str, Row] = {}
        self.versions: list[Version] = []
        self.acknowledged: set[str] = set()
        self.n_recalls = self.n_checks = 0
        self._begin()
        self._now_us = now_us
        self._take_up(forgets=False)

    def take(self, step: Step) -> None:
        """Let one step happen."""
        rng = np.random.default_rng(step.draw)
        self._now_us = step.now_us
        if step.kind == "data":
            self._take(step)
        elif step.kind == "conditions":
            self._revise(step.raw)
        elif step.kind == "forget":
            for wearer in self._present():
                if rng.random() < 0.8:
                    self._forget(wearer)
        elif step.kind == "restart":
            if rng.random() < 0.5:
                self._settle(sorted(self.monitor.trails))
            self._begin()
            self._take_up(forgets=rng.random() < 0.8)
        elif step.kind == "acknowledge":
            standing = [name for name, row in self.rows.items() if not row[3]]
            self.acknowledged |= {name for name in standing if rng.random() < 0.5}
        else:
            self._refresh(recalls=step.kind == "check" or rng.random() < 0.5)
        if step.kind == "check":
            self.check()

    # --- the laws

    def check(self) -> None:
        """What is stored is the content of a replay of all that came, and the history is a lawful way there."""
        self.n_checks += 1
        expected = self._replayed()
        stored = self._stored()
        assert _substance(stored) == _substance(expected), "what is stored before everybody is settled, but for lengths"
        closed = [a for a in expected if not a.active]
        assert text([a for a in stored if not a.active]) == text(closed), "closed alerts as they are stored"
        self._settle(self._present())
        assert text(self._stored()) == text(expected), "what is stored when everybody is settled"
        n_versions = len(self.versions)
        self._settle(self._present())
        assert n_versions == len(self.versions), "settled again, nothing changes"
        active = [(a.wearer, a.rule, a.subject) for a in expected if a.active]
        assert len(active) == len(set(active)), "one active alert of a rule and subject"
        standing = check_history(self.versions)
        held = {name: from_json(row[1]).substance() for name, row in self.rows.items() if not row[3]}
        assert held == {name: alert.substance() for name, alert in standing.items()}, "the history ends in what is stored"
        retracted = {v.id for v in self.versions if v.retracted}
        assert all(name in held or name in retracted for name in self.acknowledged), "nothing handled is lost"

    def _replayed(self) -> list[Alert]:
        return replay(concat(self.fixes), self.raw.read(), self._now_us, processes=_ONE, events=self.events).alerts

    def _stored(self) -> list[Alert]:
        return [from_json(content) for _, content, _, retracted in self.rows.values() if not retracted]

    # --- as the session does it

    def _begin(self) -> None:
        self.monitor = Monitor(self.raw.read(), self._recall, (self._held_fixes, self._held_events))
        self.ledger = Ledger(max((row[2] + 1 for row in self.rows.values()), default=0))
        self._due: dict[str, int] = {}
        self._prolonged: set[str] = set()
        self._to_recall: set[str] = set()

    def _take_up(self, *, forgets: bool) -> None:
        known = {*self.monitor.trails, *(from_json(row[1]).wearer for row in self.rows.values() if not row[3])}
        for wearer in sorted(known | self._devices()):
            self.monitor.recall([wearer], self._now_us)
            self._restore([wearer])
            self._settle([wearer])
            if forgets:
                self._forget(wearer)

    def _take(self, step: Step) -> None:
        received_s = step.now_us // SECOND_US  # as the centre stamps what comes
        step.fixes.received_s[:] = received_s
        events = [event._replace(received_s=received_s) for event in step.events]
        taken = self.monitor.take(step.fixes, step.now_us, events)
        self._reload(taken.recalled)
        self._prolonged |= set(taken.wearers) - set(taken.moved)
        self.fixes.append(step.fixes)
        self.events += events
        self._settle(sorted({*taken.moved, *self._overdue()}))

    def _refresh(self, *, recalls: bool = True) -> None:
        wearers = {*self._overdue()}
        wearers |= {w for w in self._prolonged if any(e.alert.active for e in self.ledger.entries(w))}
        self._prolonged.clear()
        taken = self.monitor.take(Fixes.empty(), self._now_us)
        self._reload(taken.recalled)
        self._settle(sorted(wearers | set(taken.wearers)))
        for wearer in sorted(self._to_recall) if recalls else []:
            if wearer in self._to_recall:
                self.monitor.recall([wearer], self._now_us)
                self._reload([wearer])
                self._settle([wearer])

    def _revise(self, raw: Raw) -> None:
        worn, self.raw = self.raw.worn, raw
        affected = self.monitor.revise(raw.read())
        lacking = affected & self.monitor.watch.lacking
        self._to_recall |= lacking | (self._devices() if worn and not raw.worn else set())
        self._settle(sorted(affected - lacking))

    def _settle(self, wearers: Sequence[str]) -> None:
        for wearer in wearers:
            if wearer in self.monitor.watch.lacking:
                continue
            before = {e.id: e.alert for e in self.ledger.entries(wearer)}
            was = {name: from_json(row[1]) for name, row in self.rows.items() if not row[3]}
            was = {name: alert for name, alert in was.items() if alert.wearer == wearer}
            found, self._due[wearer] = self.monitor.alerts(wearer, self._now_us)
            made = self.ledger.apply(wearer, found, self._now_us)
            for e in self.ledger.entries(wearer):
                if before.get(e.id) != e.alert:
                    self.rows[e.id] = (e.version, to_json(e.alert), e.order, False)
            for version in made:
                if version.retracted:
                    self.rows[version.id] = (version.version, *self.rows[version.id][1:3], True)
            self.versions += made
            self._prolonged.discard(wearer)
            if made:
                self._keeps_identifiers(was, wearer)

    def _keeps_identifiers(self, was: dict[str, Alert], wearer: str) -> None:
        """Who was one alert and is one alert, of one family and over common time, is so under one identifier."""
        now = {name: from_json(row[1]) for name, row in self.rows.items() if not row[3]}
        now = {name: alert for name, alert in now.items() if alert.wearer == wearer}
        for name, alert in was.items():
            after = [n for n, a in now.items() if _meet(alert, a)]
            if len(after) == 1 and [n for n, a in was.items() if _meet(a, now[after[0]])] == [name]:
                assert after == [name], "an identifier stays through an amendment"

    def _overdue(self) -> list[str]:
        return [wearer for wearer, due_us in self._due.items() if due_us <= self._now_us]

    def _forget(self, wearer: str) -> None:
        if wearer in self.monitor.watch.lacking or wearer not in self.monitor.trails:
            return
        self._settle([wearer])
        self.ledger.forget(wearer, self.monitor.forget(wearer, self._now_us))

    def _present(self) -> list[str]:
        return sorted(self.monitor.trails)

    # --- from what is stored

    def _recall(self, devices: Sequence[str]) -> tuple[Fixes, list[DeviceEvent]]:
        self.n_recalls += 1
        fixes = concat(self.fixes)
        mine = np.isin(np.array([*fixes.devices, ""])[fixes.device], list(devices)) if len(fixes) else slice(0, 0)
        return fixes.take(mine), [e for e in self.events if e.device in devices]

    def _held_fixes(self, fixes: Fixes) -> Any:
        return np.isin(_identities(fixes), _identities(concat(self.fixes)))

    def _held_events(self, events: Sequence[DeviceEvent]) -> set[DeviceEvent]:
        return {e for e in events if any(h[:4] == e[:4] and h.received_s <= e.received_s for h in self.events)}

    def _devices(self) -> set[str]:
        """Without activations every device that sent anything is a wearer."""
        if self.raw.worn:
            return set()
        return {f.devices[k] for f in self.fixes for k in f.device} | {e.device for e in self.events}

    def _reload(self, wearers: Iterable[str]) -> None:
        for wearer in wearers:
            self.ledger.forget(wearer)
            self._to_recall.discard(wearer)
        self._restore(wearers)

    def _restore(self, wearers: Iterable[str]) -> None:
        for name, (version, content, order, retracted) in sorted(self.rows.items(), key=lambda row: row[1][2]):
            alert = from_json(content)
            if alert.wearer not in wearers:
                continue
            if retracted:
                self.ledger.reserve(alert.wearer, name, KEPT_US)
            else:
                self.ledger.restore(Entry(name, version, alert, order))


def _identities(fixes: Fixes) -> Any:
    names = np.array([*fixes.devices, ""], object)[fixes.device]
    rows = zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True)
    return np.array([f"{name} {time_us} {content}" for name, time_us, content in rows], str)


def _substance(alerts: Iterable[Alert]) -> list[Any]:
    return [(*a.sort_key, *a.substance()) for a in sorted(alerts, key=lambda a: a.sort_key)]


def _meet(one: Alert, two: Alert) -> bool:
    """Whether two contents are of one family and over common time, not of one ending where the other begins."""
    if one.family != two.family:
        return False
    (one_began, one_ended), (two_began, two_ended) = _interval(one), _interval(two)
    begin, end = max(one_began, two_began), min(one_ended, two_ended)
    return begin < end or (begin == end and (one_began == one_ended or two_began == two_ended))


def _interval(alert: Alert) -> tuple[str, str]:
    return alert.began.removesuffix("Z"), (alert.ended or "~").removesuffix("Z")
