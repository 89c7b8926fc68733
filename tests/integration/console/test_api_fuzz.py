"""Whatever a caller sends: no call breaks, every answer is as the contract says, and what the contract forbids is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from engine.database import connect
from tagwatch.console import create_app, serve
from tagwatch.console.api.contract import contract_of
from tagwatch.console.api.limits import Buckets, Limits
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.settings import Settings
from tests.integration.console.api_scene import WHY, fill, make_token

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
FailureGroup = pytest.importorskip("schemathesis.core.failures").FailureGroup
openapi_checks = pytest.importorskip("schemathesis.specs.openapi.checks")

KNOWN: dict[str, dict[str, str]] = {
    "/alerts/{identifier}": {"identifier": "A-k1"}, "/wearers/": {"wearer": "K1"},
    "/crimes/{force}": {"force": "Kent", "reference": "R1"}, "/configuration/{kind}/": {"kind": "zones", "identifier": "Z1"},
}  # fmt: skip
"""By the beginning of a path, what is there."""
UNLIMITED = Limits(Buckets(10**6, 1.0), Buckets(10**6, 1.0))
CHECKS = {"not_a_server_error": schemathesis.checks.not_a_server_error, **vars(openapi_checks)}
REFUSED = "negative_data_rejection"
EVERY = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
)  # fmt: skip
EXAMPLES = {"known": 4, "POSITIVE": 4, "NEGATIVE": 2}
"""By what is sent, how many requests of a call: to what is there, as the contract says, and as it does not say (bodies alone: to make these up
takes long, and wrong parameters are tried by `test_api_contract`)."""
BOUNDS: dict[str, Any] = {
    "deadline": None, "database": None, "derandomize": True, "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip


@pytest.fixture
def contract() -> Any:
    """The contract of the application, as it gives it; who asks is not made up."""
    told = contract_of(create_app(Office(Database("postgresql:///none"), Settings())))
    del told["components"]["securitySchemes"]
    for path in told["paths"].values():
        for call in path.values():
            del call["security"]
    return schemathesis.openapi.from_dict(told)


@pytest.fixture
def caller(url: str, office: Office) -> Iterator[requests.Session]:
    """Somebody who may do and see everything, as often as may be."""
    with connect(url) as connection:
        fill(connection)
    app = create_app(office)
    app.state.office.one(Limits, lambda: UNLIMITED)
    with serve(app) as address, requests.Session() as session:
        session.trust_env = False
        session.headers["authorization"] = f"Bearer {make_token(url, 'every')}"
        session.base_url = address  # type: ignore[attr-defined]
        yield session


@pytest.mark.parametrize("mode", EXAMPLES)
def test_no_call_breaks_and_all_answer_as_the_contract_says(contract: Any, caller: Any, mode: str) -> None:
    wrong = []
    for found in contract.get_all_operations():
        operation = found.ok()
        known = next((ids for path, ids in KNOWN.items() if operation.path.removeprefix("/api/v1").startswith(path)), None)
        if (mode == "known" and known is None) or (mode == "NEGATIVE" and not operation.body):
            continue
        try:
            _try(operation, caller, mode, known if mode == "known" else None)
        except FailureGroup as fault:  # each call is tried, whatever became of the one before
            told = "; ".join(" ".join(str(one).split()) for one in fault.exceptions)
            wrong.append(f"{operation.method.upper()} {operation.path}: {told}")
    assert wrong == []


def _try(operation: Any, caller: Any, mode: str, known: dict[str, str] | None) -> None:
    kind = schemathesis.GenerationMode.NEGATIVE if mode == "NEGATIVE" else schemathesis.GenerationMode.POSITIVE
    checks = [CHECKS[name] for name in EVERY + ((REFUSED,) if mode == "NEGATIVE" else ())]
    strategy = operation.as_strategy(generation_mode=kind, path_parameters=known)

    @settings(max_examples=EXAMPLES[mode], **BOUNDS)
    @given(case=strategy)
    def check(case: Any) -> None:
        if mode == "known" and operation.path.endswith("/fixes"):
            case.headers.update(WHY)
        answer = case.call(base_url=caller.base_url, session=caller, timeout=30)
        case.validate_response(answer, checks=checks)

    with suppress(Unsatisfiable):  # a call that takes nothing cannot be asked wrongly
        check()
