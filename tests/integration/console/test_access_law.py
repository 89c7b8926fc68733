"""Every role against every operation: a route without an entry here fails, so does one that lets in whom it should not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from tagwatch.access.roles import OPERATIONS, ROLES
from tagwatch.console import create_app
from tagwatch.console.caller import Need
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.settings import Settings

PUBLIC = {
    ("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/health/live"), ("GET", "/health/ready"),
    ("GET", "/api/v1/openapi.json"),
}  # fmt: skip
"""What nobody has to be signed in for."""

ENTRIES: dict[tuple[str, str], str] = {
    ("GET", "/"): "own account",
    ("POST", "/sign-out"): "own account",
    ("GET", "/account"): "own account",
    ("POST", "/account/password"): "own account",
    ("GET", "/open"): "wearers.read",
    ("POST", "/open"): "wearers.read",
    ("GET", "/jobs/{identifier}"): "own account",
    ("GET", "/jobs/{identifier}/state"): "own account",
    ("GET", "/jobs/{identifier}/file"): "own account",
}
"""By method and path the operation that is needed, written down once more: who changes a route says so here."""


def routes(app: FastAPI) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path and the operations that each route needs."""
    for route in iter_route_contexts(app.routes):  # included routers are kept as routers
        if isinstance(route.original_route, APIRoute):
            needed = [d.call.operation for d in route.dependant.dependencies if isinstance(d.call, Need)]
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path or "", needed


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Office(Database("postgresql://127.0.0.1:1/none"), Settings()))


def test_every_route_has_one_operation_and_an_entry(app: FastAPI) -> None:
    found = {(method, path): needed for method, path, needed in routes(app)}
    assert {key for key, needed in found.items() if not needed} == PUBLIC & found.keys()
    assert all(len(needed) <= 1 for needed in found.values())
    told = {key: needed[0] for key, needed in found.items() if needed}
    assert told == ENTRIES


def test_every_operation_is_used_and_has_a_role() -> None:
    assert set(ENTRIES.values()) <= OPERATIONS.keys()
    assert all(OPERATIONS.values())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_let_in_where_its_operation_says(role: str, app: FastAPI, signed_in: Callable[[str], Any]) -> None:
    client = signed_in(role.replace(" ", "-"))
    wrong = []
    for method, path, needed in routes(app):
        if not needed or path == "/sign-out":
            continue
        where = re.sub(r"\{[^}]*\}", "1", path)
        told = {"csrf": client.csrf} if method != "GET" else None
        headers = {"x-csrf-token": client.csrf}
        if path.endswith("/events"):
            with client.http.stream("GET", where, headers=headers) as answer:
                status, text = answer.status_code, "" if answer.status_code == 200 else answer.read().decode()
        else:
            answer = client.http.request(method, where, data=told, headers=headers)
            status, text = answer.status_code, answer.text
        refused = status == 403 and "it needs the role" in text
        if refused != (role not in OPERATIONS[needed[0]]) or status >= 500:
            wrong.append((method, where, status))
    assert wrong == []
