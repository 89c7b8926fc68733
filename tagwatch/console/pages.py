"""The pages: what their templates are given. Jinja2 escapes every value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.database import Connection
from engine.times import Clock, to_iso
from tagwatch.console import records, wording
from tagwatch.console.town_map import TownMap

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_SHOWN = 200


def _environment() -> Environment:
    found = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters.update(
        rule=wording.rule_words, duration=wording.duration_words, moment=wording.time_words, percent=wording.percent_words
    )
    found.globals.update(LATE_S=wording.LATE_S, GRADES=wording.GRADES, VERDICTS=wording.VERDICTS, age=wording.age_words)
    return found


class Pages:
    """Renders the pages and their parts from one connection, that is from one snapshot."""

    def __init__(
        self,
        scene: Mapping[str, Any] | None,
        feed: Callable[[], dict[str, Any]],
        near: Callable[[], dict[str, Any] | None],
        clock: Clock,
    ) -> None:
        self._templates = _environment()
        self._map = TownMap(scene) if scene else None
        self._feed, self._near, self._clock = feed, near, clock

    def whole(self, connection: Connection) -> str:
        """The page."""
        return self._render("page.html", **self._queue(connection), **self._scene(connection))

    def queue(self, connection: Connection) -> str:
        """The part with the counts and the queue."""
        return self._render("queue.html", **self._queue(connection))

    def scene(self, connection: Connection) -> str:
        """The part with the map and who was near."""
        return self._render("scene.html", **self._scene(connection))

    def alert(self, connection: Connection, identifier: str) -> str | None:
        """The page of one alert, None where there is none."""
        found = records.one_alert(connection, identifier)
        if found is None:
            return None
        return self._render("alert.html", alert=found, versions=records.versions(connection, identifier))

    def missing(self) -> str:
        """The page for an alert that is not there."""
        return self._render("missing.html")

    def _queue(self, connection: Connection) -> dict[str, Any]:
        alerts = records.open_alerts(connection)
        return {
            "alerts": alerts[:_MOST_SHOWN], "n_more": max(0, len(alerts) - _MOST_SHOWN), "n_open": len(alerts),
            "n_grades": Counter(a.content["grade"] for a in alerts),
            "counts": records.counts(connection, self._feed()), "seq": records.latest_seq(connection),
        }  # fmt: skip

    def _scene(self, connection: Connection) -> dict[str, Any]:
        positions = records.positions(connection)
        town = self._map or TownMap(None, positions)
        markers, n_off = town.markers(positions, records.open_alerts(connection))
        return {"town": town, "markers": markers, "n_off": n_off, "near": self._near()}

    def _render(self, name: str, **values: Any) -> str:
        now_us = self._clock()
        return self._templates.get_template(name).render(now_us=now_us, now=to_iso(now_us), **values)
