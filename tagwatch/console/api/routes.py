"""The API that other systems use, version 1."""

from __future__ import annotations

from fastapi import APIRouter

from tagwatch.console.api import (
    account,
    alert_actions,
    alert_calls,
    audit_calls,
    configuration_calls,
    contract,
    crime_calls,
    evidence_calls,
    job_calls,
    near_calls,
    queue_calls,
    run_calls,
    wearer_calls,
)

routers: tuple[APIRouter, ...] = tuple(
    part.router
    for part in (contract, account, alert_calls, alert_actions, queue_calls, wearer_calls, near_calls, crime_calls, run_calls,
                 evidence_calls,
                 job_calls, configuration_calls, audit_calls)
)  # fmt: skip
"""All of them."""
