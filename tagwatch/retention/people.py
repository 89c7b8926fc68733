"""Whom data are of: who wore which device when, on which basis, and when the last activation ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.activations import Activation
from engine.database import Connection
from engine.errors import InputError
from engine.times import EARLIEST_US, LATEST_US
from geofence.store import current
from tagwatch.retention.spans import EVER, DeviceSpan, merged, without

NOBODY = ""
"""Whose data are that came from a device while nobody wore it."""


@dataclass(frozen=True, slots=True)
class Person:
    """A wearer: basis (empty: not known), device spans worn, and the end of the last activation, None while it goes on or
    where there was none."""

    wearer: str
    basis: str = ""
    worn: list[DeviceSpan] = field(default_factory=list)
    ended_us: int | None = None

    @property
    def is_worn(self) -> bool:
        """Whether an activation goes on, or the device is its own wearer."""
        return bool(self.worn) and self.ended_us is None


class People:
    """Everybody of whom the database holds a record, an activation, or a device of their own."""

    def __init__(
        self, activations: Iterable[Activation], bases: dict[str, str], devices: Iterable[str], now_us: int
    ) -> None:
        self._bases, self._now_us = bases, now_us
        self._worn: dict[str, list[DeviceSpan]] = {}
        rows, devices = list(activations), list(devices)
        for row in rows:
            span = DeviceSpan(row.device, max(row.from_us, EARLIEST_US), min(row.to_us, LATEST_US))
            self._worn.setdefault(row.wearer, []).append(span)
        if not rows:
            self._worn = {device: [DeviceSpan(device, *EVER)] for device in devices}
        self.devices = sorted({*devices, *(row.device for row in rows)})
        self.activated = bool(rows)

    def names(self) -> list[str]:
        """All wearers, by name."""
        return sorted({*self._bases, *self._worn})

    def of(self, wearer: str) -> Person:
        """What is known of a wearer, if only his name."""
        worn = sorted(self._worn.get(wearer, []))
        last_us = max((span.to_us for span in worn), default=None)
        ended_us = last_us if last_us is not None and last_us <= self._now_us else None
        return Person(wearer, self._bases.get(wearer, ""), worn, ended_us)

    def nobodys(self) -> Person:
        """What devices sent while nobody wore them; the empty name is of messages that tell no device."""
        spans: dict[str, list[tuple[int, int]]] = {device: [] for device in ("", *self.devices)}
        for worn in self._worn.values():
            for span in worn:
                spans[span.device].append(span[1:])
        rest = [DeviceSpan(device, *gap) for device, held in spans.items() for gap in without([EVER], merged(held))]
        return Person(NOBODY, "", rest)


def read_people(connection: Connection, now_us: int) -> People:
    """Who is known now."""
    from tagwatch.configuration import activation_of

    rows = [activation_of(content) for _, content in current(connection, "activation").values()]
    bases = {name: content.get("basis", "") for name, (_, content) in current(connection, "wearer").items()}
    devices = [row[0] for row in connection.execute("SELECT name FROM device ORDER BY name")]
    return People(rows, bases, devices, now_us)


def require_known(connection: Connection, people: People, wearer: str) -> None:
    """InputError for somebody of whom nothing is held."""
    query = (
        "SELECT EXISTS (SELECT FROM alert WHERE wearer = %(w)s) OR EXISTS (SELECT FROM run_result WHERE wearer = %(w)s)"
        " OR EXISTS (SELECT FROM configuration WHERE %(w)s IN (content->>'wearer', content->>'protected')"
        " OR (kind = 'wearer' AND id = %(w)s))"
    )
    row = connection.execute(query, {"w": wearer}).fetchone()
    if wearer not in people.names() and not (row and row[0]):
        raise InputError(field="--wearer", value=wearer, expected="a wearer of whom something is held")
