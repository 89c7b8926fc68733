"""What an administrator may do to accounts.

- An administrator for every force sees and changes every account, and alone makes accounts for every force, auditors, and
  grants of another force's wearers.
- An administrator of one force sees and changes accounts of that force; gives that force and no other, and every role but the
  auditor's: the log tells of all forces. Accounts that are auditors, or for every force, are beyond such an administrator.
- Nobody holds the roles of administrator and auditor together: who changes things does not audit it.
- Nobody changes the own roles, force or state, so that nobody gives rights to oneself and the last administrator stays one.
  Where two do it to each other at one time, the second is refused: he is no administrator any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.database import Connection
from engine.errors import InputError
from tagwatch.access.accounts import EVERY_FORCE, Account, by_id
from tagwatch.access.roles import ADMINISTRATOR, AUDITOR, ROLES
from tagwatch.console.caller import Caller, NotAllowed

_NOBODY = "there is no such account among those you may see"


def is_within(caller: Caller, account: Account) -> bool:
    """Whether an account may be seen and changed by a caller."""
    if caller.account.force == EVERY_FORCE:
        return True
    return account.force == caller.account.force and AUDITOR not in account.roles


def roles_to_give(caller: Caller) -> list[str]:
    """The roles that a caller may give."""
    return [role for role in ROLES if role != AUDITOR or caller.account.force == EVERY_FORCE]


def account_within(connection: Connection, caller: Caller, identifier: int) -> Account:
    """An account that a caller may change; NotAllowed alike where there is none. The caller must still be an administrator."""
    still = by_id(connection, caller.account.id)
    if still is None or still.disabled or ADMINISTRATOR not in still.roles or still.force != caller.account.force:
        raise NotAllowed("you are no administrator any more")
    found = by_id(connection, identifier)
    if found is None or not is_within(caller, found):
        raise NotAllowed(_NOBODY)
    return found


def refuse_oneself(caller: Caller, account: Account) -> None:
    """NotAllowed for the own account."""
    if account.id == caller.account.id:
        raise NotAllowed("your own rights are changed by another administrator, your password on the page of your account")


def check_rights(caller: Caller, roles: Sequence[str], force: str) -> None:
    """InputError where a caller may not give these roles or this force."""
    allowed = roles_to_give(caller)
    beyond = [role for role in roles if role not in allowed]
    if beyond:
        raise InputError(field="roles", value=", ".join(beyond), expected=f"one or more of {', '.join(allowed)}")
    if {ADMINISTRATOR, AUDITOR} <= set(roles):
        raise InputError("together", field="roles", value="administrator and auditor", expected="two accounts for the two")
    if caller.account.force not in (force, EVERY_FORCE):
        raise InputError(field="force", value=force, expected=f"your own force: {caller.account.force}")
