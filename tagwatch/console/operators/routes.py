"""Operators: the queue, alerts, shift handover, the supervisor's figures."""

from __future__ import annotations

from fastapi import APIRouter

from tagwatch.console.operators import actions, alert_page, events, figures, handover, ingest_health, queue_page

routers: tuple[APIRouter, ...] = (
    events.router, queue_page.router, alert_page.router, actions.router, handover.router, figures.router,
    ingest_health.router,
)  # fmt: skip
"""All of them."""
