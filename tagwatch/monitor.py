"""The monitor: fixes and events in, the alerts that hold as of an instant out. Replay and the live service run this and
nothing else.

It has no clock, no network and no database: the caller says what came and what time it is. It may be told to forget what is
closed; then it asks the caller's `recall` for a wearer's whole past where something late needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Alert, ends_before, is_apart
from alerts.crossing_rules import crossing_alerts
from alerts.crossing_search import Searched, may_go_on_from_us, renumbered, rows_of_search, search_key, searched, still_open
from alerts.curfew_rules import curfew_alerts
from alerts.evidence import Scene
from alerts.open_matters import closed_before_us, needed_rows, open_from_us
from alerts.proximity_rules import PairScene, proximity_alerts
from alerts.zone_rules import zone_alerts
from engine import flags
from engine.activations import Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import SECOND_US
from engine.trail import Piece, Trail
from geofence.check import FilterSettings
from geofence.curfew import Curfew
from geofence.episodes import speaks_at_us
from geofence.proximity import Proximity
from geofence.watch import Watch
from geofence.zone import Zone
from tagwatch.ahead import Ahead, Stored
from tagwatch.device_watch import DeviceWatch
from tagwatch.wearing import Wearing

NEVER_US = -(2**62)
KEPT_ROWS = 32
"""Rows at the end of a trail that was read from the store that are not to be forgotten at once: for those that come late."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the wearers have to keep to, and who wears what; the plan holds for devices without an activation."""

    zones: Sequence[Zone] = ()
    curfews: Sequence[Curfew] = ()
    activations: Activations = field(default_factory=Activations)
    filter: FilterSettings = field(default_factory=FilterSettings)
    plan: Activation = field(default_factory=lambda: Activation("", "", -(2**62)))
    proximities: Sequence[Proximity] = ()

    @property
    def pairs(self) -> dict[str, set[str]]:
        """Of everybody in a proximity, whose alerts a fix of his may change."""
        found: dict[str, set[str]] = {}
        for p in self.proximities:
            for person in (p.wearer, p.protected):
                found.setdefault(person, set()).add(p.wearer)
        return found


@dataclass(slots=True)
class Taken:
    """What became of a batch: whose trails it touched, whose alerts may now be others (but for the length of those that go
    on), who was read from the store again, and the counts of what was not evaluated."""

    wearers: list[str]
    moved: list[str]
    recalled: list[str]
    n_duplicates: int = 0
    n_unassigned: int = 0
    n_ahead: int = 0


Recall = Callable[[Sequence[str]], tuple[Fixes, list[DeviceEvent]]]
"""All fixes and events that are stored of these devices."""
Known = tuple[Callable[[Fixes], NDArray[np.bool_]], Callable[[Sequence[DeviceEvent]], set[DeviceEvent]]]
"""Which of these fixes, and which of these events, are stored already: what is sent once more is no reason to read a past
again."""


