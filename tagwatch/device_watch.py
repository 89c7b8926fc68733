"""What devices say of themselves: their events, what is remembered of those that were forgotten, and their findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alerts.alert import Alert
from alerts.device_memory import DeviceMemory
from alerts.device_rules import device_alerts, may_move, remember, unsettled
from alerts.device_scene import DeviceScene, DeviceSettings, Rows
from engine import flags
from engine.activations import Activation
from engine.events import DeviceEvent
from engine.times import SECOND_US, parse_time
from engine.trail import NEVER_US, Piece, Trail
from tagwatch.wearing import Wearing

_MOST_LOST = 32
"""Lost connections that are remembered one by one, so that each counts once however often and late it is told."""
_Key = tuple[str, int]
"""An activation of a wearer: its device and when it began."""


class DeviceWatch:
    """Events and memories by wearer; fixes stay in the trails."""

    def __init__(self, wearing: Wearing, settings: DeviceSettings = DeviceSettings()) -> None:
        self._wearing, self._settings = wearing, settings
        self._events: dict[str, tuple[DeviceEvent, ...]] = {}
        self._memories: dict[str, dict[_Key, DeviceMemory]] = {}
        self._lost: dict[str, list[DeviceEvent]] = {}  # connections, of those that were forgotten
        self._open: set[str] = set()  # whose findings any fix may change
        self._heard: dict[str, tuple[int, int]] = {}  # newest fix [us] and last contact [s] of who wears one device only

    def take(self, wearer: str, events: Iterable[DeviceEvent]) -> bool:
        """Take events of a wearer in, each once with its earliest arrival; returns whether any is news."""
        held = {_identity(e): e for e in self._events.get(wearer, ())}
        n_before, changed = len(held), False
        lost = {_identity(e) for e in self._lost.get(wearer, ())}
        for event in events:
            if _identity(event) in lost:
                continue
            known = held.get(_identity(event))
            if known is None or event.received_s < known.received_s:
                held[_identity(event)] = event
                changed = True
        if changed:
            self._events[wearer] = tuple(sorted(held.values(), key=lambda e: (e.time_us, e.kind, e.value, e.device)))
        return changed or len(held) != n_before

    def may_know(self, wearer: str, events: Iterable[DeviceEvent]) -> bool:
        """Whether one of these may be a lost connection that was known once: older than those that are remembered."""
        lost = self._lost.get(wearer, [])
        return len(lost) >= _MOST_LOST and any(e.kind == "disconnected" and e.time_us <= lost[0].time_us for e in events)

    def forgotten_contact_us(self, wearer: str) -> int:
        """The last contact before what is in memory."""
        memories = self._memories.get(wearer, {}).values()
        return max((m.contact.last_us for m in memories if m.contact.last_us is not None), default=NEVER_US)

    def moved(self, names: Sequence[str], pieces: Sequence[Piece]) -> set[str]:
        """Whose findings these fixes may change, but for the length of those that go on."""
        if not names:
            return set()
        sizes = [len(piece) for piece in pieces]
        before = np.array([self._heard_of(name, piece) for name, piece in zip(names, pieces, strict=True)], np.int64)
        names_of = ("time_us", "received_s", "battery_pct", "flags", "silence_us")
        *columns, bits, silence_us = (np.concatenate([p.column(name) for p in pieces]) for name in names_of)
        newest_us, heard_s, is_open = (column.repeat(sizes) for column in before.T)
        found = may_move(
            columns[0], columns[1], bits, columns[2], newest_us, heard_s, silence_us // SECOND_US, is_open.astype(np.bool_),
            self._settings.low_pct,
        )  # fmt: skip
        starts = np.cumsum([0, *sizes[:-1]])
        return {name for name, news in zip(names, np.logical_or.reduceat(found, starts).tolist(), strict=True) if news}

    def _heard_of(self, name: str, piece: Piece) -> tuple[int, int, bool]:
        """Newest time and last contact before a piece, which is noted; who wears several devices is always looked at."""
        newest_us, heard_s = self._heard.get(name, (NEVER_US, -(2**40)))
        here = int(piece.column("time_us")[-1]), int(piece.column("received_s").max())
        self._heard[name] = max(newest_us, here[0]), max(heard_s, here[1])
        several = self._wearing.rows and len(self._wearing.worn_by(name)) > 1
        return newest_us, heard_s, bool(several) or name in self._open

    def alerts(self, trail: Trail, as_of_us: int, since_us: int, due: list[int]) -> list[Alert]:
        """The device findings of a wearer as of an instant."""
        wearer = trail.wearer
        found = [a for scene in self._scenes(trail, as_of_us, since_us) for a in device_alerts(scene, due)]
        (self._open.add if unsettled(found) else self._open.discard)(wearer)
        return found

    def cut(self, trail: Trail, as_of_us: int, since_us: int) -> None:
        """Remember what came up to the trail's mark, which is about to be forgotten."""
        wearer, mark_us = trail.wearer, int(trail.column("time_us")[trail.marked - 1])
        scenes = self._scenes(trail, as_of_us, since_us, mark_us)
        self._memories[wearer] = {(s.activation.device, s.activation.from_us): remember(s) for s in scenes}
        events = self._events.get(wearer, ())
        self._events[wearer] = tuple(e for e in events if e.time_us > mark_us)
        lost = [*self._lost.get(wearer, ()), *(e for e in events if e.time_us <= mark_us and e.kind == "disconnected")]
        if lost:
            self._lost[wearer] = sorted(lost, key=lambda e: e.time_us)[-_MOST_LOST:]

    def closed_before_us(self, trail: Trail, found: Iterable[Alert]) -> int:
        """An instant before which no device finding can change any more: a silence may be joined by one that begins soon, and
        fixes after the trail's mark that were dated ahead count when they came (see `device_rules.follows`)."""
        gap_us = self._settings.merge_gap_us
        ended = [(parse_time(a.ended), a.subject) for a in found if a.rule == "tag.no_contact" and a.ended is not None]
        wrong = (trail.column("flags")[trail.marked :] & flags.CLOCK_WRONG) != 0
        came_us = (trail.column("received_s")[trail.marked :][wrong] * SECOND_US).tolist()
        joined = (at for at, device in ended if self._last_contact_us(trail, device) < at + gap_us)
        return min([*came_us, *joined], default=2**62)

    def _last_contact_us(self, trail: Trail, device: str) -> int:
        mine = trail.column("device") == self._wearing.number.get(device, -1)
        heard = [int(trail.column("received_s")[mine].max()) * SECOND_US] if mine.any() else []
        memories = self._memories.get(trail.wearer, {}).items()
        heard += [m.contact.last_us for (name, _), m in memories if name == device and m.contact.last_us is not None]
        return max(heard, default=NEVER_US)

    def drop(self, wearer: str) -> None:
        """Forget everything about a wearer."""
        for past in (self._events, self._memories, self._heard, self._lost):
            past.pop(wearer, None)

    def _scenes(self, trail: Trail, as_of_us: int, since_us: int, to_us: int = 2**62) -> list[DeviceScene]:
        memories, events = self._memories.get(trail.wearer, {}), self._events.get(trail.wearer, ())
        return [
            DeviceScene(
                trail.wearer, worn, self._rows(trail, worn, to_us),
                tuple(e for e in events if e.device == worn.device and worn.from_us <= e.time_us < min(worn.to_us, to_us + 1)),
                as_of_us, since_us, memories.get((worn.device, worn.from_us)), self._settings,
            )
            for worn in self._wearing.worn_by(trail.wearer)
        ]  # fmt: skip

    def _rows(self, trail: Trail, worn: Activation, to_us: int) -> Rows:
        """The rows of a device within its activation that are not remembered already, up to an instant."""
        number = self._wearing.number.get(worn.device, -1)
        return Rows.of(trail, number, max(worn.from_us, trail.floor_us + 1), min(worn.to_us, to_us + 1))


def _identity(event: DeviceEvent) -> tuple[str, int, str, str]:
    return event.device, event.time_us, event.kind, event.value
