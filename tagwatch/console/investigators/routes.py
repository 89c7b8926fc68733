"""Investigators: who was near, crimes, matches, trails, evidence."""

from __future__ import annotations

from fastapi import APIRouter

from tagwatch.console.investigators import crimes, evidence, imports, match_files, matches, near, series

routers: tuple[APIRouter, ...] = (
    near.router, imports.router, crimes.router, series.router, match_files.router, matches.router, evidence.router,
)  # fmt: skip
