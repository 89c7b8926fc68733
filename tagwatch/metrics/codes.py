"""The closed sets that labels come from: what is free text in the database becomes one of a few words."""

from __future__ import annotations

import re

from alerts.alert import GRADES
from engine.fixes import OPTIONAL
from ingest.quarantine import CLOSED, POISON

OTHER = "other"
VERSIONS = ("raised", "cleared", "active again", "amended", "retracted", "joined", OTHER)
FIELDS = (
    "topic",
    "device",
    "time",
    "lat",
    "lon",
    *(c.key for c in OPTIONAL),
    "source",
    "seq",
    "event",
    "value",
    "_type",
    "tst",
)
WORDED = {
    "unknown_topic": "unknown topic", "empty": "empty payload", "encrypted": "encrypted: cannot be read",
    "nested": "nested too deeply", "key_twice": "key comes twice", "not_text": "not UTF-8", "not_json": "not JSON",
    "not_messagepack": "not MessagePack", "unknown_form": "neither JSON nor MessagePack", "not_an_object": "not an object",
    "not_a_json_object": "not a JSON object",
}  # fmt: skip
_WHOLE = {POISON: "poison", CLOSED: "closed"}
_ENTRY = re.compile(r"^entry \d+: ")
REASONS = (*_WHOLE.values(), *WORDED, *(f"{how}_{field}" for how in ("missing", "bad") for field in FIELDS), OTHER)
"""Why something is in quarantine."""
RULES = (*GRADES, OTHER)
KINDS = ("terminal", "webhook", "mail", "mqtt", OTHER)


def version_code(reason: str) -> str:
    """What made a version, without what is named after it."""
    if reason.startswith("joined into"):
        return "joined"
    return next((code for code in VERSIONS if reason.startswith(code)), OTHER)


def quarantine_code(reason: str, field: str) -> str:
    """Why a payload was not taken: by the field, else by the reason's own words; whatever the payload says, one of REASONS."""
    if reason in _WHOLE:
        return _WHOLE[reason]
    told = _ENTRY.sub("", reason)
    if field in FIELDS and field not in ("topic", "_type"):
        how = "missing" if told.startswith(f"{field} is missing") else "bad"
        return f"{how}_{field}"
    return next((code for code, words in WORDED.items() if words in told), f"bad_{field}" if field in FIELDS else OTHER)


def one_of(value: str, known: tuple[str, ...]) -> str:
    """The value where it is known, else `other`."""
    return value if value in known else OTHER
