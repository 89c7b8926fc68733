"""The doors: signing in and out, one's own account, and saying why a person's locations are opened."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from engine.errors import InputError
from tagwatch.access import accounts, audit, sessions
from tagwatch.console.caller import COOKIE, Caller, NotAllowed, is_same_origin, needs
from tagwatch.console.office import Here
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Own = Annotated[Caller, needs("own account")]
Sees = Annotated[Caller, needs("wearers.read")]


@router.get("/sign-in")
def sign_in_form(request: Request, office: Here, next: str = "/") -> Response:
    """The form."""
    return page(request, office, None, "sign_in.html", next=local(next), fault="", login="")


@router.post("/sign-in")
def sign_in(
    request: Request, office: Here, login: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:  # fmt: skip
    """Begin a session with a new cookie, whatever cookie came; what failed is in the audit log."""
    if not is_same_origin(request):
        raise NotAllowed("this did not come from a page of this console")
    now_us, cookie = office.wall(), ""
    with office.database.writing() as connection:
        account = accounts.sign_in(connection, login, password, now_us)
        if account is not None:
            cookie = sessions.begin(connection, account, now_us)
        who = account.login if account else login.strip().lower()[:100] or "nobody"
        audit.write(connection, audit.Entry(who, "", "console", "sign in" if account else "sign in refused"), now_us)
    if account is None:
        fault = "Login and password do not fit, or the account is locked for a while."
        return page(request, office, None, "sign_in.html", status=403, next=local(next), fault=fault, login=login)
    answer = RedirectResponse(local(next), 303)
    secure = request.url.scheme == "https" or office.settings.console.https
    answer.set_cookie(
        COOKIE, cookie, max_age=sessions.LONGEST_US // 1_000_000, httponly=True, samesite="lax", secure=secure
    )
    return answer


@router.post("/sign-out")
def sign_out(office: Here, caller: Own) -> Response:
    """End the session."""
    with office.database.writing() as connection:
        sessions.end(connection, caller.session)
        audit.write(connection, office.entry(caller, "sign out"), office.wall())
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/open")
def open_form(request: Request, office: Here, caller: Sees, wearer: str, next: str = "/") -> Response:
    """Why are these locations opened?"""
    caller.require(wearer)
    return page(request, office, caller, "open.html", wearer=wearer, next=local(next), fault="")


@router.post("/open")
def open_person(
    request: Request, office: Here, caller: Sees, wearer: Annotated[str, Form()], reason: Annotated[str, Form()] = "",
    case_ref: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/",
) -> Response:  # fmt: skip
    """Note the reason for this session, and in the audit log."""
    caller.require(wearer)
    reason, case_ref = reason.strip()[:1000], case_ref.strip()[:200]
    if not reason:
        told = "Say why you open this person's locations."
        return page(request, office, caller, "open.html", status=422, wearer=wearer, next=local(next), fault=told)
    with office.database.writing() as connection:
        sessions.open_person(connection, caller.session, wearer, reason, case_ref, office.wall())
        entry = office.entry(caller, "locations opened", wearer, reason=reason, case_ref=case_ref)
        audit.write(connection, entry, office.wall())
    return RedirectResponse(local(next), 303)


@router.get("/account")
def account(request: Request, office: Here, caller: Own) -> Response:
    """One's own account: password and tokens."""
    return page(request, office, caller, "account.html", fault="", done="")


@router.post("/account/password")
def change_password(
    request: Request, office: Here, caller: Own, password: Annotated[str, Form()] = "", new: Annotated[str, Form()] = ""
) -> Response:
    """Change one's own password; every session of the account ends, this one too."""
    with office.database.writing() as connection:
        known = accounts.sign_in(connection, caller.account.login, password, office.wall())
        if known is not None:
            try:
                accounts.set_password(connection, known.id, new)
            except InputError as fault:
                return page(request, office, caller, "account.html", status=422, fault=str(fault), done="")
            audit.write(connection, office.entry(caller, "password changed", caller.account.login), office.wall())
    if known is None:
        return page(request, office, caller, "account.html", status=403, fault="That is not your password.", done="")
    return RedirectResponse("/sign-in", 303)


def local(path: str) -> str:
    """A path of this console; whatever leads elsewhere becomes the first page."""
    harmless = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if harmless else "/"
