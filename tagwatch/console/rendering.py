"""The pages' templates: Jinja2 with GOV.UK's macros; every value is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from engine.times import to_iso
from tagwatch.access.roles import OPERATIONS
from tagwatch.console import wording
from tagwatch.console.caller import Caller
from tagwatch.console.office import Office

_TEMPLATES = Path(__file__).parent / "templates"


def _environment() -> Environment:
    loader = ChoiceLoader([FileSystemLoader(_TEMPLATES), PackageLoader("govuk_frontend_jinja")])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters.update(
        rule=wording.rule_words, duration=wording.duration_words, moment=wording.time_words, percent=wording.percent_words
    )
    found.globals.update(LATE_S=wording.LATE_S, GRADES=wording.GRADES, VERDICTS=wording.VERDICTS, age=wording.age_words)
    return found


_ENVIRONMENT = _environment()


def page(
    request: Request, office: Office, caller: Caller | None, name: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page for a caller (None: nobody is signed in). Templates know `me` (the caller), `may`, `path`, `now_us`, `now`."""
    now_us = office.clock()
    allowed = {operation for operation in OPERATIONS if caller is not None and caller.may(operation)}
    text = _ENVIRONMENT.get_template(name).render(
        me=caller, may=allowed, path=request.url.path, now_us=now_us, now=to_iso(now_us), scene=bool(office.scene),
        demo=office.settings.console.demo, **values,
    )  # fmt: skip
    return HTMLResponse(text, status_code=status)


def part(office: Office, name: str, **values: Any) -> str:
    """A piece of a page that is the same for everybody who may see it, as text; its template knows `now_us` and `now`."""
    now_us = office.clock()
    return _ENVIRONMENT.get_template(name).render(now_us=now_us, now=to_iso(now_us), **values)
