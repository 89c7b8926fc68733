"""Progress bars: on standard error, where a person looks at it, and only once something takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0
"""What is done by then needs no bar."""


@contextmanager
def progress(total: int, what: str, out: str | None) -> Iterator[Callable[[int], None] | None]:
    """Something to tell how many are done by now; None where nobody looks, or where results go to the same screen."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and out is None):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, began = bar.add_task(what, total=total), time.monotonic()

    def tell(n_done: int) -> None:
        bar.update(task, completed=n_done)
        if not bar.live.is_started and time.monotonic() - began > PATIENCE_S:
            bar.start()

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
