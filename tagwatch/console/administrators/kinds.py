"""The kinds of configuration: what each is called, and whom an entry of it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import HTTPException

from engine.activations import Activations

EVERYBODY = "*"


class Kind(NamedTuple):
    """One kind: `name` as the database calls it, `plural` as the commands do; versioned ones say when they hold."""

    name: str
    plural: str
    title: str
    about: str
    versioned: bool = False
    form: str = "json"


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("wearer", "wearers", "Wearers", "who wears a tag, for which force, scheme and cohort", form="csv"),
        Kind("team", "teams", "Teams", "who is told about a wearer's alerts, on which channel and when"),
        Kind("activation", "activations", "Activations", "which device is on which wearer, from when to when", form="csv"),
        Kind("zone", "zones", "Zones", "where wearers must not be, or must stay", True),
        Kind("curfew", "curfews", "Curfews", "when a wearer must be at a place", True),
        Kind("proximity", "proximities", "Proximities", "whom a wearer must keep away from", True),
    )
}  # fmt: skip


def kind_of(plural: str) -> Kind:
    """The kind that a path names; 404 where there is none."""
    if plural not in KINDS:
        raise HTTPException(404, f"there is no configuration called {plural[:40]!r}")
    return KINDS[plural]


def wearers_of(kind: Kind, name: str, content: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Whom an entry is about; EVERYBODY alone for all. Of a team nobody by itself: wearers name their team."""
    if kind.name == "wearer":
        return (name,)
    if content is None or kind.name == "team":
        return ()
    if kind.name == "zone":
        wearers = content["properties"].get("wearers")
        return (EVERYBODY,) if wearers == EVERYBODY else tuple(wearers or ())
    if kind.name == "proximity":
        return (content["wearer"], content["protected"])
    return (content["wearer"],)


def zones_named(curfew: Mapping[str, Any]) -> set[str]:
    """The zones that the places of a curfew name."""
    places = curfew.get("place") or []
    return {place["zone"] for place in (places if isinstance(places, list) else [places]) if "zone" in place}


def rows_of(kind: Kind, content: Any) -> list[tuple[str, Any]]:
    """The entries of what a file gives, as (id, content); removals have no content."""
    from tagwatch.configuration import activation_rows

    if content is None:
        return []
    if isinstance(content, Activations):
        return list(activation_rows(content).items())
    if kind.name == "wearer":
        return [(row.wearer, row._asdict()) for row in content]
    if kind.name == "zone":
        return [(f["properties"]["id"], None if f["properties"].get("removed") else f) for f in content["features"]]
    return [(row["id"], None if row.get("removed") else row) for row in content]


def file_of(kind: Kind, rows: Sequence[Any]) -> Any:
    """Contents as the file that would give them (wearers and activations: what their readers give)."""
    from engine.wearers import Wearer
    from tagwatch.configuration import activation_of

    if kind.name == "wearer":
        return [Wearer(**row) for row in rows]
    if kind.name == "activation":
        return Activations(activation_of(row) for row in rows)
    if kind.name == "zone":
        return {"type": "FeatureCollection", "features": list(rows)}
    return list(rows)
