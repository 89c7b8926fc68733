"""Alerts of people in a disclosure: a table for a quick look, and everything held of each as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alerts.holdings import HeldAlert, held_alerts
from engine.database import Connection
from tagwatch.disclosure.container import Container
from tagwatch.disclosure.others import Others
from tagwatch.disclosure.values import Told, json_of

COLUMNS = {
    "id": "identifier of the alert", "wearer": "whose", "rule": "which rule", "subject": "zone or curfew it is about",
    "grade": "how grave", "condition": "active, cleared or retracted", "began": "when it began (UTC)",
    "ended": "when it ended (UTC), empty where it goes on", "minutes": "how long [minutes]",
    "raised_at": "when it was raised (UTC)", "versions": "how many versions of it there were",
    "handling": "how people handled it", "outcome": "what it was found to be", "why": "the explanation",
}  # fmt: skip

_ADDRESS = re.compile(r"\S+@\S+")


def write_alerts(
    container: Container, connection: Connection, wearers: Sequence[str], others: Others,
    window: tuple[int, int] | None = None,
) -> list[str]:  # fmt: skip
    """alerts.csv and alerts.jsonl of these wearers, of all time or of a window; returns what each alert of them is."""
    between = window or (None, None)
    listed: list[str] = []

    def objects() -> Iterator[dict[str, Any]]:
        for held in held_alerts(connection, wearers, *between):
            listed.append(f"{held.row['id']}: {held.row['rule']}, {held.row['wearer']}")
            yield told_alert(held, container.told, others)

    said = "with every version, what people did, and whom it was sent to; retracted ones too"
    container.lines("alerts/alerts.jsonl", f"Every alert {said}", objects())
    rows = (_row(held, container.told, others) for held in held_alerts(connection, wearers, *between))
    container.table("alerts/alerts.csv", "The alerts as a table, one line each", COLUMNS, rows)
    return listed


def told_alert(held: HeldAlert, told: Told, others: Others) -> dict[str, Any]:
    """Everything held of an alert."""
    parts = {"alert": [held.row], **{name: getattr(held, name) for name in held._fields[1:]}}
    plain = {name: [_plain(told.row(row)) for row in rows] for name, rows in parts.items()}
    found: dict[str, Any] = others.value({**plain.pop("alert")[0], **plain})
    return found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with contents, which are kept as texts of JSON, as what they say; of an address only what kind it is."""
    return {name: _SHOWN[name](value) if name in _SHOWN else value for name, value in row.items()}


def _kind(channel: str) -> str:
    """Of `mail:somebody@somewhere` mail; how somebody was called (`phone`) stays."""
    return channel.partition(":")[0]


def _without_address(text: str) -> str:
    return _ADDRESS.sub("(address)", text)


_SHOWN: Mapping[str, Callable[[str], Any]] = {"content": json_of, "channel": _kind, "error": _without_address}


def _row(held: HeldAlert, told: Told, others: Others) -> tuple[Any, ...]:
    row = _plain(told.row(held.row))
    content: Mapping[str, Any] = row["content"]
    why = content.get("why", {}).get("text", "")
    values = {**content, **row, "versions": len(held.versions), "why": why}
    return tuple(others.value(values.get(name)) for name in COLUMNS)
