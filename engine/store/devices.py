"""Devices by name and number, and how far the sequence of each is durable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.database import Connection


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
        if unknown:
            self.connection.execute("INSERT INTO device (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [unknown])
            self._ids |= self.known_ids(unknown)
        return (self._ids[name] for name in names)

    def known_ids(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of those of these devices that have one."""
        rows = self.connection.execute("SELECT name, device_id FROM device WHERE name = ANY(%s)", [sorted(set(names))])
        return dict(rows.fetchall())

    def forget_devices(self) -> None:
        """Forget device numbers: after a rollback those given in it are not there."""
        self._ids.clear()

    def write_sequences(self, sequences: Mapping[str, tuple[int, int, set[int]]]) -> None:
        """Keep how far each device's sequence is durable: (since, until, numbers beyond it)."""
        if not sequences:
            return
        self.connection.execute(
            "INSERT INTO device_sequence (device_id, since, until, beyond)"
            " SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[])"
            " ON CONFLICT (device_id) DO UPDATE SET until = EXCLUDED.until, beyond = EXCLUDED.beyond",
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
