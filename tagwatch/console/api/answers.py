"""Answers: a model as JSON with a name for its content (ETag), nothing where the caller has it already; and pages of lists."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from engine.errors import InputError
from tagwatch.console.api.values import Told

T = TypeVar("T")
CACHE = "private, no-store"
MOST = 500
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]
After = Annotated[str, Query(max_length=1000, description="`next` of the page before; empty for the first page")]


class Page(Told, Generic[T]):
    """Some rows of a list, and where the rest begins."""

    items: list[T]
    next: str | None = Field(description="For the parameter `after` of the next page; null where there is no more")


def told(request: Request, content: BaseModel, *, status: int = 200, tag: str = "") -> Response:
    """A model as JSON. Its ETag is `tag`, else the hash of its bytes; 304 where the caller says that it has it."""
    return tagged(request, content.model_dump_json(by_alias=True).encode(), status=status, tag=tag)


def tagged(request: Request, body: bytes, *, status: int = 200, tag: str = "") -> Response:
    """JSON that is written already, as `told` answers it."""
    name = f'"{tag or sha256(body).hexdigest()[:32]}"'
    given = {"etag": name, "cache-control": CACHE}
    if request.method == "GET" and _has(request.headers.get("if-none-match", ""), name):
        return Response(status_code=304, headers=given)
    return Response(body, status, given, "application/json")


def told_page(
    request: Request, kind: type[Page[Any]], rows: Sequence[Any], limit: int, key_of: Callable[[Any], Sequence[Any]],
    tell: Callable[[Sequence[Any]], Sequence[Any]],
) -> Response:  # fmt: skip
    """A page of a list. rows: those after the cursor, one more than the limit where there is more; key_of: what orders them."""
    here = rows[:limit]
    next_ = cursor(key_of(here[-1])) if len(rows) > limit else None
    return told(request, kind(items=list(tell(here)), next=next_))


def cursor(key: Sequence[Any]) -> str:
    """A key as a caller may hold it; what is in it is nobody's business."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def read_cursor(after: str, *kinds: type) -> tuple[Any, ...] | None:
    """The key in a cursor, of these kinds; None for the first page. InputError where it is none of ours."""
    if not after:
        return None
    try:
        data = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
        key: tuple[Any, ...] = msgspec.json.decode(data, type=tuple[kinds])  # type: ignore[valid-type]
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        key = ()
    if not key or any("\0" in part if isinstance(part, str) else abs(part) > 2**62 for part in key):
        raise InputError(field="after", value=after, expected="`next` of a page of this list")
    return key


def after_key(
    rows: Sequence[T], key: tuple[Any, ...] | None, key_of: Callable[[T], tuple[Any, ...]], limit: int
) -> list[T]:
    """Of rows in the order of their keys, those after a key: one more than the limit where there are."""
    rest = (row for row in rows if key is None or key_of(row) > key)
    return [row for row, _ in zip(rest, range(limit + 1), strict=False)]


def _has(given: str, name: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return name in tags or "*" in tags
