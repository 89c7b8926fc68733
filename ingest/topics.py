"""Topics: which dialect a topic speaks, and the device that it names."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from engine.errors import InputError
from ingest.fix_checks import check_device

FIXES, EVENTS, OWNTRACKS, OWNTRACKS_OTHER, REFUSED = "fixes", "events", "owntracks", "owntracks other", "refused"
SUBSCRIPTIONS = ("tags/+/fixes", "tags/+/events", "owntracks/+/+", "owntracks/+/+/event")
"""What the service subscribes to."""

_SUFFIXES = ("event", "cmd", "waypoint", "waypoints", "status", "beacon", "step", "dump", "info")


class Route(NamedTuple):
    """What a topic says: kind of payload, device, and where it is REFUSED the error."""

    kind: str
    device: str
    error: InputError | None = None


def route_of(topic: str) -> Route:
    """The route of a topic; never raises: an unknown topic is REFUSED with its reason."""
    try:
        return _known_route(topic)
    except InputError as error:
        return Route(REFUSED, "", error)


@lru_cache(maxsize=200_000)
def _known_route(topic: str) -> Route:
    """The route of a topic that is taken: no other is remembered, for it may be as long as its sender likes."""
    kind, device = _kind_and_device(topic.split("/"))
    if kind == REFUSED:
        wanted = "tags/<device>/fixes, tags/<device>/events or owntracks/<user>/<device>"
        raise InputError("unknown topic", field="topic", value=topic, expected=wanted)
    for part in device.split("/"):
        check_device(part)
        _refuse_wildcards(part)
    return Route(kind, check_device(device))


def _refuse_wildcards(part: str) -> None:
    """No broker lets such a topic pass; whoever answered on it would be thrown out by the broker."""
    if "+" in part or "#" in part:
        raise InputError("has a wildcard of MQTT", field="device", value=part, expected="a device name without + and #")


def _kind_and_device(parts: list[str]) -> tuple[str, str]:
    if len(parts) == 3 and parts[0] == "tags" and parts[2] in (FIXES, EVENTS):
        return parts[2], parts[1]
    if parts[0] == "owntracks" and len(parts) == 3:
        return OWNTRACKS, f"{parts[1]}/{parts[2]}"
    if parts[0] == "owntracks" and len(parts) == 4 and parts[3] in _SUFFIXES:
        return OWNTRACKS_OTHER, f"{parts[1]}/{parts[2]}"
    return REFUSED, ""
