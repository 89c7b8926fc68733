"""Kernels: compiled, kept, and working."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tagwatch.doctor.finding import OK, Finding


def examine() -> Iterator[Finding]:
    """Compile what is not compiled yet, and run each once."""
    from tagwatch.warm import warm

    began_s = time.perf_counter()
    warm()
    yield Finding("kernels", OK, f"compiled and ready in {time.perf_counter() - began_s:.1f} s")
