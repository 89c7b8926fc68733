"""An exception as it may be logged: what it is and where, never what it says. PostgreSQL's DETAIL holds whole rows."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import psycopg

REASONS = (
    "Connection refused", "password authentication failed", "no password supplied", "does not exist", "starting up",
    "shutting down", "too many clients", "too many connections", "timeout expired", "could not translate host name",
    "No route to host", "Network is unreachable", "terminating connection", "server closed the connection",
    "connection is closed", "certificate verify failed", "SSL", "no pg_hba.conf entry", "recovery mode",
    "No space left on device", "statement timeout", "deadlock detected", "permission denied", "read-only",
)  # fmt: skip
"""What is told of what a server said: the first of these that it holds."""
_MOST_CAUSES = 3


def fault_of(fault: BaseException) -> str:
    """Type, SQLSTATE or error number, a known reason, place; then the same of what caused it."""
    told = [_one(fault)]
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    while cause is not None and len(told) < _MOST_CAUSES:
        told.append(_one(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " from ".join(told)


def _one(fault: BaseException) -> str:
    kind = type(fault)
    parts = [kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__name__}"]
    if isinstance(fault, psycopg.Error) and fault.sqlstate:
        parts.append(fault.sqlstate)
    if isinstance(fault, OSError) and fault.errno is not None and fault.errno in errno.errorcode:
        parts.append(errno.errorcode[fault.errno])
    if reason := _reason(fault):
        parts.append(f"({reason})")
    if frames := traceback.extract_tb(fault.__traceback__):
        parts.append(f"in {frames[-1].name} ({Path(frames[-1].filename).name}:{frames[-1].lineno})")
    return " ".join(parts)


def _reason(fault: BaseException) -> str:
    """Only of what servers and the system say: there a name cannot be mistaken for a reason, it is taken from our list."""
    text = str(fault)
    return next((reason for reason in REASONS if reason in text), "")
