"""The contract of the API: readable by everybody, about calls alone; what every call has in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from engine.database import connect
from tagwatch.access.roles import OPERATIONS
from tests.integration.console.api_scene import WHY, client_of, fill, make_token


@pytest.fixture
def client(url: str, address: str) -> Iterator[httpx.Client]:
    """Somebody who may do and see everything."""
    with connect(url) as connection:
        fill(connection)
    with client_of(address, make_token(url, "every")) as found:
        yield found


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer tells."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["type"]
    return told


def test_the_contract_is_open_and_tells_of_calls_alone(address: str) -> None:
    answer = httpx.get(f"{address}/api/v1/openapi.json", trust_env=False, timeout=90)
    contract = answer.json()
    assert contract["openapi"].startswith("3.1")
    assert contract["info"]["version"]
    assert all(path.startswith("/api/v1/") for path in contract["paths"])
    calls = [call for path in contract["paths"].values() for call in path.values()]
    identifiers = [call["operationId"] for call in calls]
    assert len(set(identifiers)) == len(identifiers) >= 40
    for call in calls:
        assert call["summary"]
        if call["operationId"] == "get_contract":
            assert call["security"] == []
            continue
        assert call["x-operation"] in OPERATIONS
        assert {"token": []} in call["security"]
        assert "application/problem+json" in str(call["responses"]) or "Problem422" in str(call["responses"])
    assert "HTTPValidationError" not in str(contract["paths"])
    again = httpx.get(
        f"{address}/api/v1/openapi.json", headers={"if-none-match": answer.headers["etag"]}, trust_env=False, timeout=90
    )
    assert (again.status_code, again.content) == (304, b"")


NEAR = {
    "lat": 51.27123, "lon": 0.52345, "from": "2026-03-01T08:30:00Z", "to": "2026-03-01T08:45:00Z", "reason": "r", "case_ref": "c",
}  # fmt: skip
JSON = {"content-type": "application/json"}
GETS = [
    "account", "tokens", "alerts", "alerts/A-k1", "queue", "changes", "figures?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z",
    "wearers", "wearers/K1", "compliance?from=2026-02-27&to=2026-03-01", "wearers/K1/compliance?from=2026-02-27&to=2026-03-01",
    "crimes", "crimes/Kent/R1", "runs", "configuration/zones", "configuration/zones/Z1", "configuration/curfews/C1",
    "configuration/wearers/K1", "configuration/teams/TEAM", "configuration/activations", "configuration/proximities", "audit",
]  # fmt: skip


def test_what_can_be_read_is_read_known_and_asked_for_without_its_body(client: httpx.Client) -> None:
    for path in GETS:
        _read_in_all_ways(client, path)


def _read_in_all_ways(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "ratelimit" in answer.headers
    if path not in ("audit", "tokens"):  # that they are asked for stands in them
        known = client.get(path, headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
        assert (known.status_code, known.content) == (304, b"")
        assert client.get(path, headers={"if-none-match": '"other"'}).content == answer.content
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_options_and_methods_that_are_not_there_tell_which_are(client: httpx.Client) -> None:
    answer = client.options("configuration/zones/Z1")
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
    refused = client.patch("configuration/zones/Z1")
    problem(refused, 405)
    assert refused.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert client.options("tokens").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    problem(client.get("nothing"), 404)


WRONG = [
        ("alerts?colour=red", "colour"), ("alerts?limit=1&limit=2", "limit"), ("alerts?limit=0", "limit"),
        ("alerts?limit=many", "limit"), ("alerts?grade=worst", "grade"), ("alerts?after=nonsense", "after"),
        ("alerts?after=WyJhIl0", "after"), ("alerts?since=2026-03-01T00:00:00", "since"), ("alerts?since=1772323200", "since"),
        ("alerts?since=1066-10-14T00:00:00Z", "since"), ("alerts?wearer=%00", "wearer"), ("figures?from=2026-03-01T00:00:00Z", "to"),
        ("figures?from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "to"), ("changes?after=-1", "after"),
        ("compliance?from=2026-02-30&to=2026-03-01", "from"), ("compliance?from=2026-03-02&to=2026-03-01", "to"),
        ("wearers/K1/fixes?from=2026-03-01T00:00:00Z&to=2026-02-01T00:00:00Z", "to"), ("crimes?new=perhaps", "new"),
        ("crimes?import=99999999999999999999", "import"),
    ]  # fmt: skip


def test_a_wrong_parameter_is_named_with_its_value_and_what_was_expected(client: httpx.Client) -> None:
    for path, field in WRONG:
        told = problem(client.get(path, headers=WHY), 422)
        assert (told["field"], bool(told["expected"]), "value" in told) == (field, True, True), told


def test_a_wrong_body_is_named_part_by_part(client: httpx.Client) -> None:
    told = problem(client.post("near", json={"lat": 91, "lon": 0, "from": "yesterday", "reason": "r", "extra": 1}), 422)
    assert [(one["field"], one["value"]) for one in told["faults"]] == [
        ("lat", 91), ("from", "yesterday"), ("to", None), ("case_ref", None), ("extra", 1)
    ]  # fmt: skip
    for name in ("reason", "case_ref"):
        assert problem(client.post("near", json=NEAR | {name: "  "}), 422)["field"] == name
    for value in (True, "5", None, [5]):
        assert problem(client.post("near", json=NEAR | {"uncertainty_m": value}), 422)["field"] == "uncertainty_m"
    assert client.post("near", json=NEAR | {"uncertainty_m": 5}).status_code == 200
    assert "offset" in told["faults"][1]["expected"]
    assert problem(client.post("near", content=b"{", headers=JSON), 422)["field"] == "body"
    problem(client.post("near", content=b'{"lat": "\xff"}', headers=JSON), 400)
    problem(client.post("near", content=b"[" * 100_000, headers=JSON), 400)
    problem(client.post("near", content=b'{"lat": ' + b"1" * 5_000 + b"}", headers=JSON), 400)
    assert problem(client.post("near", content=b'{"lat": NaN, "lon": Infinity}', headers=JSON), 422)["field"] == "lat"
    problem(client.post("near", content=b"lat=1", headers={"content-type": "text/plain"}), 422)
    assert problem(client.post("near", content=b'{"lat": "\\ud800"}', headers=JSON), 422)["field"] == "lat"


def test_too_long_a_body_is_refused_with_and_without_its_length(client: httpx.Client) -> None:
    problem(client.post("near", content=b" " * 1_000_001, headers=JSON), 413)
    parts = (b" " * 100_000 for _ in range(3))
    problem(client.post("near", content=parts, headers=JSON), 411)
    problem(client.post("crimes", content=b"x", headers={"content-type": "text/html"}), 415)
