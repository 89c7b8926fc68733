"""Setting up the log of a process: ours, that of libraries, and of what nobody caught; one line each on standard error."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from tagwatch.log.events import LIBRARY, UNCAUGHT
from tagwatch.log.words import only_known

log: Any = structlog.get_logger("tagwatch.log")
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
written: Counter[str] = Counter()
"""How many lines were written since the start, by level."""


def log_to(stream: TextIO, form: str = "text", level: str = "info") -> None:
    """Structured logs from now on, `form` text or json; never positions, names or secrets (see `words`)."""
    structlog.configure(
        processors=[only_known, structlog.processors.TimeStamper(fmt="iso", utc=True), _counted, _renderer(form)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Foreign)]:
        root.removeHandler(old)
    root.addHandler(_Foreign(logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _renderer(form: str) -> Any:
    if form == "json":
        return structlog.processors.JSONRenderer(sort_keys=False)
    return structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "code", "event"])


def _counted(_logger: Any, _method: str, given: Any) -> Any:
    written[given["level"]] += 1
    return {"timestamp": given.pop("timestamp"), **given}


class _Foreign(logging.Handler):
    """What libraries log: who, where, and the constant part of what they say; no value that was put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        said = record.msg if record.args and isinstance(record.msg, str) and "\n" not in record.msg else None
        fault = record.exc_info[1] if record.exc_info else None
        place = f"{Path(record.pathname).name}:{record.lineno}"
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write(LIBRARY, logger=record.name, place=place, said=said, fault=fault)


def _uncaught(kind: type[BaseException], fault: BaseException | None, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical(UNCAUGHT, fault=fault if fault is not None else kind(), thread="MainThread")


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is not SystemExit:
        name = told.thread.name if told.thread is not None else ""
        log.critical(UNCAUGHT, fault=told.exc_value, thread=name)


def _unraisable(told: Any) -> None:
    log.error(UNCAUGHT, fault=told.exc_value)
