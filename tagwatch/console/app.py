"""The web application of the console: one page that keeps itself up to date, pages of single alerts, and a JSON API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from engine.database import Connection
from engine.errors import UnreachableError
from engine.times import Clock, system_clock
from tagwatch.console import records, stream
from tagwatch.console.pages import Pages
from tagwatch.console.safety import SafetyHeaders

HOSTS = ("127.0.0.1", "localhost")
_STATIC = Path(__file__).parent / "static"

Feed = Callable[[], dict[str, Any]]
"""What the running service tells: `wearers`, `messages`, `fixes_stored`, `alerts` (counts); each may be missing."""

Near = Callable[[], "dict[str, Any] | None"]
"""The last answer to "who was near": `question` (text) and `rows` (wearer, verdict, closest_m, coverage, reasons)."""


def create_app(
    database_url: str,
    feed: Feed | None = None,
    clock: Clock = system_clock,
    scene: Mapping[str, Any] | None = None,
    near: Near | None = None,
    hosts: tuple[str, ...] = HOSTS,
) -> FastAPI:
    """The application; it only reads. `scene` holds GeoJSON `streets` and `zones`; other `hosts` are refused."""
    app = FastAPI(title="Tagwatch", docs_url=None, redoc_url=None, telemetry={"operation_spans": False, "logs": False})
    app.state.stopping = stream.Stopping()
    app.add_middleware(SafetyHeaders)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_exception_handler(UnreachableError, _unreachable)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    _add_pages(app, database_url, Pages(scene, feed or dict, near or (lambda: None), clock))
    _add_api(app, database_url)
    _add_events(app, database_url)
    _add_health(app, database_url)
    return app


def _add_pages(app: FastAPI, url: str, pages: Pages) -> None:
    @app.get("/", response_class=HTMLResponse)
    def page() -> HTMLResponse:
        with records.reading(url) as connection:
            return HTMLResponse(pages.whole(connection))

    @app.get("/queue", response_class=HTMLResponse)
    def queue() -> HTMLResponse:
        with records.reading(url) as connection:
            return HTMLResponse(pages.queue(connection))

    @app.get("/scene", response_class=HTMLResponse)
    def scene() -> HTMLResponse:
        with records.reading(url) as connection:
            return HTMLResponse(pages.scene(connection))

    @app.get("/alert/{identifier}", response_class=HTMLResponse)
    def alert(identifier: str) -> HTMLResponse:
        with records.reading(url) as connection:
            text = pages.alert(connection, identifier)
        return HTMLResponse(text or pages.missing(), status_code=200 if text else 404)


def _add_api(app: FastAPI, url: str) -> None:
    @app.get("/api/alerts")
    def alerts(open: bool = False, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000) -> Response:
        """Alerts that are not retracted, newest first; `open=true`: the queue in its order."""
        with records.reading(url) as connection:
            found = records.open_alerts(connection)[:limit] if open else records.all_alerts(connection, limit)
        return _json([alert.to_dict() for alert in found])

    @app.get("/api/alerts/{identifier}")
    def alert(identifier: str) -> Response:
        """One alert with its versions, oldest first."""
        with records.reading(url) as connection:
            found = records.one_alert(connection, identifier)
            steps = records.versions(connection, identifier)
        if found is None:
            return _json({"error": "no alert has this identifier"}, 404)
        return _json({**found.to_dict(), "versions": [step.to_dict() for step in steps]})


def _add_events(app: FastAPI, url: str) -> None:
    stopping: stream.Stopping = app.state.stopping

    @app.get("/events", response_class=EventSourceResponse)
    async def events(
        after: int | None = None, last_event_id: Annotated[str | None, Header()] = None
    ) -> AsyncIterator[ServerSentEvent]:
        """New versions of alerts; goes on after `Last-Event-ID`, else after `after`, else from now on."""
        seen = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else after
        async with aclosing(stream.events(url, seen, stopping)) as found:  # so that its connection goes with the reader
            async for event in found:
                yield event


def _add_health(app: FastAPI, url: str) -> None:
    @app.get("/health/live")
    def live() -> PlainTextResponse:
        return PlainTextResponse("live")

    @app.get("/health/ready")
    def ready() -> PlainTextResponse:
        with records.reading(url) as connection:
            there = _has_tables(connection)
        return PlainTextResponse("ready" if there else "the database has no tables yet", 200 if there else 503)


def _has_tables(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT to_regclass('alert_version') IS NOT NULL AND to_regclass('fix') IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _unreachable(request: Request, fault: Exception) -> Response:
    return PlainTextResponse("the database is not reachable", 503)
