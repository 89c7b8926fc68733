"""Who may call what: tokens with their scopes and ends, sessions, forces, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from engine.database import connect
from engine.times import DAY_US, system_clock
from tagwatch.access import accounts, audit, tokens
from tagwatch.access.roles import OPERATIONS
from tagwatch.console import create_app, serve
from tagwatch.console.api.limits import Buckets, Limits
from tagwatch.console.office import Office
from tests.integration.console.api_scene import WHY, client_of, fill, make_token
from tests.integration.console.conftest import Client
from tests.integration.console.test_api_contract import problem

SPAN = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"


@pytest.fixture(autouse=True)
def scene(url: str) -> None:
    """Alerts, crimes and wearers of Kent and of Essex."""
    with connect(url) as connection:
        fill(connection)


@pytest.fixture
def kent(url: str, address: str) -> Iterator[httpx.Client]:
    """Somebody of Kent with every role."""
    with client_of(address, make_token(url, "kent")) as found:
        yield found


def test_a_token_does_what_its_scopes_say_and_no_more(url: str, address: str) -> None:
    with client_of(address, make_token(url, "every", ["alerts.read"])) as client:
        assert client.get("alerts").status_code == 200
        for path in ("account", "wearers", "crimes", "audit", f"wearers/K1/fixes?{SPAN}"):
            assert "other operations" in problem(client.get(path, headers=WHY), 403)["detail"]
        problem(client.post("alerts/A-k1/acknowledge", json={"upon": "1.0"}), 403)
    with pytest.raises(ValueError, match="operations that this account may use"):
        make_token(url, "operator", ["crimes.read"])
    with client_of(address, make_token(url, "every")) as client:
        told = client.get("account").json()
        assert (told["login"], told["forces"], set(told["operations"])) == ("every", ["*"], set(OPERATIONS))


def test_an_unknown_a_revoked_and_a_past_token_are_refused_alike(url: str, address: str) -> None:
    revoked = make_token(url, "every")
    with client_of(address, revoked) as client:
        [one] = client.get("tokens").json()["items"]
        assert revoked not in client.get("tokens").text
        assert client.delete(f"tokens/{one['id']}").status_code == 204
    past = make_token(url, "every", now_us=system_clock() - 2 * DAY_US)
    disabled = make_token(url, "operator", ["alerts.read"])
    with connect(url) as connection:
        account = accounts.account_of(connection, "operator")
        assert account is not None
        accounts.disable(connection, account.id, system_clock())
    details = set()
    for token in (revoked, past, disabled, "tw_nobody", "x"):
        with client_of(address, token) as client:
            answer = client.get("alerts")
            details.add(problem(answer, 401)["detail"])
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert len(details) == 1
    problem(httpx.get(f"{address}/api/v1/alerts", trust_env=False, timeout=90), 401)
    basic = httpx.get(f"{address}/api/v1/alerts", auth=("every", "three small words"), trust_env=False, timeout=90)
    problem(basic, 401)


def test_a_token_makes_no_tokens_and_a_session_does(url: str, signed_in: Callable[[str], Client]) -> None:
    somebody = signed_in("operator")
    asked = {"name": "for the wall", "scopes": ["alerts.read"], "days": 3}
    path = "/api/v1/tokens"
    problem(somebody.http.post(path, json=asked), 403)  # without the session's word
    problem(somebody.http.post(path, json=asked, headers={"x-csrf-token": "wrong"}), 403)
    elsewhere = {"x-csrf-token": somebody.csrf, "origin": "https://elsewhere.example"}
    problem(somebody.http.post(path, json=asked, headers=elsewhere), 403)
    word = {"x-csrf-token": somebody.csrf}
    problem(somebody.http.post(path, json={**asked, "scopes": ["audit.read"]}, headers=word), 422)
    made = somebody.http.post(path, json=asked, headers=word)
    assert made.status_code == 201
    with client_of(str(somebody.http.base_url), made.json()["token"]) as client:
        assert client.get("alerts").status_code == 200
    with client_of(str(somebody.http.base_url), make_token(url, "every")) as client:
        assert "session" in problem(client.post("tokens", json=asked), 403)["detail"]


def test_nothing_of_another_force_is_there_by_list_count_or_name(kent: httpx.Client) -> None:
    for path in ("alerts", "queue", "wearers", "crimes", "changes?after=0", "configuration/zones", "configuration/curfews",
                 "configuration/wearers", "configuration/activations", "compliance?from=2026-02-27&to=2026-03-01"):  # fmt: skip
        answer = kent.get(path)
        assert answer.status_code == 200
        assert not re.search(r'E1|Essex|"C2"|"Z2"|A-e1', answer.text), path
        assert "K1" in answer.text or "Kent" in answer.text or "Z1" in answer.text
    assert kent.get("alerts?wearer=E1").json()["items"] == []
    figures = kent.get(f"figures?{SPAN}").json()
    assert (figures["n_alerts"], figures["standing"]) == (2, 2)
    near = {"lat": 51.27123, "lon": 0.52345, "from": "2026-03-01T08:30:00Z", "to": "2026-03-01T08:45:00Z", "reason": "r",
            "case_ref": "c"}  # fmt: skip
    told = kent.post("near", json=near).json()
    assert sum(told["counts"].values()) == len(told["matches"]) == 4
    assert {match["wearer"] for match in told["matches"]} == {"K1", "K2", "K3", "K4"}


def test_what_is_named_of_another_force_is_not_there_as_what_is_not_there_at_all(kent: httpx.Client) -> None:
    for theirs, nobodys in [
        ("alerts/A-e1", "alerts/A-x"), ("wearers/E1", "wearers/X1"), (f"wearers/E1/fixes?{SPAN}", f"wearers/X1/fixes?{SPAN}"),
        ("wearers/E1/compliance?from=2026-03-01&to=2026-03-01", "wearers/X1/compliance?from=2026-03-01&to=2026-03-01"),
        ("crimes/Essex/R1", "crimes/Nowhere/R1"), ("configuration/zones/Z2", "configuration/zones/ZX"),
        ("configuration/wearers/E1", "configuration/wearers/X1"),
    ]:  # fmt: skip
        one, other = problem(kent.get(theirs, headers=WHY), 404), problem(kent.get(nobodys, headers=WHY), 404)
        for name in ("E1", "X1", "A-e1", "A-x", "Essex", "Nowhere", "Z2", "ZX"):
            one["detail"], other["detail"] = (text["detail"].replace(f"'{name}'", "it") for text in (one, other))
        assert one == other
    problem(kent.post("alerts/A-e1/acknowledge", json={"upon": "1.0"}), 404)
    problem(kent.delete("configuration/zones/Z2", headers={"if-match": '"x"', "x-reason": "r"}), 404)
    mine = {"wearer": "E1", "name": "Taken over", "force": "Kent"}
    answer = kent.put("configuration/wearers/E1", json=mine, headers={"if-none-match": "*"})
    assert answer.status_code in (403, 412)
    evidence = {"force": "Essex", "reference": "R1", "wearer": "K1", "reason": "r"}
    problem(kent.post("evidence", json=evidence), 404)
    problem(kent.get("jobs/anything"), 404)


def test_locations_are_shown_with_a_reason_and_a_case_alone_and_noted_first(url: str, kent: httpx.Client) -> None:
    path = f"wearers/K1/fixes?{SPAN}"
    assert problem(kent.get(path), 403)["field"] == "X-Reason"
    assert problem(kent.get(path, headers={"x-reason": "Burglary"}), 422)["field"] == "X-Case-Ref"
    assert kent.get(path, headers=WHY).status_code == 200
    with connect(url) as connection:
        row = audit.rows(connection, actor="kent", subject="K1", action="trail opened")[0]
    assert (row.reason, row.case_ref, row.via) == ("Burglary", "26/4711", "api")


TRAVERSALS = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/account",
    "....",
    "a\\..\\b",
    "%00",
    "'; DROP TABLE alert; --",
]


def test_no_name_leads_out_of_its_place(url: str, address: str) -> None:
    with client_of(address, make_token(url, "every")) as client:
        for name in TRAVERSALS:
            for place in ("alerts/", "wearers/", "jobs/", "runs/", "crimes/Kent/", "configuration/zones/", "tokens/"):
                answer = client.get(place + (name if "%" in name else quote(name, safe="")))
                assert answer.status_code in (404, 405, 422), (place, name, answer.status_code)
                assert "root:" not in answer.text
        assert client.get("alerts").status_code == 200


@pytest.fixture
def narrow(office: Office) -> Iterator[str]:
    """A console that lets an account call three times a minute, and a wrong token twice."""
    app = create_app(office)
    app.state.office.one(Limits, lambda: Limits(Buckets(3, 60.0), Buckets(2, 60.0)))
    with serve(app) as found:
        yield found


def test_who_calls_too_often_waits_and_nobody_else(url: str, office: Office, narrow: str) -> None:
    now_us = system_clock()
    office.wall = lambda: now_us
    with client_of(narrow, make_token(url, "every")) as one, client_of(narrow, make_token(url, "kent")) as other:
        left = [one.get("account").headers["ratelimit"] for _ in range(3)]
        assert left == ['"calls";r=2;t=20', '"calls";r=1;t=40', '"calls";r=0;t=60']
        refused = one.get("account")
        problem(refused, 429)
        assert (refused.headers["retry-after"], refused.headers["ratelimit-policy"]) == ("20", '"calls";q=3;w=60')
        assert other.get("account").status_code == 200
        now_us += 20_000_000
        assert one.get("account").status_code == 200
        problem(one.get("account"), 429)
    statuses = []
    for _ in range(4):
        with client_of(narrow, "tw_guess") as guesser:
            statuses.append(guesser.get("account").status_code)
    assert statuses == [401, 401, 429, 429]


def test_buckets_fill_again_and_never_over() -> None:
    buckets = Buckets(2, 10.0)
    told: list[Any] = [buckets.take("a", at) for at in (0, 0, 0, 5_000_000, 5_000_000, 900_000_000)]
    assert [one.gave for one in told] == [True, True, False, True, False, True]
    assert (told[2].wait_s, told[5].left) == (5, 1)


def test_tokens_of_an_account_that_may_less_now_do_less(url: str, address: str) -> None:
    token = make_token(url, "every", ["audit.read", "alerts.read"])
    with connect(url) as connection:
        connection.execute("UPDATE account SET roles = ARRAY['operator'] WHERE login = 'every'")
    with client_of(address, token) as client:
        assert client.get("alerts").status_code == 200
        assert "it needs the role" in problem(client.get("audit"), 403)["detail"]
    with connect(url) as connection:
        assert tokens.holder_of(connection, token, system_clock()) is not None
