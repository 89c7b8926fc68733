"""What may stand in a line: the keys that are known, and of each only values that cannot be a name, a place or a secret."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ingest.topics import SUBSCRIPTIONS
from tagwatch.log.events import EVENTS, UNLISTED, code_of
from tagwatch.log.fault import REASONS, fault_of

WITHHELD = "(withheld)"

Check = Callable[[Any], Any]


def _count(value: Any) -> Any:
    """Whole numbers; no latitude is one."""
    return value if isinstance(value, int) and abs(value) < 2**53 else WITHHELD


def _seconds(value: Any) -> Any:
    """Durations, to the millisecond."""
    return round(value, 3) if isinstance(value, (int, float)) and abs(value) < 2**53 else WITHHELD


def _one_of(*words: str) -> Check:
    return lambda value: value if value in words else WITHHELD


def _like(pattern: str) -> Check:
    form = re.compile(pattern)
    return lambda value: value if isinstance(value, str) and form.fullmatch(value) else WITHHELD


_PLACE = r"(?:[\w<>]+ )?\(?[\w.<>-]+\.(?:py|pyx|pyi):\d+\)?"


def _fault(value: Any) -> Any:
    """An exception, told without its words; or text that is its type and place."""
    return fault_of(value) if isinstance(value, BaseException) else _FAULT_TEXT(value)


def _reason(value: Any) -> Any:
    """Of what a broker or TLS said: the first of the known reasons that it holds."""
    known = (reason for reason in (*BROKER_REASONS, *REASONS) if isinstance(value, str) and reason in value)
    return next(known, WITHHELD)


def _topics(value: Any) -> Any:
    """What the service subscribes to; no topic of a tag is among them."""
    return list(value) if isinstance(value, (list, tuple)) and {*value} <= {*SUBSCRIPTIONS} else WITHHELD


BROKER_REASONS = (
    "not authorised", "Not authorized", "bad user name or password", "Bad user name or password", "identifier", "banned",
    "server unavailable", "Server busy", "it refuses the subscription", "refuses our certificate", "wants a certificate",
    "its authority is unknown", "certificate is not accepted", "does not speak TLS", "closed before it answered",
    "the broker closed the connection", "the broker says good-bye", "session taken over", "no memory", "no answer", "timed out",
    "refused",
)  # fmt: skip


_FAULT_TEXT = _like(rf"[A-Z]\w*(?:Error|Exception|Warning|Timeout|Violation) in {_PLACE}|the process died")

PARTS = ("loop", "session", "database", "broker", "backlog", "raw log", "disk", "clock")
"""The parts of a service's health."""

KEYS: Mapping[str, Check] = {
    **dict.fromkeys(
        ("fixes", "wearers", "alerts", "read_again", "to_read", "messages", "devices", "attempts", "number", "n_stale",
         "n_compressed", "erased", "sentences", "deliveries", "zones", "curfews", "proximities", "activations",
         "lines"), _count,
    ),
    **dict.fromkeys(("pause_s", "until_s", "step_s", "offset_s", "bound_s", "took_s"), _seconds),
    **dict.fromkeys(("fault", "error", "trouble", "why"), _fault),
    "kind": _one_of("terminal", "webhook", "mail", "mqtt", "series", "match", "what-if", "conference", "evidence"),
    "state": _one_of("begun", "held", "done", "broken off", "not in force"),
    "part": _one_of(*PARTS),
    "source": _one_of("kernel", "database", "ntp", "tags"),
    "broker": _like(r"[\w.:\[\]-]{1,255}"),  # host and port
    "reason": _reason,
    "topics": _topics,
    "delivery": _like(r"[0-9a-f]{16}(?:-\d+)?\.\d+(?:\.[a-z]+-\d+)?"),  # of an alert's hash and version
    "logger": _like(r"[a-z_][\w.]{0,60}"),
    "place": _like(_PLACE),
    "said": _like(r"[^\n]{0,200}"),  # the words of a library's code, before any value is put into them: see `foreign`
    "thread": _like(r"(?:console|mqtt|upkeep|examiner|metrics|courier-[a-z]+|MainThread)"),
}  # fmt: skip
"""By key, what lets a value through, changed or withheld. Other keys are left out."""


def only_known(_logger: Any, level: str, given: Any) -> Any:
    """The processor: the event's code in front, an event that is not listed without its words, and known keys only."""
    words = given.pop("event", "")
    known = words in EVENTS
    if given.pop("exc_info", None) and "fault" not in given:
        given["fault"] = sys.exc_info()[1]
    kept = {key: KEYS[key](value) for key, value in given.items() if key in KEYS and value is not None}
    return {"level": _LEVELS.get(level, level), "code": code_of(words) if known else UNLISTED.code,
            "event": words if known else WITHHELD, **kept}  # fmt: skip


_LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical", "msg": "info"}
