"""The web application of the console: pages, API, stream of changes, static files; a folder for each kind of user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tagwatch.console import doors, job_pages, map_data
from tagwatch.console.administrators import routes as administrators
from tagwatch.console.api import routes as api
from tagwatch.console.body_bound import BodyBound
from tagwatch.console.caller import Caller, needs
from tagwatch.console.faults import add_faults
from tagwatch.console.investigators import routes as investigators
from tagwatch.console.managers import routes as managers
from tagwatch.console.office import Here, Office
from tagwatch.console.operators import routes as operators
from tagwatch.console.safety import SafetyHeaders
from tagwatch.health.part import Part, answer

_STATIC = Path(__file__).parent / "static"
_FIRST = (
    ("alerts.handle", "/queue"), ("near.ask", "/near"), ("compliance.read", "/wearers"),
    ("configuration.edit", "/configuration"), ("audit.read", "/audit"), ("wearers.read", "/wearers"),
)  # fmt: skip
"""Where somebody begins: the page of the first operation that the account may use."""

router = APIRouter(include_in_schema=False)


def create_app(office: Office) -> FastAPI:
    """The application for an office; other hosts than those of the settings are refused."""
    app = FastAPI(
        title="Tagwatch", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan,
        telemetry={"operation_spans": False, "logs": False},
    )  # fmt: skip
    app.state.office = office
    app.add_middleware(BodyBound)
    app.add_middleware(SafetyHeaders)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", *office.settings.console.hosts])
    add_faults(app)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for each in (router, doors.router, job_pages.router, map_data.router, *operators.routers, *investigators.routers,
                 *managers.routers, *administrators.routers, *api.routers):  # fmt: skip
        app.include_router(each)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        app.state.office.close()


@router.get("/")
def first(caller: Annotated[Caller, needs("own account")]) -> Response:
    """The page that somebody works with."""
    found = (path for operation, path in _FIRST if caller.may(operation))
    return RedirectResponse(next(found, "/account"), 303)


@router.get("/health/live")
def live(office: Here) -> Response:
    """Whether the server runs, and the service beside it shows signs of life."""
    if office.examiner is None:
        return PlainTextResponse("live")
    return _health("live", office.examiner.live())


@router.get("/health/ready")
def ready(office: Here) -> Response:
    """Whether it can answer: the database is there and has its tables; of a service beside it, whether every part is well."""
    if office.examiner is not None:
        return _health("ready", office.examiner.ready())
    query = "SELECT to_regclass('alert_version') IS NOT NULL AND to_regclass('audit_entry') IS NOT NULL"
    with office.database.reading() as connection:
        row = connection.execute(query).fetchone()
    there = bool(row and row[0])
    return PlainTextResponse("ready" if there else "the database has no tables yet", 200 if there else 503)


def _health(name: str, parts: list[Part]) -> Response:
    status, body = answer(name, parts)
    return Response(body, status, media_type="application/json")
