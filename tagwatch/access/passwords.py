"""Passwords: argon2id, as its library recommends; long rather than intricate."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from engine.errors import InputError

LEAST, MOST = 12, 200
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("nobody has this password")


def hash_password(password: str) -> str:
    """What is stored of a password. InputError where it is too short, too long, or one sign again and again."""
    if not LEAST <= len(password) <= MOST or len(set(password)) < 5:
        raise InputError(
            field="password", value=f"{len(password)} characters",
            expected=f"{LEAST} to {MOST} characters, five of them different: three words do well",
        )  # fmt: skip
    return _HASHER.hash(password)


def make_password() -> str:
    """A random password of five groups, to be shown once: about 100 bits."""
    return "-".join("".join(secrets.choice(_SIGNS) for _ in range(4)) for _ in range(5))


def is_right(stored: str | None, password: str) -> bool:
    """Whether this is the password; takes as long where there is no such account."""
    try:
        return _HASHER.verify(stored or _NOBODY, password[: MOST + 1]) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False
