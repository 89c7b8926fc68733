"""Secrets that a settings file names instead of holding: `${NAME}` stands for a file of that name, or an environment variable.

The file is looked for in the folder that CREDENTIALS_DIRECTORY names, as systemd and containers give secrets to a service.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.errors import InputError

FOLDER = "CREDENTIALS_DIRECTORY"
KEYS = (
    "broker.url", "database.url", "database.upkeep_url", "webhook.url", "webhook.secret", "webhook.older_secrets",
    "mail.password", "alerts_mqtt.url",
)  # fmt: skip
"""Settings that are secrets, or hold a password."""
_NAME = re.compile(r"\$\{([^}]*)\}")
_GOOD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def filled_in(value: Any, place: str, key: str = "") -> Any:
    """A settings file's content with every `${NAME}` replaced, percent-encoded within URLs. InputError names the key."""
    if isinstance(value, Mapping):
        return {name: filled_in(one, place, f"{key}.{name}" if key else str(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, place, key) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    is_url = "://" in value

    def secret(match: re.Match[str]) -> str:
        found = _read(match[1], place, key)
        return quote(found, safe="") if is_url and match[0] != value else found

    return _NAME.sub(secret, value)


def holds(key: str) -> bool:
    """Whether what a settings file says under a key, or under all of a part, may be a secret: it is not to be shown."""
    return any(one.startswith(key) or key.startswith(one) for one in KEYS)


def _read(name: str, place: str, key: str) -> str:
    folder = os.environ.get(FOLDER)
    if not _GOOD.fullmatch(name):
        raise InputError(place=place, field=key, value=name, expected="${NAME}: letters, digits, _ . -")
    path = Path(folder) / name if folder else None
    if path is not None and path.is_file():
        try:
            return path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as fault:
            why = f"the file of ${{{name}}} cannot be read: {type(fault).__name__}"
            raise InputError(why, place=place, field=key) from None
    if name in os.environ:
        return os.environ[name]
    where = f"a file {name} in {folder}, or " if folder else ""
    raise InputError(place=place, field=key, value=f"${{{name}}}", expected=f"{where}an environment variable {name}")
