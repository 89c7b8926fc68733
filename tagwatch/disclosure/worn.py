"""Which devices were on whom when, as the database knows it now."""

from __future__ import annotations

from collections.abc import Sequence

from engine.database import Connection
from engine.times import EARLIEST_US, LATEST_US
from geofence.store import current
from tagwatch.configuration import activation_of
from tagwatch.disclosure.positions import Span


class Worn:
    """The device spans of everybody; where no activation is known at all a device is its own wearer's."""

    def __init__(self, connection: Connection) -> None:
        self._of: dict[str, list[Span]] = {}
        rows = [activation_of(content) for _, content in current(connection, "activation").values()]
        for row in rows:
            span = Span(row.device, max(row.from_us, EARLIEST_US), min(row.to_us, LATEST_US))
            self._of.setdefault(row.wearer, []).append(span)
        self._is_known = bool(rows)

    def of(self, wearer: str) -> list[Span]:
        """The spans of a wearer, by device and time."""
        return sorted(self._of.get(wearer, [])) if self._is_known else [Span(wearer, EARLIEST_US, LATEST_US)]

    def within(self, wearer: str, windows: Sequence[tuple[int, int]]) -> list[Span]:
        """The parts of them that lie in these windows [from_us, to_us), which do not overlap."""
        cuts = (
            Span(device, max(from_us, start_us), min(to_us, end_us))
            for device, from_us, to_us in self.of(wearer)
            for start_us, end_us in windows
        )
        return [span for span in cuts if span.from_us < span.to_us]
