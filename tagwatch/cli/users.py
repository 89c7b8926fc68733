"""Commands about accounts: who may sign in to the console, with which roles, for which force."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tagwatch.cli.options import Config, say

if TYPE_CHECKING:
    from engine.database import Connection
    from tagwatch.access.accounts import Account

users = typer.Typer(no_args_is_help=True, help="Accounts of the console: list, add, password, disable, enable, grant.")
Login = Annotated[str, typer.Argument(help="What is typed to sign in")]
PasswordIn = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input; else one is made and printed once")
]


@users.command("list")
def list_(json: Annotated[bool, typer.Option("--json")] = False, config: Config = None) -> None:
    """Every account: login, name, roles, force, and whether it is disabled."""
    import msgspec

    from tagwatch.access.accounts import everybody

    with _database(config) as connection:
        found = everybody(connection)
    for one in found:
        told = {**one._asdict(), "roles": sorted(one.roles)}
        del told["id"]
        if json:
            print(msgspec.json.encode(told).decode())
        else:
            state = "disabled" if one.disabled else "active"
            print(f"{one.login:<20} {state:<9} {one.force:<12} {', '.join(sorted(one.roles))}  ({one.name})")
    say(f"{len(found)} accounts")


@users.command("add")
def add(
    login: Login, name: Annotated[str, typer.Option("--name", help="The person's name")],
    role: Annotated[list[str], typer.Option("--role", help="Once for each role")],
    force: Annotated[str, typer.Option("--force", help="The force whose wearers are seen; * for every force")],
    member: Annotated[str, typer.Option("--member", help="How teams name this offender manager")] = "",
    password_stdin: PasswordIn = False, config: Config = None,
) -> None:  # fmt: skip
    """Make an account."""
    from engine.times import system_clock
    from tagwatch.access import accounts
    from tagwatch.access.by_command import log_change

    password = _password(read=password_stdin)
    with _database(config) as connection, connection.transaction():
        accounts.add(connection, login, name, role, force, password, system_clock(), member=member)
        log_change(connection, "user added", login, roles=sorted(role), force=force)
    _tell(login, password, read=password_stdin)


@users.command("password")
def password(login: Login, password_stdin: PasswordIn = False, config: Config = None) -> None:
    """Give an account a new password; its sessions end."""
    from tagwatch.access.accounts import set_password

    new = _password(read=password_stdin)
    with _changing(config, login, "password changed") as (connection, account):
        set_password(connection, account.id, new)
    _tell(login, new, read=password_stdin)


@users.command("disable")
def disable(login: Login, config: Config = None) -> None:
    """Let nobody sign in with it any more; its sessions end, its tokens are revoked."""
    from engine.times import system_clock
    from tagwatch.access import accounts

    with _changing(config, login, "user disabled") as (connection, account):
        accounts.disable(connection, account.id, system_clock())


@users.command("enable")
def enable(login: Login, config: Config = None) -> None:
    """Let it be signed in with again, and forget failed attempts."""
    from tagwatch.access import accounts

    with _changing(config, login, "user enabled") as (connection, account):
        accounts.enable(connection, account.id)


@users.command("grant")
def grant(
    login: Login, force: Annotated[str, typer.Option("--force", help="The other force")],
    reason: Annotated[str, typer.Option("--reason", help="Why")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="For how long")], config: Config = None,
) -> None:  # fmt: skip
    """Let an account see another force's wearers for some days."""
    from engine.times import DAY_US, system_clock
    from tagwatch.access import accounts
    from tagwatch.access.by_command import operating_user

    now_us = system_clock()
    with _changing(config, login, "force granted") as (connection, account):
        accounts.grant(connection, account.id, force, reason, operating_user(), now_us, now_us + days * DAY_US)


@contextmanager
def _changing(config: object, login: str, action: str) -> Iterator[tuple[Connection, Account]]:
    from engine.errors import InputError
    from tagwatch.access.accounts import account_of
    from tagwatch.access.by_command import log_change

    with _database(config) as connection, connection.transaction():
        account = account_of(connection, login)
        if account is None:
            raise InputError(field="login", value=login, expected="the login of an account: see `tagwatch users list`")
        yield connection, account
        log_change(connection, action, login)


@contextmanager
def _database(config: object) -> Iterator[Connection]:
    from engine import database
    from tagwatch.access.accounts import SCHEMA
    from tagwatch.settings import read_settings

    with database.connect(read_settings(config).database.url) as connection:  # type: ignore[arg-type]
        database.require_schema(connection, [SCHEMA])
        yield connection


def _password(*, read: bool) -> str:
    from tagwatch.access.passwords import make_password

    return sys.stdin.readline().rstrip("\r\n") if read else make_password()


def _tell(login: str, password: str, *, read: bool) -> None:
    say(f"{login} can sign in" if read else f"{login} can sign in; the password is shown this once on standard output")
    if not read:
        print(password)
