"""Who may do what: the operations of console and API, and the roles that may use each."""

from __future__ import annotations

OPERATOR, SENIOR, INVESTIGATOR = "operator", "senior operator", "investigator"
EVIDENCE, MANAGER, ADMINISTRATOR, AUDITOR = "evidence manager", "offender manager", "administrator", "auditor"
ROLES = (OPERATOR, SENIOR, INVESTIGATOR, EVIDENCE, MANAGER, ADMINISTRATOR, AUDITOR)

_DESK = frozenset({OPERATOR, SENIOR})
_ANYBODY = frozenset(ROLES)

OPERATIONS: dict[str, frozenset[str]] = {
    "own account": _ANYBODY,                                     # password, tokens, sign out
    "alerts.read": _DESK | {MANAGER},
    "alerts.handle": _DESK,
    "alerts.note": _DESK | {MANAGER},
    "alerts.shelve": frozenset({SENIOR}),
    "alerts.figures": frozenset({SENIOR, ADMINISTRATOR}),
    "ingest.read": frozenset({SENIOR, ADMINISTRATOR}),
    "wearers.read": _DESK | {MANAGER, INVESTIGATOR, EVIDENCE, ADMINISTRATOR},
    "trails.read": _DESK | {MANAGER, INVESTIGATOR, EVIDENCE},
    "compliance.read": frozenset({MANAGER, SENIOR}),
    "near.ask": frozenset({INVESTIGATOR, EVIDENCE, SENIOR}),
    "crimes.read": frozenset({INVESTIGATOR, EVIDENCE}),
    "crimes.import": frozenset({INVESTIGATOR, EVIDENCE}),
    "matches.read": frozenset({INVESTIGATOR, EVIDENCE}),
    "matches.run": frozenset({INVESTIGATOR, EVIDENCE}),
    "evidence.build": frozenset({EVIDENCE, INVESTIGATOR}),
    "configuration.read": frozenset({ADMINISTRATOR, SENIOR, MANAGER}),
    "configuration.edit": frozenset({ADMINISTRATOR}),
    "users.edit": frozenset({ADMINISTRATOR}),
    "audit.read": frozenset({AUDITOR}),
}  # fmt: skip
"""By operation, the roles that may use it."""


def may(roles: frozenset[str], operation: str) -> bool:
    """Whether one of the roles allows an operation; KeyError for one that is not in the table."""
    return not roles.isdisjoint(OPERATIONS[operation])
