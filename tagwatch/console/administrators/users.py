"""Accounts: adding them, their roles, force and state, new passwords, grants of another force, and their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from engine.database import Connection
from engine.errors import InputError
from engine.times import DAY_US, to_iso
from tagwatch.access import accounts, audit, tokens
from tagwatch.access.accounts import EVERY_FORCE, Account
from tagwatch.access.passwords import make_password
from tagwatch.console.administrators.typed import Faults, Form, Typed, sentence
from tagwatch.console.administrators.user_rules import (
    account_within,
    check_rights,
    is_within,
    refuse_oneself,
    roles_to_give,
)  # fmt: skip
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Edits = Annotated[Caller, needs("users.edit")]
LABELS = {
    "login": "Login", "name": "Name", "roles": "Roles", "role": "Roles", "force": "Force", "member": "Member name",
    "password": "Password", "grant_force": "Force", "grant_reason": "Reason", "days": "Days", "until": "Days",
}  # fmt: skip
DONE = {
    "changed": "The account is changed.", "disabled": "Nobody can sign in with it any more.",
    "enabled": "It can be used again.", "granted": "The grant holds from now on.", "ended": "The grant is over.",
    "revoked": "The token is revoked.",
}  # fmt: skip
MOST_GRANT_DAYS = 366


@router.get("/users")
def users(request: Request, office: Here, caller: Edits, q: str = "") -> Response:
    """The accounts that the caller may change."""
    with office.database.reading() as connection:
        found = [one for one in accounts.everybody(connection) if is_within(caller, one)]
    words = q.casefold().split()
    found = [
        one
        for one in found
        if all(w in f"{one.login} {one.name} {one.force} {' '.join(one.roles)}".casefold() for w in words)
    ]
    return page(request, office, caller, "administrators/users.html", users=found, q=q)


@router.get("/users/add")
def add_form(request: Request, office: Here, caller: Edits) -> Response:
    """The form of a new account."""
    force = "" if caller.account.force == EVERY_FORCE else caller.account.force
    return _add_page(request, office, caller, Typed({"force": [force]}))


@router.post("/users/add")
def add(request: Request, office: Here, caller: Edits, typed: Form) -> Response:
    """Make an account; its first password is shown once, unless it was given."""
    given = typed.values.get("password", [""])[0]
    password, faults = given or make_password(), Faults()
    login = typed.text("login").lower()
    try:
        check_rights(caller, typed.all("roles"), typed.text("force"))
        with office.database.writing() as connection:
            found = accounts.add(connection, login, typed.text("name"), typed.all("roles"), typed.text("force"), password,
                                 office.wall(), member=typed.text("member"))  # fmt: skip
            told: dict[str, Any] = {"roles": sorted(found.roles), "force": found.force}
            audit.write(connection, office.entry(caller, "user added", login, **told), office.wall())
    except InputError as fault:
        faults[_field(fault)] = sentence(fault, LABELS)
        return _add_page(request, office, caller, typed, faults, 422)
    return _password_page(request, office, caller, found, "" if given else password, "Account added")


@router.get("/users/{identifier}")
def user(request: Request, office: Here, caller: Edits, identifier: int, done: str = "") -> Response:
    """One account: who it is, what it may, its grants and tokens."""
    return _user_page(request, office, caller, identifier, done=DONE.get(done, ""))


@router.post("/users/{identifier}/change")
def change(request: Request, office: Here, caller: Edits, identifier: int, typed: Form) -> Response:
    """Change name, roles, force and member name."""
    try:
        with _changing(office, caller, identifier, "user changed") as (connection, account, told):
            roles, force = typed.all("roles"), typed.text("force")
            if account.id == caller.account.id and ({*roles} != account.roles or force != account.force):
                refuse_oneself(caller, account)
            check_rights(caller, roles, force)
            accounts.change(connection, identifier, typed.text("name"), roles, force, typed.text("member"))
            told |= {
                "roles": sorted(roles),
                "force": force,
                "roles_before": sorted(account.roles),
                "force_before": account.force,
            }
    except InputError as fault:
        return _user_page(request, office, caller, identifier, typed, {_field(fault): sentence(fault, LABELS)})
    return RedirectResponse(f"/users/{identifier}?done=changed", 303)


@router.post("/users/{identifier}/disable")
def disable(office: Here, caller: Edits, identifier: int) -> Response:
    """Let nobody sign in with it any more."""
    with _changing(office, caller, identifier, "user disabled") as (connection, account, _):
        refuse_oneself(caller, account)
        accounts.disable(connection, identifier, office.wall())
    return RedirectResponse(f"/users/{identifier}?done=disabled", 303)


@router.post("/users/{identifier}/enable")
def enable(office: Here, caller: Edits, identifier: int) -> Response:
    """Let it be used again, also after too many failures."""
    with _changing(office, caller, identifier, "user enabled") as (connection, account, _):
        refuse_oneself(caller, account)
        accounts.enable(connection, identifier)
    return RedirectResponse(f"/users/{identifier}?done=enabled", 303)


@router.post("/users/{identifier}/password")
def new_password(request: Request, office: Here, caller: Edits, identifier: int) -> Response:
    """A new password, shown once; every session of the account ends."""
    password = make_password()
    with _changing(office, caller, identifier, "password changed") as (connection, account, _):
        refuse_oneself(caller, account)
        accounts.set_password(connection, identifier, password)
    return _password_page(request, office, caller, account, password, "New password")


@router.post("/users/{identifier}/grants")
def grant(request: Request, office: Here, caller: Edits, identifier: int, typed: Form) -> Response:
    """Let it see another force's wearers for some days."""
    _require_every_force(caller)
    force, reason, text = typed.text("grant_force"), typed.text("grant_reason"), typed.text("days")
    try:
        days = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
        if not 1 <= days <= MOST_GRANT_DAYS:
            raise InputError(field="days", value=text, expected=f"1 to {MOST_GRANT_DAYS}")
        with _changing(office, caller, identifier, "force granted", reason) as (connection, account, told):
            refuse_oneself(caller, account)
            if force in (account.force, EVERY_FORCE) or account.force == EVERY_FORCE:
                raise InputError(field="force", value=force, expected="another force than the account's own")
            now_us = office.wall()
            accounts.grant(connection, identifier, force, reason, caller.account.login, now_us, now_us + days * DAY_US)
            told |= {"force": force, "days": days}
    except InputError as fault:
        name = {"force": "grant_force", "reason": "grant_reason"}.get(fault.field, fault.field)
        return _user_page(request, office, caller, identifier, typed, {name: sentence(fault, LABELS)})
    return RedirectResponse(f"/users/{identifier}?done=granted#grants", 303)


