"""The text that comes first: what each file is, what its columns mean, what is not there, and whom to ask."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tagwatch.disclosure.container import Member

_WIDTH = 100
_READING = (
    "Files ending in .csv are tables: any spreadsheet opens them. A text in them that begins like a formula has an apostrophe"
    " before it. Files ending in .jsonl and .json hold the same and more, for programs; .geojson opens in any program for maps."
    " Times are in UTC (Z), which in the United Kingdom is an hour behind the clock in summer. An empty cell says that nothing"
    " was recorded, never zero.",
    "manifest.json holds the SHA-256 of every file here: a file that was changed later has another.",
)


def readme(title: str, opening: Sequence[str], members: Sequence[Member], closing: Sequence[str], asked: str) -> str:
    """The whole text."""
    parts = [title, "=" * len(title), "", *map(_wrapped, opening), "", "HOW TO READ IT", "", *map(_wrapped, _READING), ""]
    parts += ["WHAT IS HERE", ""]
    explained: dict[tuple[str, ...], str] = {}
    for member in members:
        parts += _about(member, explained.setdefault((*member.columns,), member.name))
    parts += ["WHAT IS NOT HERE", "", *map(_wrapped, closing), "", "WHOM TO ASK", "", _wrapped(asked)]
    return "\n".join(parts) + "\n"


def _about(member: Member, explained: str) -> list[str]:
    """A file, with its columns unless another file with the same has explained them."""
    title = textwrap.fill(f"{member.title}.", _WIDTH, initial_indent="    ", subsequent_indent="    ")
    columns = [f"      {name:<{max(map(len, member.columns))}}  {meaning}" for name, meaning in member.columns.items()]
    if columns and explained != member.name:
        columns = [f"      columns as in {explained}"]
    return [f"{member.name} ({_rows(member)})", title, *columns, ""]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH) + "\n"


def _rows(member: Member) -> str:
    kind = {"csv": "line", "jsonl": "entry", "geojson": "day"}.get(member.name.rpartition(".")[2], "")
    if not kind:
        return "a document"
    many = {"entry": "entries"}.get(kind, f"{kind}s")
    return f"{member.n_rows:,} {kind if member.n_rows == 1 else many}"
