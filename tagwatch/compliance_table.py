"""Compliance as JSON lines, as CSV, and as tables for people: counts with their denominators, never a bare percentage."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from alerts.alert import GRADE_ORDER
from alerts.compliance import APART, VERDICTS, Period, Window
from engine.times import HOUR_US, MINUTE_US, to_datetime, to_iso
from geofence.schedule import time_zone
from tagwatch.compliance import Figures, Report, together

COHORTLESS = "-"


def records(reports: Sequence[Report], period: Period) -> Iterator[dict[str, Any]]:
    """One record a wearer with its windows, then one a cohort, then the total."""
    days = {"from": str(period.first), "to": str(period.last), "as_of": to_iso(period.as_of_us)}
    for report in reports:
        who = report.wearer
        head = {"kind": "wearer", "wearer": who.wearer, "name": who.name, "cohort": who.cohort, **days}
        windows = [_window(w) for w in report.windows]
        yield {**head, "timezone": report.timezone, **_figures(report.figures), "nights": windows}
    for cohort, figures in cohorts(reports):
        yield {"kind": "cohort", "cohort": cohort, "wearers": figures.wearers, **days, **_figures(figures)}
    whole = together(reports)
    yield {"kind": "total", "wearers": whole.wearers, **days, **_figures(whole)}


def cohorts(reports: Sequence[Report]) -> list[tuple[str, Figures]]:
    """The figures of each cohort; wearers without one are theirs that is named `-`."""
    names = sorted({report.wearer.cohort or COHORTLESS for report in reports})
    return [(name, together(r for r in reports if (r.wearer.cohort or COHORTLESS) == name)) for name in names]


def write_csv(rows: Iterable[dict[str, Any]], file: TextIO) -> None:
    """One line a record, its parts as columns `curfew_kept`, `tag_strap_tampers`, ...; the nights are left to JSON."""
    writer = None
    for row in rows:
        flat = {key: row.get(key, "") for key in ("kind", "wearer", "cohort", "wearers", "from", "to", "as_of", "timezone")}
        flat |= dict(_flat({key: row[key] for key in ("curfew", "zones", "tag", "alerts")}))
        if writer is None:
            writer = csv.DictWriter(file, flat, lineterminator="\n", restval=0)
            writer.writeheader()
        writer.writerow(flat)


def _flat(part: dict[str, Any], stem: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in part.items():
        if isinstance(value, dict):
            if key not in ("rules", "handling"):  # what they hold differs from one to the next
                yield from _flat(value, f"{stem}{key}_")
        else:
            yield f"{stem}{key}", value


def _figures(f: Figures) -> dict[str, Any]:
    out, inside = f.zones["exclusion"], f.zones["inclusion"]
    return {
        "curfew": {
            "windows": f.judged, **{verdict: f.windows[verdict] for verdict in (*VERDICTS, *APART)},
            "required_minutes": _minutes(f.required_us), "away_minutes": _minutes(f.away_us),
            "unknown_minutes": _minutes(f.unknown_us), "authorised_minutes": _minutes(f.authorised_us),
        },
        "zones": {
            "exclusion": {"entries": out.n_entries, "minutes": _minutes(out.wrong_us), "single_fixes": out.n_single},
            "inclusion": {
                "exits": inside.n_entries, "minutes": _minutes(inside.wrong_us),
                "unknown_minutes": _minutes(inside.unknown_us), "in_force_minutes": _minutes(inside.in_force_us),
            },
        },
        "tag": {
            "strap_tampers": f.tag.n_strap, "case_tampers": f.tag.n_case, "battery_low": f.rules["tag.battery_low"],
            "battery_critical": f.rules["tag.battery_critical"], "battery_dead": f.rules["tag.battery_dead"],
            "worn_hours": _hours(f.tag.worn_us), "no_contact_hours": _hours(f.tag.no_contact_us),
            "no_fix_hours": _hours(f.tag.no_fix_us),
        },
        "alerts": {
            "all": f.grades.total(), **{grade: f.grades[grade] for grade in reversed(GRADE_ORDER)},
            "rules": dict(sorted(f.rules.items())), "handling": dict(sorted(f.handling.items())),
        },
    }  # fmt: skip


def _window(w: Window) -> dict[str, Any]:
    return {
        "curfew": w.curfew, "day": str(w.day), "start": to_iso(w.start_us), "end": to_iso(w.end_us), "verdict": w.verdict,
        "required_minutes": _minutes(w.required_us), "away_minutes": _minutes(w.out_us),
        "unknown_minutes": _minutes(w.unknown_us), "authorised_minutes": _minutes(w.authorised_us),
    }  # fmt: skip


def show(reports: Sequence[Report], period: Period, console: Console, *, nights: bool = False) -> None:
    """Three tables for the terminal: curfews, zones and alerts, tags; with `nights` each window too."""
    console.print(f"Compliance {period.first} to {period.last}, as known at {to_iso(period.as_of_us)}", highlight=False)
    console.print(_LEGEND, highlight=False)
    rows = [(r.wearer.wearer, r.wearer.cohort or COHORTLESS, r.figures) for r in reports]
    sums = cohorts(reports) if len(reports) > 1 else []
    sums += [("all", together(reports))] if len(sums) > 1 else []
    _print(console, "Curfew windows", _CURFEW, rows, sums)
    if nights:
        _print_nights(console, reports)
    _print(console, "Zones and alerts", _ZONES, rows, sums)
    _print(console, "Care of the tag", _TAG, rows, sums)


def _closed(f: Figures) -> str:
    """How many of the alerts people closed; nothing where nobody could."""
    closed = sum(n for state, n in f.handling.items() if state.startswith("closed"))
    return f"{closed} of {f.handling.total()}" if f.handling else ""


def _count(n: int) -> str:
    return f"{n:,}" if n else "."


def _clock(time_us: int) -> str:
    """Hours and minutes, seconds rounded up: what is not nothing is never shown as nothing."""
    minutes = -(-time_us // MINUTE_US)
    return f"{minutes // 60:,}:{minutes % 60:02d}" if minutes else "."


def _minutes(time_us: int) -> float:
    return round(time_us / MINUTE_US, 3)


def _hours(time_us: int) -> float:
    return round(time_us / HOUR_US, 3)


_LEGEND = (
    "Times in hours:minutes, a dot is none. unverif.: too much of it unknown to say; apart: not over, authorised as a whole,"
    " or no activated device."
)
_CURFEW = {
    "kept": lambda f: f"{f.windows['kept']} of {f.judged}", "partly": lambda f: _count(f.windows["partly_kept"]),
    "missed": lambda f: _count(f.windows["missed"]), "unverif.": lambda f: _count(f.windows["not_verifiable"]),
    "apart": lambda f: _count(sum(f.windows[name] for name in APART)), "away": lambda f: _clock(f.away_us),
    "unknown": lambda f: _clock(f.unknown_us), "of": lambda f: _clock(f.required_us),
}  # fmt: skip
_ZONES = {
    "entries": lambda f: _count(f.zones["exclusion"].n_entries), "inside": lambda f: _clock(f.zones["exclusion"].wrong_us),
    "exits": lambda f: _count(f.zones["inclusion"].n_entries), "outside": lambda f: _clock(f.zones["inclusion"].wrong_us),
    "alerts": lambda f: _count(f.grades.total()), "critical": lambda f: _count(f.grades["critical"]),
    "high": lambda f: _count(f.grades["high"]), "closed": _closed,
}  # fmt: skip
_TAG = {
    "strap": lambda f: _count(f.tag.n_strap), "case": lambda f: _count(f.tag.n_case),
    "low": lambda f: _count(f.rules["tag.battery_low"]), "critical": lambda f: _count(f.rules["tag.battery_critical"]),
    "dead": lambda f: _count(f.rules["tag.battery_dead"]), "no contact": lambda f: _clock(f.tag.no_contact_us),
    "no fix": lambda f: _clock(f.tag.no_fix_us), "of": lambda f: _clock(f.tag.worn_us),
}  # fmt: skip


def _print(
    console: Console, title: str, columns: dict[str, Any], rows: Sequence[tuple[str, str, Figures]],
    sums: Sequence[tuple[str, Figures]],
) -> None:  # fmt: skip
    table = _table(title)
    table.add_column("wearer", overflow="fold", min_width=8)
    table.add_column("cohort", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for wearer, cohort, figures in rows:
        table.add_row(wearer, cohort, *(cell(figures) for cell in columns.values()))
    for cohort, figures in sums:
        table.add_row(f"{figures.wearers:,}", cohort, *(cell(figures) for cell in columns.values()), style="bold")
    console.print(table)


def _table(title: str) -> Table:
    return Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="underline",
    )


def _print_nights(console: Console, reports: Sequence[Report]) -> None:
    table = _table("Each window")
    for name in ("curfew", "from", "to", "verdict"):
        table.add_column(name, overflow="fold")
    for name in ("away", "unknown", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in reports:
        zone = time_zone(report.timezone)
        for w in report.windows:
            start, end = (to_datetime(t).astimezone(zone) for t in (w.start_us, w.end_us))
            spent = (_clock(t) for t in (w.out_us, w.unknown_us, w.required_us))
            verdict = w.verdict.replace("_", " ")
            table.add_row(w.curfew, f"{start:%Y-%m-%d %H:%M}", f"{end:%m-%d %H:%M}", verdict, *spent)
    console.print(table)
