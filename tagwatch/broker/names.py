"""Names that the broker knows somebody by: a part of topics, of file names, of certificates and of its password file."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.errors import InputError

SERVICES = ("tagwatch", "tagwatch-alerts", "tagwatch-monitor")
"""Tagwatch's own: the service, its alerts, and whoever reads the broker's figures."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_EXPECTED = "1 to 64 letters, digits, and . _ @ - after the first: it is a part of topics, where / + # % $ mean something"


def check_name(name: str) -> str:
    """The name of a tag itself, or of an OwnTracks user; InputError where it could mean another's topics, or Tagwatch."""
    if not _NAME.fullmatch(name):
        raise InputError(field="name", value=name, expected=_EXPECTED)
    if name.lower().startswith("tagwatch"):
        raise InputError("is kept for Tagwatch's own", field="name", value=name, expected="a name that begins otherwise")
    return name


def check_service(name: str) -> str:
    """The name of one of Tagwatch's own; InputError where it is none."""
    if name not in SERVICES:
        raise InputError(field="name", value=name, expected=f"one of {', '.join(SERVICES)}")
    return name


def names_of(devices: Iterable[str]) -> list[str]:
    """The names by which devices enter, in order: their own, or of an OwnTracks device (`user/device`) the user.

    InputError where one name would stand for a tag and for an OwnTracks user, who are not the same.
    """
    owner: dict[str, str] = {}
    for device in devices:
        user, slash, rest = device.partition("/")
        name = check_name(user if slash and rest and "/" not in rest else device)
        if ("/" in owner.setdefault(name, device)) != ("/" in device):
            raise InputError(
                f"{owner[name]} would enter by the same name", field="device", value=device, expected="names that differ"
            )
    return list(owner)
