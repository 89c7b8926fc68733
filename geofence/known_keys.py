"""Keys that nobody knows are slips of the pen: a date under `valid_form` must not be passed over in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from engine.errors import InputError


def refuse_unknown(row: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """InputError for the first key that is not known, with the one that may have been meant."""
    for key in row:
        if key not in known:
            value = "null" if row[key] is None else row[key]
            expected = near(key, known) or ", ".join(known)
            raise InputError(f"is no key of {what}", field=str(key), value=value, expected=expected)


def near(key: object, known: Iterable[str]) -> str:
    """The known key that this one is nearly, or an empty text."""
    text = str(key).strip().lower().replace("-", "_").replace(" ", "_")
    found = get_close_matches(text, list(known), n=1, cutoff=0.75)
    return found[0] if found else ""
