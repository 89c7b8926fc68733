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

TABLE = """
alerts.figures:
    /api/v1/figures GET
    /figures GET
    /figures/dead-letters GET POST
alerts.handle:
    /alerts/{identifier}/acknowledge POST
    /alerts/{identifier}/assign POST
    /alerts/{identifier}/close POST
    /alerts/{identifier}/escalate POST
    /alerts/{identifier}/reopen POST
    /alerts/{identifier}/unshelve POST
    /api/v1/alerts/{identifier}/acknowledge POST
    /api/v1/alerts/{identifier}/assign POST
    /api/v1/alerts/{identifier}/close POST
    /api/v1/alerts/{identifier}/escalate POST
    /api/v1/alerts/{identifier}/reopen POST
    /api/v1/alerts/{identifier}/unshelve POST
    /handover GET
alerts.note:
    /alerts/{identifier}/contact POST
    /alerts/{identifier}/note POST
    /api/v1/alerts/{identifier}/contact POST
    /api/v1/alerts/{identifier}/note POST
alerts.read:
    /alerts/{identifier} GET
    /alerts/{identifier}/map.json GET
    /api/v1/alerts GET
    /api/v1/alerts/{identifier} GET
    /api/v1/changes GET
    /api/v1/queue GET
    /events GET
    /events/number GET
    /queue GET
    /queue/list GET
    /queue/under/{identifier} GET
alerts.shelve:
    /alerts/{identifier}/shelve POST
    /api/v1/alerts/{identifier}/shelve POST
audit.read:
    /api/v1/audit GET
    /audit GET
    /audit/export GET
    /audit/verify POST
compliance.read:
    /api/v1/compliance GET
    /api/v1/wearers/{wearer:path}/compliance GET
    /conference GET
    /conference.csv GET
    /conference.pdf GET
    /conference/work POST
    /wearers-nights.json GET
configuration.edit:
    /api/v1/configuration/{kind}/{identifier:path} DELETE PUT
    /configuration/drafts/{identifier} GET
    /configuration/drafts/{identifier}/map.json GET
    /configuration/drafts/{identifier}/save POST
    /configuration/drafts/{identifier}/what-if POST
    /configuration/{plural}/edit GET POST
    /configuration/{plural}/end GET POST
    /configuration/{plural}/import GET POST
    /configuration/{plural}/preview.json POST
configuration.read:
    /api/v1/configuration/{kind} GET
    /api/v1/configuration/{kind}/{identifier:path} GET
    /configuration GET
    /configuration/devices GET
    /configuration/{plural} GET
    /configuration/{plural}/entry GET
    /configuration/{plural}/export GET
    /configuration/{plural}/map.json GET
crimes.import:
    /api/v1/crimes POST
    /crimes/import GET POST
    /crimes/import/{number} GET POST
    /crimes/import/{number}/faults.csv GET
crimes.read:
    /api/v1/crimes GET
    /api/v1/crimes/{force}/{reference:path} GET
    /crimes GET
    /crimes/one GET
evidence.build:
    /api/v1/evidence POST
    /evidence GET POST
    /evidence/verify GET POST
ingest.read:
    /ingest GET
matches.read:
    /api/v1/runs GET
    /api/v1/runs/{identifier} GET
    /api/v1/runs/{identifier}/matches GET
    /matches GET
    /matches/{run_id} GET
    /matches/{run_id}/crime GET
    /matches/{run_id}/crime/map.json GET
    /matches/{run_id}/file.{form} GET
    /matches/{run_id}/series GET
matches.run:
    /api/v1/runs POST
    /matches/new GET POST
    /matches/{run_id}/series POST
near.ask:
    /api/v1/near POST
    /near GET POST
    /near/place POST
    /near/{number} GET
    /near/{number}/file.{form} GET
    /near/{number}/map.json GET
own account:
    / GET
    /account GET
    /account/password POST
    /account/tokens GET POST
    /account/tokens/{identifier}/revoke POST
    /api/v1/account GET
    /api/v1/jobs/{identifier} GET
    /api/v1/jobs/{identifier}/file GET
    /api/v1/tokens GET POST
    /api/v1/tokens/{identifier} DELETE
    /jobs/{identifier} GET
    /jobs/{identifier}/file GET
    /jobs/{identifier}/state GET
    /map/base.json GET
    /map/base.pmtiles GET
    /map/tiles/{z}/{x}/{y} GET
    /sign-out POST
trails.read:
    /api/v1/wearers/{wearer:path}/fixes GET
    /wearers/{wearer:path}/trail GET
    /wearers/{wearer:path}/trail.csv GET
    /wearers/{wearer:path}/trail.geojson GET
    /wearers/{wearer:path}/trail.json GET
users.edit:
    /users GET
    /users/add GET POST
    /users/{identifier} GET
    /users/{identifier}/change POST
    /users/{identifier}/disable POST
    /users/{identifier}/enable POST
    /users/{identifier}/grants POST
    /users/{identifier}/grants/{number}/end POST
    /users/{identifier}/password POST
    /users/{identifier}/tokens/{token}/revoke POST
wearers.read:
    /api/v1/wearers GET
    /api/v1/wearers/{wearer:path} GET
    /open GET POST
    /wearers GET
    /wearers/{wearer:path} GET
"""
"""By operation the paths and methods that need it, written down once more: who changes a route says so here."""


def entries() -> dict[tuple[str, str], str]:
    """The table by method and path."""
    found, operation = {}, ""
    for line in TABLE.strip().splitlines():
        if not line.startswith(" "):
            operation = line.rstrip(":")
            continue
        path, *methods = line.split()
        found |= {(method, path): operation for method in methods}
    return found


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
    assert told == entries()


def test_every_operation_is_used_and_has_a_role() -> None:
    assert set(entries().values()) == OPERATIONS.keys()
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
