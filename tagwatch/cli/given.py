"""What a file of configuration gives, for the commands; what the console does too is beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tagwatch.configuration_files import SINGULAR, WITH_VERSIONS, put, read, refuse_in_use, refuse_strangers

__all__ = ["SINGULAR", "WITH_VERSIONS", "put", "read", "refuse_in_use", "refuse_strangers", "said"]


def said(kind: str, content: Any, zones: Sequence[Any], at_us: int) -> Iterator[str]:
    """What is worth saying of zones or curfews that are right as written."""
    from tagwatch.configuration_remarks import said

    yield from said(kind, content, zones, at_us)
