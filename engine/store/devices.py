"""Devices by name and number, and how far the sequence of each is durable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.database import Connection

_LASTING = "SELECT name, device_id, age(xmin) > 0 FROM device WHERE name = ANY(%s)"
"""Whether a number was given before this transaction: one that was given in it is gone when it is rolled back."""


class Devices:
    """The names and numbers of devices; a number is given when something of a device is first stored."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ids: dict[str, int] = {}

    def devices(self) -> list[str]:
        """The names of all devices of which anything is stored, in their order."""
        return sorted(row[0] for row in self.connection.execute("SELECT name FROM device"))

    def ids_of(self, names: Sequence[str]) -> Iterable[int]:
        """The numbers of these devices, in order; those that are new get one."""
        unknown = sorted({name for name in names if name not in self._ids})
        found: dict[str, int] = {}
        if unknown:
            self.connection.execute("INSERT INTO device (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [unknown])
            rows = self.connection.execute(_LASTING, [unknown]).fetchall()
            found = {name: number for name, number, _ in rows}
            self._ids |= {name: number for name, number, is_lasting in rows if is_lasting}
        return (found[name] if name in found else self._ids[name] for name in names)

    def known_ids(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of those of these devices that have one."""
        rows = self.connection.execute("SELECT name, device_id FROM device WHERE name = ANY(%s)", [sorted(set(names))])
        return dict(rows.fetchall())

    def write_sequences(self, sequences: Mapping[str, tuple[int, int, set[int]]]) -> None:
        """Keep how far each device's sequence is durable: (since, until, numbers beyond it)."""
        if not sequences:
            return
        self.connection.execute(
            "INSERT INTO device_sequence (device_id, since, until, beyond)"
            " SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[])"
            " ON CONFLICT (device_id) DO UPDATE SET since = EXCLUDED.since, until = EXCLUDED.until, beyond = EXCLUDED.beyond",
            [
                [*self.ids_of(tuple(sequences))],
                [since for since, _, _ in sequences.values()],
                [until for _, until, _ in sequences.values()],
                [",".join(map(str, sorted(beyond))) for _, _, beyond in sequences.values()],
            ],
        )

    def read_sequences(self) -> dict[str, tuple[int, int, set[int]]]:
        """How far each device's sequence is durable."""
        rows = self.connection.execute(
            "SELECT name, since, until, beyond FROM device_sequence JOIN device USING (device_id)"
        )
        return {name: (since, until, {int(n) for n in beyond.split(",") if n}) for name, since, until, beyond in rows}
