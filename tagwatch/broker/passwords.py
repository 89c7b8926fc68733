"""Lines of Mosquitto's password file, as mosquitto_passwd writes them: PBKDF2 with SHA-512."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode

_ROUNDS = 101
"""As mosquitto_passwd has it. The broker's one thread works through them at each connection; what protects these passwords is
that they are random, 192 bits, and not chosen by anybody."""


def make_password() -> str:
    """A random password of 32 signs."""
    return secrets.token_urlsafe(24)


def hashed_line(name: str, password: str, salt: bytes | None = None) -> str:
    """The line for a user: name:$7$rounds$salt$hash."""
    salt = salt or secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"{name}:$7${_ROUNDS}${b64encode(salt).decode()}${b64encode(digest).decode()}"
