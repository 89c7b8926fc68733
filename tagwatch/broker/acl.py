"""Access rules for Mosquitto: a tag speaks of itself and hears of itself; Tagwatch's own each do their one thing."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import InputError
from ingest.topics import SUBSCRIPTIONS

ALERTS = ("alerts/#",)
_DOCTORS = ("$SYS/broker/version", "$SYS/broker/publish/messages/dropped")  # what `tagwatch doctor` looks at

TAGS = """\
# Written by `tagwatch broker acl`. For listeners of tags: %u is the name in the certificate, or the user of the password.
pattern write tags/%u/fixes
pattern write tags/%u/events
pattern read tags/%u/stored
# OwnTracks: the user owns all devices under its name. Tagwatch hears positions and events; a phone that may not say the rest
# would be disconnected each time.
pattern write owntracks/%u/#
"""


def services_acl(alerts: Sequence[str] = ALERTS) -> str:
    """The rules of the listener of Tagwatch's own; `alerts`: topics that alerts are published to."""
    lines = [
        "# Written by `tagwatch broker acl`. For the listener of Tagwatch's own, which no tag reaches.",
        "user tagwatch",
    ]
    lines += [f"topic read {topic}" for topic in SUBSCRIPTIONS]
    lines += ["topic write tags/+/stored", *(f"topic read {topic}" for topic in _DOCTORS), "", "user tagwatch-alerts"]
    lines += [f"topic write {_checked(topic)}" for topic in alerts]
    lines += ["", "user tagwatch-monitor", "topic read $SYS/#", ""]
    return "\n".join(lines)


def _checked(topic: str) -> str:
    """The topic itself; InputError for one that is none, or that would let alerts pose as tags or as Tagwatch."""
    levels = topic.split("/")
    wild = any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels) or "#" in levels[:-1]
    if not topic.isprintable() or topic != topic.strip() or not topic or wild:
        raise InputError(field="--alerts", value=topic, expected="a topic such as alerts/#")
    if levels[0] in ("tags", "owntracks", "+", "#") or topic.startswith("$"):
        raise InputError(
            "is not for alerts", field="--alerts", value=topic, expected="a topic of their own, such as alerts/#"
        )
    return topic