@router.post("/users/{identifier}/grants/{number}/end")
def end_grant(office: Here, caller: Edits, identifier: int, number: int) -> Response:
    """End a grant now."""
    _require_every_force(caller)
    with _changing(office, caller, identifier, "grant ended") as (connection, _, told):
        accounts.end_grant(connection, identifier, number, office.wall())
        told["grant"] = number
    return RedirectResponse(f"/users/{identifier}?done=ended#grants", 303)


@router.post("/users/{identifier}/tokens/{token}/revoke")
def revoke(office: Here, caller: Edits, identifier: int, token: str) -> Response:
    """Revoke a token of the account."""
    with _changing(office, caller, identifier, "token revoked") as (connection, account, told):
        tokens.revoke(connection, account, token, office.wall())
        told["token"] = token[:16]
    return RedirectResponse(f"/users/{identifier}?done=revoked#tokens", 303)


@contextmanager
def _changing(
    office: Office, caller: Caller, identifier: int, action: str, reason: str = ""
) -> Iterator[tuple[Connection, Account, dict[str, Any]]]:  # fmt: skip
    """A transaction about one account within reach; what it adds to the last of the three goes into the audit log."""
    told: dict[str, Any] = {}
    with office.database.writing() as connection:
        connection.execute("SELECT 1 FROM account ORDER BY id FOR UPDATE")  # changes of accounts wait for one another
        account = account_within(connection, caller, identifier)
        yield connection, account, told
        audit.write(connection, office.entry(caller, action, account.login, reason=reason, **told), office.wall())


def _require_every_force(caller: Caller) -> None:
    if caller.account.force != EVERY_FORCE:
        raise NotAllowed("another force's wearers are granted by an administrator for every force")


def _field(fault: InputError) -> str:
    return "roles" if fault.field == "role" else fault.field


def _add_page(
    request: Request, office: Office, caller: Caller, typed: Typed, faults: Faults | None = None, status: int = 200
) -> Response:  # fmt: skip
    return page(
        request, office, caller, "administrators/user_form.html", status=status, typed=typed, faults=faults or {},
        roles=roles_to_give(caller), restricted=caller.account.force != EVERY_FORCE,
    )  # fmt: skip


def _user_page(
    request: Request, office: Office, caller: Caller, identifier: int, typed: Typed | None = None,
    faults: Faults | None = None, *, done: str = "",
) -> Response:  # fmt: skip
    now_us = office.wall()
    with office.database.reading() as connection:
        account = account_within(connection, caller, identifier)
        grants = [
            (g, to_iso(g.from_us), to_iso(g.until_us), g.from_us <= now_us < g.until_us)
            for g in accounts.grants_of(connection, identifier)
        ]
        held = [
            (t, to_iso(t.ends_us), to_iso(t.used_us) if t.used_us else None, not t.revoked and now_us < t.ends_us)
            for t in tokens.of_account(connection, account)
        ]
    values = {"name": [account.name], "roles": sorted(account.roles), "force": [account.force], "member": [account.member]}
    shown = Typed({**values, "days": ["30"], **({} if typed is None else dict(typed.values))})
    return page(
        request, office, caller, "administrators/user.html", status=422 if faults else 200, user=account, typed=shown,
        faults=faults or {}, done=done, grants=grants, tokens=held, roles=roles_to_give(caller),
        oneself=account.id == caller.account.id, every=caller.account.force == EVERY_FORCE,
        restricted=caller.account.force != EVERY_FORCE,
    )  # fmt: skip


def _password_page(
    request: Request, office: Office, caller: Caller, account: Account, password: str, title: str
) -> Response:  # fmt: skip
    return page(request, office, caller, "administrators/password.html", user=account, password=password, title=title)
