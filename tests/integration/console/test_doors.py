"""Signing in and out, sessions, the origin of requests, and the reason for opening a person's locations."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from engine.database import connect
from engine.times import HOUR_US, MINUTE_US, system_clock
from tagwatch.access import audit, sessions

OTHER = {"origin": "https://elsewhere.example"}


@pytest.fixture
def stranger(address: str) -> Any:
    with httpx.Client(base_url=address, trust_env=False, timeout=90) as found:
        yield found


def test_nobody_sees_anything_before_signing_in(stranger: httpx.Client) -> None:
    answer = stranger.get("/queue?x=1")
    assert answer.status_code == 404 or answer.headers["location"] == "/sign-in?next=%2Fqueue%3Fx%3D1"
    answer = stranger.get("/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Faccount")
    assert stranger.get("/health/live").status_code == 200


def test_a_wrong_password_and_an_unknown_login_are_told_alike(stranger: httpx.Client, url: str) -> None:
    told = [stranger.post("/sign-in", data={"login": login, "password": "wrong"}) for login in ("operator", "nobody")]
    assert [answer.status_code for answer in told] == [403, 403]
    assert told[0].text.replace("operator", "nobody") == told[1].text
    with connect(url) as connection:
        assert [(r.actor, r.action) for r in audit.rows(connection)] == [
            ("nobody", "sign in refused"),
            ("operator", "sign in refused"),
        ]


def test_too_many_failures_lock_the_account(stranger: httpx.Client) -> None:
    for _ in range(8):
        stranger.post("/sign-in", data={"login": "operator", "password": "wrong"})
    answer = stranger.post("/sign-in", data={"login": "operator", "password": "three small words"})
    assert answer.status_code == 403
    assert "locked" in answer.text


def test_a_session_gets_a_new_cookie_whatever_cookie_came(stranger: httpx.Client) -> None:
    stranger.cookies.set("tagwatch_session", "chosen-by-somebody-else", domain="127.0.0.1")
    answer = stranger.post("/sign-in", data={"login": "operator", "password": "three small words"})
    cookie = answer.headers["set-cookie"]
    assert "chosen-by-somebody-else" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize("path", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "x"])
def test_signing_in_leads_to_no_other_site(stranger: httpx.Client, path: str) -> None:
    given = {"login": "operator", "password": "three small words", "next": path}
    assert stranger.post("/sign-in", data=given).headers["location"] == "/"


def test_what_changes_something_comes_from_our_own_pages(signed_in: Any) -> None:
    client = signed_in("operator")
    assert client.http.post("/sign-out").status_code == 403
    assert client.http.post("/sign-out", data={"csrf": "guessed"}).status_code == 403
    assert client.post("/sign-out", headers=OTHER).status_code == 403
    assert client.post("/sign-out", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/sign-out").status_code == 303
    assert client.get("/account").status_code == 303


def test_sessions_end_by_themselves(signed_in: Any, url: str) -> None:
    client = signed_in("operator")
    cookie = client.http.cookies["tagwatch_session"]
    now_us = system_clock()
    with connect(url) as connection:
        assert sessions.session_of(connection, cookie, now_us + HOUR_US) is not None
        assert sessions.session_of(connection, cookie, now_us + 4 * HOUR_US) is None
        for hour in range(1, 12):
            assert sessions.session_of(connection, cookie, now_us + hour * HOUR_US) is not None
        assert sessions.session_of(connection, cookie, now_us + 12 * HOUR_US + MINUTE_US) is None


def test_a_disabled_account_is_out_at_once(signed_in: Any, url: str) -> None:
    client = signed_in("operator")
    with connect(url) as connection:
        connection.execute("UPDATE account SET disabled = now() WHERE login = 'operator'")
    assert client.get("/account").status_code == 303


def test_a_changed_password_ends_every_session(signed_in: Any) -> None:
    one, other = signed_in("operator"), signed_in("operator")
    assert one.post("/account/password", {"password": "wrong", "new": "four rather small words"}).status_code == 403
    assert one.post("/account/password", {"password": "three small words", "new": "short"}).status_code == 422
    assert (
        one.post("/account/password", {"password": "three small words", "new": "four rather small words"}).status_code
        == 303
    )
    assert (one.get("/account").status_code, other.get("/account").status_code) == (303, 303)


def test_locations_are_opened_with_a_reason(signed_in: Any, url: str) -> None:
    client = signed_in("investigator")
    assert client.post("/open", {"wearer": "W01", "reason": " "}).status_code == 422
    answer = client.post("/open", {"wearer": "W01", "reason": "Burglary", "case_ref": "26/1", "next": "/wearers/W01"})
    assert answer.headers["location"] == "/wearers/W01"
    with connect(url) as connection:
        newest = audit.rows(connection)[0]
    assert newest[2:9] == ("investigator", "investigator", "console", "locations opened", "W01", "Burglary", "26/1")


def test_answers_keep_to_themselves(stranger: httpx.Client) -> None:
    answer = stranger.get("/sign-in")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert answer.headers["cache-control"] == "no-store"
    assert stranger.get("/sign-in", headers={"host": "elsewhere.example"}).status_code == 400
