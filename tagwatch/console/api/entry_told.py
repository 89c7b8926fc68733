"""How entries of the configuration are told."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from engine.times import to_iso
from geofence.store import Held
from geofence.zone import FAR_US
from tagwatch.console.api.values import Iso, Told


class EntryVersion(Told):
    """A version and for which instants it holds; null from the beginning, until further notice, and where it was ended."""

    from_: Iso | None = Field(alias="from")
    to: Iso | None
    content: dict[str, Any] | None


class Entry(Told):
    """An entry of the configuration as the files of its kind have it; `mark` is its ETag."""

    id: str
    mark: str
    content: dict[str, Any]


class EntryWhole(Entry):
    """An entry with every version that holds, oldest first."""

    versions: list[EntryVersion]


class Written(Told):
    """What came of a change; the mark is empty where the entry has been ended."""

    id: str
    mark: str
    new: int
    changed: int
    same: int
    removed: int


def version_of(one: Held) -> EntryVersion:
    """A version as it is told."""
    start = None if one.from_us == -FAR_US else to_iso(one.from_us)
    end = None if one.to_us == FAR_US else to_iso(one.to_us)
    return EntryVersion(from_=start, to=end, content=one.content)
