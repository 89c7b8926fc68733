"""Accounts, tokens and the audit log: what administrators and auditors do with them, and what they may not."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from engine.database import connect
from engine.times import system_clock
from tagwatch.access import accounts, audit, tokens
from tests.integration.console.administrators_scene import Visit, fill, visit
from tests.integration.console.conftest import add_account, follow

__all__ = ["visit"]


def number(url: str, login: str) -> int:
    with connect(url) as connection:
        found = accounts.account_of(connection, login)
    assert found is not None
    return found.id


def account(url: str, login: str) -> accounts.Account:
    with connect(url) as connection:
        found = accounts.account_of(connection, login)
    assert found is not None
    return found


def test_a_user_is_added_and_the_password_is_shown_once(url: str, visit: Visit, signed_in: Any) -> None:
    page = visit("administrator", "/users/add")
    fill(page, login="operator", name="<b>Ann</b>", force="Eastshire")
    follow(page, "button:has-text('Add the user')")
    assert "Roles" in page.inner_text(".govuk-error-summary")
    page.check('[value="investigator"]')
    follow(page, "button:has-text('Add the user')")
    assert "Login “operator” is not right: expected a login that nobody has yet" in page.inner_text(".govuk-error-summary")
    assert page.input_value("#name") == "<b>Ann</b>"
    fill(page, login="ann")
    follow(page, "button:has-text('Add the user')")
    password = page.inner_text("#password")
    follow(page, "text=To the account")
    assert password not in page.content()
    assert page.locator("main b").count() == 0
    assert account(url, "ann")[3:5] == (frozenset({"investigator"}), "Eastshire")
    with connect(url) as connection:
        assert accounts.sign_in(connection, "ann", password, system_clock()) is not None
        entry = audit.rows(connection, action="user added")[0]
    assert password not in entry.detail
    fill(page, grant_force="Westshire", grant_reason="Cover for a week", days="0")
    follow(page, "button:has-text('Grant')")
    assert page.input_value("#grant_reason") == "Cover for a week"
    fill(page, days="7")
    follow(page, "button:has-text('Grant')")
    with connect(url) as connection:
        assert accounts.forces_of(connection, account(url, "ann"), system_clock()) == {"Eastshire", "Westshire"}
    follow(page, "text=End it")
    with connect(url) as connection:
        assert accounts.forces_of(connection, account(url, "ann"), system_clock()) == {"Eastshire"}
    follow(page, "button:has-text('Disable')")
    assert account(url, "ann").disabled
    follow(page, "text=Let it be used again")
    assert not account(url, "ann").disabled


def test_a_new_password_and_a_disabled_account_end_sessions(url: str, signed_in: Any) -> None:
    administrator, operator = signed_in("administrator"), signed_in("operator")
    told = administrator.post(f"/users/{number(url, 'operator')}/password").text
    password = re.search(r'id="password">([^<]+)<', told)
    assert password is not None
    assert operator.get("/account").status_code == 303
    with connect(url) as connection:
        assert accounts.sign_in(connection, "operator", password[1], system_clock()) is not None


def test_the_last_administrator_stays_one(url: str, signed_in: Any) -> None:
    client, own = signed_in("administrator"), number(url, "administrator")
    assert client.post(f"/users/{own}/disable").status_code == 403
    given = {"name": "A", "roles": "operator", "force": "*"}
    assert client.post(f"/users/{own}/change", given).status_code == 403
    assert client.post(f"/users/{own}/change", {**given, "roles": ["administrator", "investigator"]}).status_code == 403
    assert client.post(f"/users/{own}/change", {**given, "roles": "administrator", "name": "New"}).status_code == 303
    assert (account(url, "administrator").name, account(url, "administrator").roles) == ("New", {"administrator"})
    with connect(url) as connection:
        add_account(connection, "second", ["administrator"])
    second = signed_in("second")
    assert second.post(f"/users/{own}/disable").status_code == 303
    assert client.get("/users").status_code == 303
    assert second.post(f"/users/{number(url, 'second')}/disable").status_code == 403


def test_administrators_of_a_force_stay_within_it(url: str, signed_in: Any) -> None:
    with connect(url) as connection:
        add_account(connection, "east", ["administrator"], "Eastshire")
        add_account(connection, "east-op", ["operator"], "Eastshire")
        add_account(connection, "east-auditor", ["auditor"], "Eastshire")
        add_account(connection, "west-op", ["operator"], "Westshire")
    east = signed_in("east")
    assert re.findall(r'href="/users/\d+">([^<]+)<', east.get("/users").text) == ["east", "east-op"]
    for login in ("west-op", "administrator", "east-auditor"):
        path = f"/users/{number(url, login)}"
        told = [east.get(path), east.get("/users/999999")]
        assert [answer.status_code for answer in told] == [403, 403]
        assert told[0].text == told[1].text
        for act in ("change", "disable", "enable", "password", "grants", "tokens/0/revoke"):
            assert east.post(f"{path}/{act}", {"name": "x", "roles": "operator", "force": "Eastshire"}).status_code == 403
    new = {"login": "n", "name": "N", "roles": "operator", "force": "Eastshire"}
    for beyond in ({"force": "*"}, {"force": "Westshire"}, {"roles": "auditor"}, {"roles": ["operator", "auditor"]}):
        assert east.post("/users/add", {**new, **beyond}).status_code == 422
        path = f"/users/{number(url, 'east-op')}/change"
        assert east.post(path, {**new, **beyond}).status_code == 422
    path = f"/users/{number(url, 'east-op')}/grants"
    assert east.post(path, {"grant_force": "Westshire", "grant_reason": "x", "days": "7"}).status_code == 403
    assert east.post("/users/add", {**new, "roles": "administrator"}).status_code == 200
    assert account(url, "n").force == "Eastshire"
    both = {**new, "login": "m", "roles": ["administrator", "auditor"], "force": "*"}
    assert signed_in("administrator").post("/users/add", both).status_code == 422


def test_a_token_is_shown_once_and_revoked(url: str, visit: Visit, address: str) -> None:
    import httpx

    page = visit("investigator", "/account/tokens")
    fill(page, name="Dash <i>board</i>", days="4000")
    follow(page, "text=Make the token")
    assert (
        "Days “4000” are not right" in page.inner_text(".govuk-error-summary") or page.locator("#scopes-error").count() == 1
    )
    page.check('[value="wearers.read"]')
    fill(page, days="30")
    follow(page, "text=Make the token")
    token = page.inner_text("#token")
    with connect(url) as connection:
        held = tokens.holder_of(connection, token, system_clock())
        connection.commit()
    assert held is not None
    assert held[1] == {"wearers.read"}
    page.goto("/account/tokens")
    assert token not in page.content()
    assert page.locator("main i").count() == 0
    follow(page, "button:has-text('Revoke')")
    with connect(url) as connection:
        assert tokens.holder_of(connection, token, system_clock()) is None
        assert [r.action for r in audit.rows(connection)][:2] == ["token revoked", "token made"]
    assert (
        httpx.get(
            f"{address}/account", headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=90
        ).status_code
        != 200
    )


def test_a_token_makes_no_tokens(url: str, signed_in: Any) -> None:
    client = signed_in("administrator")
    told = client.post("/account/tokens", {"name": "n", "scopes": ["own account"], "days": "1"}).text
    token = re.search(r'id="token"[^>]*>(tw_[^<]+)<', told)
    assert token is not None
    headers = {"authorization": f"Bearer {token[1]}"}
    client.http.cookies.clear()
    answer = client.http.post("/account/tokens", data={"name": "m", "scopes": "users.edit", "days": "9"}, headers=headers)
    assert answer.status_code == 403


def test_the_audit_log_is_searched_verified_and_exported(url: str, visit: Visit, signed_in: Any) -> None:
    with connect(url) as connection:
        for k in range(130):
            audit.write(connection, audit.Entry("kim", "operator", "console", "alert opened", f"W{k % 3}", reason="=1+1"),
                        system_clock())  # fmt: skip
        connection.commit()
    client = signed_in("auditor")
    client.http.post("/sign-in", data={"login": "=cmd()", "password": "x"})
    page = visit("auditor", "/audit?actor=kim&subject=W1")
    assert page.locator("tbody tr").count() == 43
    page.goto("/audit?actor=kim")
    assert page.locator("tbody tr").count() == 100
    follow(page, "text=Older")
    page.wait_for_selector("text=Newest")
    assert page.locator("tbody tr").count() == 30
    fill(page, first="2026-13-01")
    follow(page, "button:has-text('Search')")
    assert "2026-13-01" in page.inner_text(".govuk-error-summary")
    assert page.input_value("#actor") == "kim"
    page.goto("/audit?first=2000-01-01&last=2000-01-02")
    assert "No row is like this." in page.inner_text("main")
    page.goto("/audit")
    follow(page, "text=Verify the chain")
    assert "rows is as it was written" in page.inner_text("main")
    text = client.get("/audit/export?actor=kim").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 130
    assert {row["reason"] for row in rows} == {"'=1+1"}
    assert "'=cmd()" in client.get("/audit/export").text
    with connect(url) as connection:
        actions = [row.action for row in audit.rows(connection)]
        assert {"audit searched", "audit verified", "audit exported"} <= set(actions)
        connection.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_appended")
        connection.execute("UPDATE audit_entry SET actor = 'lee' WHERE number = 50")
        connection.execute("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_appended")
        connection.commit()
    told = client.post("/audit/verify").text
    assert "row 50 is not what was written" in told
    assert "no row has the hash" not in told


def test_an_auditor_of_a_force_sees_what_its_accounts_did(url: str, signed_in: Any) -> None:
    with connect(url) as connection:
        add_account(connection, "east-auditor", ["auditor"], "Eastshire")
        add_account(connection, "east-op", ["operator"], "Eastshire")
        for actor in ("east-op", "operator", "nobody"):
            audit.write(connection, audit.Entry(actor, "", "console", "alert opened", f"of-{actor}"), system_clock())
        connection.commit()
    client = signed_in("east-auditor")
    for path in ("/audit", "/audit?subject=of-operator", "/audit?actor=operator"):
        rows = re.findall(r"<tr.*?</tr>", client.get(path).text, re.S)[1:]
        assert not [row for row in rows if "alert opened" in row and "of-east-op" not in row]
    rows = list(csv.DictReader(io.StringIO(client.get("/audit/export").text)))
    assert {row["subject"] for row in rows if row["action"] == "alert opened"} == {"of-east-op"}
    assert "of-east-op" in client.get("/audit").text


@pytest.mark.parametrize("path", ["/audit", "/audit/export"])
def test_the_audit_log_is_for_auditors(url: str, signed_in: Any, path: str) -> None:
    assert signed_in("administrator").get(path).status_code == 403
