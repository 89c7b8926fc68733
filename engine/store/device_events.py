"""Device events in the database, each once, with the earliest `received`."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import DeviceEvent
from engine.store.devices import Devices
from engine.times import DAY_US, LATEST_US, SECOND_US, to_datetime


class DeviceEvents(Devices):
    """Writes and reads of device events, in the caller's transaction."""

    def write_events(self, events: Sequence[DeviceEvent]) -> None:
        """Store device events, each once, with the earliest `received`."""
        if not events:
            return
        ids = dict(zip((e.device for e in events), self.ids_of(tuple(e.device for e in events)), strict=True))
        rows = [
            (ids[e.device], to_datetime(e.time_us), e.kind, e.value, to_datetime(e.received_s * SECOND_US)) for e in events
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO device_event (device_id, time, kind, value, received) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (device_id, time, kind, value) DO UPDATE SET received = EXCLUDED.received"
                " WHERE EXCLUDED.received < device_event.received",
                rows,
            )

    def holds_events(self, events: Sequence[DeviceEvent]) -> set[DeviceEvent]:
        """Which of these events are stored, and had arrived no later."""
        rows = self.connection.execute(
            "SELECT n.k FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::timestamptz[])"
            " WITH ORDINALITY n (name, time, kind, value, received, k) JOIN device d USING (name) JOIN device_event e"
            " ON e.device_id = d.device_id AND e.time = n.time AND e.kind = n.kind AND e.value = n.value"
            " AND e.received <= n.received",
            [
                [e.device for e in events], [to_datetime(e.time_us) for e in events], [e.kind for e in events],
                [e.value for e in events], [to_datetime(e.received_s * SECOND_US) for e in events],
            ],
        )  # fmt: skip
        return {events[k - 1] for (k,) in rows}

    def read_events(
        self, *, from_us: int | None = None, to_us: int | None = None, devices: Sequence[str] | None = None
    ) -> list[DeviceEvent]:  # fmt: skip
        """Device events in [from_us, to_us] of these devices (all where None), oldest first."""
        rows = self.connection.execute(
            "SELECT d.name, (extract(epoch FROM e.time) * 1000000)::bigint, e.kind, e.value,"
            " floor(extract(epoch FROM e.received))::bigint FROM device_event e JOIN device d USING (device_id)"
            " WHERE (%s::timestamptz IS NULL OR e.time >= %s)"
            " AND (%s::timestamptz IS NULL OR e.time <= %s) AND (%s::text[] IS NULL OR d.name = ANY(%s))"
            " ORDER BY e.time, d.name, e.kind, e.value",
            [None if from_us is None else to_datetime(from_us)] * 2
            + [None if to_us is None else to_datetime(to_us)] * 2
            + [None if devices is None else list(devices)] * 2,
        )
        return [DeviceEvent(*row) for row in rows]

    def erase_events(self, device_ids: Sequence[int], from_us: int, to_us: int) -> int:
        """Delete the events of these devices with from_us <= time < to_us [us]; returns how many."""
        return self.connection.execute(
            "DELETE FROM device_event WHERE device_id = ANY(%s) AND time >= %s AND time < %s",
            [list(device_ids), *(to_datetime(max(0, min(bound_us, LATEST_US + DAY_US))) for bound_us in (from_us, to_us))],
        ).rowcount
