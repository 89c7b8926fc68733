"""Administrators and auditors: configuration, accounts, the audit log."""

from __future__ import annotations

from fastapi import APIRouter

from tagwatch.console.administrators import (
    audit_pages,
    draft_pages,
    editing,
    entries,
    importing,
    overview,
    own_tokens,
    users,
)

routers: tuple[APIRouter, ...] = (
    overview.router, draft_pages.router, editing.router, importing.router, entries.router, users.router, audit_pages.router,
    own_tokens.router,
)  # fmt: skip
