"""The stream of changes for open consoles, as server-sent events: nothing is missed, and silence is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from alerts.changes import bounds
from tagwatch.access.scope import Scope
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here
from tagwatch.console.operators.hub import Hub, event

HEARTBEAT_S = 5.0
LIFETIME_S = 120.0
"""Then the browser comes back by itself, and who it is and whom it may see is looked up again."""
router = APIRouter(include_in_schema=False)


@router.get("/events")
async def events(
    office: Here, caller: Annotated[Caller, needs("alerts.read")], after: int | None = None,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:  # fmt: skip
    """Changes after a number (from now on where none is told), of the wearers whom the caller may see."""
    loop = asyncio.get_running_loop()
    hub = office.one(Hub, lambda: Hub(office, loop))
    begin = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(stream(hub, caller.scope, begin), media_type="text/event-stream", headers=headers)


@router.get("/events/number")
def number(office: Here, caller: Annotated[Caller, needs("alerts.read")]) -> Response:
    """The number of the newest change: whether the server answers, and whether one is still signed in."""
    with office.database.reading() as connection:
        return JSONResponse({"number": bounds(connection).newest})


async def stream(hub: Hub, scope: Scope, begin: int | None) -> AsyncIterator[bytes]:
    """The frames for one reader, and a heartbeat that says up to which number it has everything.

    There is no heartbeat while the database cannot be asked: silence then shows in every console.
    """
    now_s = asyncio.get_running_loop().time
    beat_s, end_s = now_s(), now_s() + LIFETIME_S
    at = begin
    yield b"retry: 500\n\n"
    while not hub.stopping and now_s() < end_s:
        news = hub.news
        if hub.newest >= 0:
            at = hub.newest if at is None else at
            frames = hub.after(at)
            chunk = [frame.data for frame in frames or () if frame.wearer is not None and scope.holds(frame.wearer)]
            if frames is None:
                chunk = [event("reload", hub.newest, {"number": hub.newest})]
            at = hub.newest
            if now_s() >= beat_s and hub.well:
                chunk.append(event("heartbeat", at, {"number": at, "now_us": hub.office.clock()}))
                beat_s = now_s() + HEARTBEAT_S
            if chunk:
                yield b"".join(chunk)
                continue
        await _either(news, min(beat_s, end_s) - now_s())


async def _either(news: asyncio.Event, wait_s: float) -> None:
    """Wait for news, or until it is time; where a heartbeat is due and the database is away, a little."""
    try:
        await asyncio.wait_for(news.wait(), max(0.1, wait_s))
    except TimeoutError:
        return
