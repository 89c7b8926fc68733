"""The results of all faults: kept as JSON, and as the table of docs/reliability.md between its marks."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.fault import Fault
from benchmarks.faults.run import Result
from benchmarks.victims import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: written by python -m benchmarks.faults -->", "<!-- end of faults -->"
_HEAD = (
    "| Fault | How it is produced | Tries | Lost | Doubled | Decides again, p50 / max [s] | Nothing waits, p50 / max [s]"
    " | Naive service: fixes lost | alerts lost | alerts twice or false |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)


def keep(faults: Sequence[Fault], ours: Iterable[Result], naive: Iterable[Result], path: Path = RESULTS) -> dict[str, Any]:
    """Take these results over into the file, beside those of other faults that are there, and return all."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    names = [fault.name for fault in faults]
    told: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"}
    for part, results in (("tagwatch", ours), ("naive", naive)):
        rows = {row["fault"]: row for row in known.get(part, [])} | {r.fault: r.as_json() for r in results}
        told[part] = [rows[name] for name in names if name in rows]
    path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return told


def write_page(told: dict[str, Any], page: Path = PAGE) -> None:
    """The table into the page, between the marks."""
    text = page.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{shown(told)}\n{END}{after}", "utf-8")


def shown(told: dict[str, Any]) -> str:
    """The table in Markdown, with what each run noted and what was skipped below."""
    naive = {row["fault"]: row for row in told["naive"]}
    rows = [_row(row, naive.get(row["fault"])) for row in told["tagwatch"] if not row["skipped"]]
    notes = [
        f"- {row['fault']}: " + ", ".join(f"{name} {value}" for name, value in row["notes"].items())
        for row in told["tagwatch"] if row["notes"]
    ]  # fmt: skip
    failed = [f"- **{row['fault']}**: {fault}" for row in told["tagwatch"] for fault in row["verdict"]["faults"]]
    skipped = [f"- {row['fault']}: {row['skipped']}" for row in told["tagwatch"] if row["skipped"]]
    parts = [_HEAD + "".join(rows), f"Measured on {told['machine']}.\n"]
    for title, lines in (("Figures besides:", notes), ("Checks that failed:", failed), ("Not tried here:", skipped)):
        if lines:
            parts.append(title + "\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _row(row: dict[str, Any], naive: dict[str, Any] | None) -> str:
    verdict = row["verdict"]
    lost, doubled = str(verdict["lost"]), str(verdict["doubled"])
    if verdict["faults"]:
        lost += " (see below)"
    cells = [row["fault"], row["how"], str(row["tries"]), lost, doubled,
             _span(row, "decided_s"), _span(row, "drained_s"), *_naive_cells(naive)]  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


def _naive_cells(row: dict[str, Any] | None) -> list[str]:
    if row is None or "fixes" not in row["verdict"]["counts"]:  # not put to it, or its run itself went wrong
        return ["-", "-", "-"]
    counts = row["verdict"]["counts"]
    twice = counts["alerts twice"] + counts["alerts of what was not so"]
    return [
        f"{counts['fixes lost']:,} of {counts['fixes']:,}",
        f"{counts['alerts lost']} of {counts['entries']}",
        str(twice),
    ]


def _span(row: dict[str, Any], name: str) -> str:
    values = [each[name] for each in row["recoveries"]]
    if not values:
        return "-"
    if any(value is None for value in values):
        return "not in time"
    return f"{np.median(values):.1f} / {max(values):.1f}"
