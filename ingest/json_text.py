"""JSON read strictly: no NaN or Infinity, no key twice, valid UTF-8; and msgspec's complaints as our errors."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from engine.errors import InputError

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?:\[[^\]]*\])*\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")

_MEANINGS = {"str": "text", "float": "a number", "int": "a whole number", " | null": "", "|": "or"}


def read_json(data: bytes) -> Any:
    """The value of a JSON text; raises InputError with one clear reason, whatever the bytes are."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InputError("not JSON that can be read: nested too deeply") from None
    except InputError:
        raise
    except ValueError as error:  # a whole number of thousands of digits
        raise InputError(f"not JSON that can be read: {str(error)[:120]}") from None


def error_of(error: Exception, document: Any) -> InputError:
    """What msgspec says of a decoded object, with the field, its value and what was expected."""
    text = str(error)
    missing = _MISSING.search(text)
    if missing:
        return InputError("required", field=missing["field"], expected="a value")
    told = _PATH.match(text)
    field, what = (told["field"] or "", told["what"]) if told else ("", text)
    value = document.get(field) if isinstance(document, dict) and field else None
    wanted = what.removeprefix("Expected ").split(", got")[0].replace("`", "") if what.startswith("Expected ") else ""
    for word, meaning in _MEANINGS.items():
        wanted = wanted.replace(word, meaning)
    return InputError("of another type" if wanted else what, field=field, value=value, expected=wanted)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise InputError("the key comes twice", field=twice, value=[value for key, value in pairs if key == twice])
    return out


def _refuse(word: str) -> Any:
    raise InputError(f"not JSON: {word} is no number")