class Monitor:
    """Trails, states and rules of a set of wearers."""

    def __init__(
        self, conditions: Conditions, recall: Recall | None = None, known: Known | None = None, stored: Stored | None = None
    ) -> None:  # fmt: skip
        self.conditions = conditions
        self.watch = Watch(conditions.zones, conditions.curfews, conditions.filter)
        self.trails: dict[str, Trail] = {}
        self._wearing = Wearing(conditions.activations, conditions.plan)
        self._devices = DeviceWatch(self._wearing)
        self._recall, self._known = recall, known
        self._ahead = Ahead(stored)
        self._settled: dict[str, dict[Any, Any]] = {}
        self._searched: dict[str, dict[Any, Searched]] = {}  # where the trail becomes whole
        self._marked: dict[str, dict[Any, Searched]] = {}  # at the trail's mark
        self._since: dict[str, int] = {}
        self._silent: set[str] = set()  # for whom silence had spoken when their alerts were last asked for
        self._pairs = conditions.pairs
        self.reads_us: dict[str, int] = {}
        """Of wearers whose time before some instant is closed: what is from before this one is not read again."""
        self._expect(self._wearing.monitored)

    @property
    def devices(self) -> tuple[str, ...]:
        """The names that the trails' device columns index."""
        return self._wearing.devices

    def take(self, fixes: Fixes, as_of_us: int, events: Sequence[DeviceEvent] = ()) -> Taken:
        """Merge a batch into the trails and bring the states up to date; what is dated in the future waits until it is past."""
        waited = len(self._ahead) > 0
        batch, due = self._ahead.due(fixes, events, as_of_us)
        news, n_strangers = self._by_wearer(due)
        if not len(batch) and not news:
            return Taken([], [], [], n_unassigned=n_strangers, n_ahead=len(self._ahead))
        assigned = self._wearing.assign(batch)
        n_again = self._leave_out_known(assigned.pieces, news) if self._known else 0
        too_late = {w for w, p in assigned.pieces.items() if self._is_too_late(w, int(p.column("time_us")[0]))}
        too_late |= {w for w, es in news.items() if self._are_too_late(w, es)}
        if waited:  # what was dated ahead counts for contact when it came, which may be forgotten by now
            heard = {w: int(p.fixes.received_s.min()) for w, p in assigned.pieces.items()}
            for wearer, events_of in news.items():
                heard[wearer] = min([heard.get(wearer, 2**62), *(e.received_s for e in events_of)])
            too_late |= {w for w, at_s in heard.items() if self._is_forgotten(w, at_s * SECOND_US)}
        taken = self._take({w: p for w, p in assigned.pieces.items() if w not in too_late})
        told = [w for w, es in news.items() if w not in too_late and self._tell(w, es)]
        taken.recalled = sorted(too_late | (self.watch.lacking & {*taken.wearers, *told}))
        if taken.recalled:
            self.recall(taken.recalled, as_of_us, assigned.pieces, news)
        taken.wearers = sorted({*taken.wearers, *told, *taken.recalled})
        partners = {
            w for person in self._pairs.keys() & set(taken.wearers) for w in self._pairs[person] & self.trails.keys()
        }
        taken.moved = sorted({*taken.moved, *told, *taken.recalled, *partners})
        taken.n_duplicates += assigned.n_duplicates + n_again
        taken.n_unassigned, taken.n_ahead = assigned.n_unassigned + n_strangers, len(self._ahead)
        return taken

    def _leave_out_known(self, pieces: dict[str, Piece], news: dict[str, list[DeviceEvent]]) -> int:
        """Leave out what came too late and is stored already; returns how many fixes that were."""
        assert self._known is not None
        which_fixes, which_events = self._known
        late = {w: p.fixes for w, p in pieces.items() if self._is_too_late(w, int(p.column("time_us")[0]))}
        n_again = 0
        if late:
            stored = np.split(which_fixes(concat(late.values())), np.cumsum([len(fixes) for fixes in late.values()])[:-1])
            for (wearer, fixes), held in zip(late.items(), stored, strict=True):
                again = held & (fixes.time_us <= self.trails[wearer].floor_us)
                n_again += int(np.count_nonzero(again))
                pieces[wearer] = pieces[wearer].take(np.flatnonzero(~again))
                if not len(pieces[wearer]):
                    del pieces[wearer]
        told = [e for w, es in news.items() for e in es if self._is_too_late(w, e.time_us)]
        known = which_events(told) if told else set()
        for wearer, events in list(news.items()) if known else ():
            news[wearer] = [event for event in events if event not in known]
            if not news[wearer]:
                del news[wearer]
        return n_again

    def _take(self, pieces: dict[str, Piece]) -> Taken:
        trails, firsts, n_duplicates = [], [], 0
        anew = self._silent & pieces.keys()
        for name, piece in pieces.items():
            trail = self.trails.setdefault(name, Trail(name))
            n_before = len(trail)
            first, n_again = trail.merge(piece)
            if first < n_before:
                self._unsettle(trail, first)
                anew.add(name)
            n_duplicates += n_again
            trails.append(trail)
            firsts.append(first)
        if not trails:
            return Taken([], [], [])
        moved = self.watch.feed(trails, firsts)
        names = [t.wearer for t in trails]
        anew |= {wearer for wearer in self.watch.near_zones - anew if self._crosses_more(wearer)}
        anew |= self._devices.moved(names, list(pieces.values()))
        anew |= {t.wearer for t, first in zip(trails, firsts, strict=True) if t.column("flags")[first:].any()}
        return Taken(names, [n for n, m in zip(names, moved, strict=True) if m or n in anew], [], n_duplicates)

    def _crosses_more(self, wearer: str) -> bool:
        """Whether a way across a zone is found that was not known."""
        more = False
        for scene in self._scenes(wearer, NEVER_US):
            if scene.slot.subject.kind == "exclusion":
                before: Searched = scene.settled.get(search_key(scene), Searched())
                more |= searched(scene).found != before.found
        return more

    def _unsettle(self, trail: Trail, first: int) -> None:
        """Forget what was written of the time that a late fix touched, and how far ways across zones were searched for."""
        from_us, to_us = int(trail.column("time_us")[first]), trail.changed_to_us
        held = self._settled.get(trail.wearer, {})
        kept = {key: what for key, what in held.items() if isinstance(what, Alert) and is_apart(what, from_us, to_us)}
        self._settled[trail.wearer] = kept | self._searched.get(trail.wearer, {})

    def _tell(self, wearer: str, events: Sequence[DeviceEvent]) -> bool:
        self._expect([wearer])
        return self._devices.take(wearer, events)

    def revise(self, conditions: Conditions) -> set[str]:
        """Take other conditions over; returns the wearers whose alerts may change by that.

        Those whose past is needed for it are in `watch.lacking` (all who are returned, where activations changed): their
        alerts are not to be asked for before they were recalled.
        """
        before, self.conditions = self.conditions, conditions
        self.watch.revise(conditions.zones, conditions.curfews)
        changed = {*_keys(before)} ^ {*_keys(conditions)}
        affected = {wearer for *_, wearers in changed for wearer in wearers if wearer != "*"}
        rows = {*before.activations.rows} ^ {*conditions.activations.rows}
        if rows:
            self._wearing.revise(conditions.activations, conditions.plan)
            self._expect(self._wearing.monitored)
            affected |= {row.wearer for row in rows}
            self.watch.lacking |= {row.wearer for row in rows}
        if bool(before.activations.rows) != bool(conditions.activations.rows):  # a device was its wearer, or is now
            affected |= self.trails.keys()
            self.watch.lacking |= self.trails.keys()
        self._pairs = conditions.pairs
        self.watch.lacking |= {
            person for person in self._pairs if person in self.trails and not self.trails[person].is_whole
        }
        affected = (affected | self.watch.lacking) & self.trails.keys()
        for wearer in affected:
            self._settled.pop(wearer, None)
        if any("*" in wearers for *_, wearers in changed):
            affected = set(self.trails)
            self._settled.clear()
        trails = [self.trails[wearer] for wearer in sorted(affected)]
        whole = [trail for trail in trails if trail.is_whole]
        self.watch.lacking |= {trail.wearer for trail in trails if not trail.is_whole}
        self.watch.feed(whole, [0] * len(whole))
        return affected

    def recall(
        self, wearers: Sequence[str], as_of_us: int, late: Mapping[str, Piece] = MappingProxyType({}),
        news: Mapping[str, Sequence[DeviceEvent]] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Read wearers' whole pasts again, with what came too late for what is in memory of them."""
        assert self._recall is not None
        self._ahead.look_ahead(as_of_us)
        stored, events = self._recall(self._wearing.devices_of(wearers))
        here = [self.trails.pop(w).fixes(self.devices) for w in wearers if w in self.trails]
        stored = self._wearing.with_own_devices(stored)
        self._ahead.put_once(stored.take(stored.time_us > as_of_us), [e for e in events if e.time_us > as_of_us])
        stored = stored.take(stored.time_us <= as_of_us)
        came = [late[w].fixes for w in wearers if w in late]
        for wearer in wearers:
            self.drop(wearer)
        self._expect(wearers)
        wanted = set(wearers)
        whole = concat([self._wearing.with_own_devices(fixes) for fixes in (stored, *here, *came)])
        pieces = {w: self._read_of(w, piece) for w, piece in self._wearing.assign(whole).pieces.items() if w in wanted}
        pieces = {w: piece for w, piece in pieces.items() if len(piece)}
        self._take({w: piece.take(slice(0, -KEPT_ROWS)) for w, piece in pieces.items() if len(piece) > KEPT_ROWS})
        for wearer in wanted & pieces.keys():
            self._mark(self.trails[wearer], as_of_us)  # so that what goes before can be forgotten at once
        self._take({w: piece.take(slice(-KEPT_ROWS, None)) for w, piece in pieces.items()})
        past_events: dict[str, list[DeviceEvent]] = {}
        for event in (*events, *(e for w in wearers for e in news.get(w, ()))):
            owner = self._wearing.wearer_of(event)
            if owner in wanted and self.reads_us.get(str(owner), NEVER_US) <= event.time_us <= as_of_us:
                past_events.setdefault(str(owner), []).append(event)
        for wearer, each in past_events.items():
            self._devices.take(wearer, each)

    def reread(self, wearers: Iterable[str]) -> set[str]:
        """Have the whole past of these wearers, as far as they are known here, read again before their alerts are asked for;
        returns who that is."""
        known = {*wearers} & self.trails.keys()
        self.watch.lacking |= known
        return known

    def holds_before(self, wearer: str, instant_us: int) -> bool:
        """Whether a fix from before an instant is in memory."""
        trail = self.trails.get(wearer)
        return trail is not None and len(trail) > 0 and int(trail.column("time_us")[0]) < instant_us

    def usable_span(self, wearer: str) -> tuple[int, int] | None:
        """Times [us] of the first and the last fix in memory that carry weight; None where there is none."""
        trail = self.trails[wearer]
        rows = np.flatnonzero((trail.column("flags") & flags.WEIGHTLESS) == 0)
        return (int(trail.column("time_us")[rows[0]]), int(trail.column("time_us")[rows[-1]])) if len(rows) else None

    def _read_of(self, wearer: str, piece: Piece) -> Piece:
        """The part of a wearer's past that is not closed."""
        since_us = self.reads_us.get(wearer)
        return piece if since_us is None else piece.take(np.flatnonzero(piece.column("time_us") >= since_us))

    def drop(self, wearer: str) -> None:
        """Forget everything about a wearer."""
        self.trails.pop(wearer, None)
        self.watch.drop(wearer)
        self._devices.drop(wearer)
        for past in (self._settled, self._searched, self._marked, self._since):
            past.pop(wearer, None)
        self._silent.discard(wearer)

    def alerts(self, wearer: str, as_of_us: int) -> tuple[list[Alert], int]:
        """The alerts of a wearer as of an instant, and the next instant at which they may change without new data.

        What ended before the instant that `forget` gave is not among them.
        """
        due: list[int] = []
        scenes = self._scenes(wearer, as_of_us)
        found: list[Alert] = []
        for (kind, _), versions in groupby(sorted(scenes, key=_subject), key=_subject):
            of_one = sorted(versions, key=lambda s: s.slot.subject.of.holds)
            if kind == "curfew":
                found += curfew_alerts(of_one, self._wearing.monitored_intervals(self.trails[wearer]), due)
                continue
            breaches = zone_alerts(of_one, due)
            found += breaches
            if kind == "exclusion":
                found += [alert for scene in of_one for alert in crossing_alerts(scene, breaches)]
        found += self._devices.alerts(self.trails[wearer], as_of_us, self._since.get(wearer, NEVER_US), due)
        found += self._proximity_alerts(wearer, as_of_us, due)
        spoken = any(as_of_us > speaks_at_us(scene.slot, self.watch) for scene in scenes)
        (self._silent.add if spoken else self._silent.discard)(wearer)
        since = self._since.get(wearer, NEVER_US)
        if since != NEVER_US:
            found = [a for a in found if not ends_before(a, since)]
        found.sort(key=lambda a: a.sort_key)
        return found, min((d for d in due if d > as_of_us), default=2**62)

    def _proximity_alerts(self, wearer: str, as_of_us: int, due: list[int]) -> list[Alert]:
        found: list[Alert] = []
        if wearer not in self._pairs:
            return found
        mine = sorted((p for p in self.conditions.proximities if p.wearer == wearer), key=lambda p: (p.id, p.holds))
        for _, versions in groupby(mine, key=lambda p: p.id):
            found += proximity_alerts([self._pair_scene(p, as_of_us) for p in versions], due)
        return found

    def _pair_scene(self, p: Proximity, as_of_us: int) -> PairScene:
        trail, protected = (self.trails.get(person) or Trail(person) for person in (p.wearer, p.protected))
        plans = [*self._wearing.worn_by(p.wearer), *self._wearing.worn_by(p.protected)]
        return PairScene(p, trail, protected, self.devices, self.conditions.filter, as_of_us, plans)

    def forget(self, wearer: str, as_of_us: int) -> int:
        """Leave out of memory what is closed of a wearer, down to the mark set when this was last called, and set the next.

        Returns the instant from which on the wearer's alerts are still told; those that ended before it are the caller's.
        Who is in a proximity is kept as a whole.
        """
        if wearer in self._pairs:
            return NEVER_US
        trail = self.trails[wearer]
        if trail.marked > trail.base:
            self._cut(trail, as_of_us)
        self._mark(trail, as_of_us)
        return self._since.get(wearer, NEVER_US)

    def _mark(self, trail: Trail, as_of_us: int) -> None:
        trail.mark()
        self.watch.mark(trail.wearer)
        scenes = self._scenes(trail.wearer, as_of_us)
        self._marked[trail.wearer] = {search_key(s): searched(s) for s in scenes if s.slot.subject.kind == "exclusion"}

    def _cut(self, trail: Trail, as_of_us: int) -> None:
        wearer, searches = trail.wearer, self._marked[trail.wearer]
        alerts, _ = self.alerts(wearer, as_of_us)
        scenes = self._scenes(wearer, as_of_us)
        ways = [since for s in scenes if (since := may_go_on_from_us(s, searches.get(search_key(s)))) is not None]
        since = closed_before_us(scenes, min([int(trail.column("time_us")[trail.marked - 1]), *ways]))
        since = min(since, self._devices.closed_before_us(trail, alerts))
        since = max(since, self._since.get(wearer, NEVER_US))
        from_us = open_from_us(scenes, alerts, since)
        rows = {0} | needed_rows(scenes, from_us)
        for scene in scenes:
            if (done := searches.get(search_key(scene))) is not None:
                of_it = [a for a in alerts if a.rule == "zone.exclusion" and a.subject == scene.slot.subject.of.id]
                done = still_open(done, from_us, [a for a in of_it if ends_before(a, since)])
                searches[search_key(scene)] = done
                rows |= rows_of_search(scene, done)
        self._devices.cut(trail, as_of_us, since)
        self.watch.forget(wearer, from_us, trail)
        rows |= self.watch.rows_of(wearer)
        moved = trail.forget(np.array(sorted(row for row in rows if row < trail.marked), np.int64))
        self.watch.renumber(wearer, moved)
        self._searched[wearer] = {key: renumbered(done, moved, trail.base) for key, done in searches.items()}
        self._settled[wearer] = dict(self._searched[wearer])
        self._since[wearer] = since

    def _scenes(self, wearer: str, as_of_us: int) -> list[Scene]:
        trail, settled = self.trails[wearer], self._settled.setdefault(wearer, {})
        rest = (trail, self.watch, self.devices, as_of_us, settled, self._since.get(wearer, NEVER_US))
        return [Scene(slot, *rest) for slot in self.watch.slots(wearer)]

    def _is_too_late(self, wearer: str, time_us: int) -> bool:
        trail = self.trails.get(wearer)
        return trail is not None and time_us <= trail.floor_us

    def _are_too_late(self, wearer: str, events: Sequence[DeviceEvent]) -> bool:
        return self._is_too_late(wearer, _earliest_us(events)) or self._devices.may_know(wearer, events)

    def _is_forgotten(self, wearer: str, heard_us: int) -> bool:
        """Whether contact at an instant is among what was forgotten."""
        trail = self.trails.get(wearer)
        if trail is None or trail.is_whole:
            return False
        return heard_us < max(self._since.get(wearer, NEVER_US), self._devices.forgotten_contact_us(wearer))

    def _by_wearer(self, events: Sequence[DeviceEvent]) -> tuple[dict[str, list[DeviceEvent]], int]:
        """Events by wearer, and how many nobody's device sent."""
        news: dict[str, list[DeviceEvent]] = {}
        n_strangers = 0
        for event in events:
            wearer = self._wearing.wearer_of(event)
            n_strangers += wearer is None
            if wearer is not None:
                news.setdefault(wearer, []).append(event)
        return news, n_strangers

    def _expect(self, wearers: Iterable[str]) -> None:
        """These wearers are looked at even if nothing ever comes from them."""
        trails = [self.trails.setdefault(wearer, Trail(wearer)) for wearer in wearers if wearer not in self.trails]
        if trails:
            self.watch.feed(trails, [0] * len(trails))


def _earliest_us(events: Iterable[DeviceEvent]) -> int:
    """The earliest time of events; that of a lost connection, which is when it was made, does not count."""
    return min((e.time_us for e in events if e.kind != "disconnected"), default=2**62)


def _keys(conditions: Conditions) -> Iterable[tuple[Any, ...]]:
    """What tells one version of a zone or a curfew from another, and whom it is for."""
    for zone in conditions.zones:
        yield zone.kind, zone.id, zone.version, zone.holds, zone.wearers
    for p in conditions.proximities:
        yield "proximity", p.id, p.version, p.holds, (p.wearer,)
    for curfew in conditions.curfews:
        yield "curfew", curfew.id, curfew.version, curfew.holds, (curfew.wearer,)


def _subject(scene: Scene) -> tuple[str, str]:
    return scene.slot.subject.kind, scene.slot.subject.of.id
