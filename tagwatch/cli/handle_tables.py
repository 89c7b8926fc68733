"""How the operators' commands show the queue, an alert's history and the figures: as JSON objects and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.times import to_iso

if TYPE_CHECKING:
    from alerts.alarm_figures import Figures
    from alerts.handling_store import Done, Standing

_TITLES = {
    "waiting": "Waits for somebody", "in_hand": "In hand", "shelved": "Shelved", "closed_active": "Closed, still active",
}  # fmt: skip


def standing_dict(held: Standing) -> dict[str, Any]:
    """An alert's handling, keys in a fixed order."""
    h = held.handling
    return {
        "id": held.id, "mark": held.mark, "rule": held.about.rule, "grade": held.grade, "condition": held.about.condition,
        "handling": h.state, "since": to_iso(h.since_us), "waiting_since": _iso(h.waiting_since_us), "why": h.why, "by": h.by,
        "assigned": h.assigned, "escalations": h.escalations, "until": _iso(h.until_us), "outcome": h.outcome,
    }  # fmt: skip


def action_dict(done: Done) -> dict[str, Any]:
    """One action, keys in a fixed order; what it does not have is left out."""
    a = done.action
    told = {
        "id": done.alert_id, "number": done.number, "alert_version": done.alert_version, "at": to_iso(a.at_us),
        "actor": a.actor, "role": a.role, "action": a.kind, "state": done.state, "whom": a.whom, "channel": a.channel,
        "said": a.said, "note": a.note, "reason": a.reason, "outcome": a.outcome, "until": _iso(a.until_us),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value not in ("", None)}


def print_queue(lines: list[dict[str, Any]]) -> None:
    """The queue as one table a section."""
    for section, title in _TITLES.items():
        these = [line for line in lines if line["section"] == section]
        if not these:
            continue
        table = _table(f"{title} ({sum(line.get('n_alerts', 1) for line in these)})")
        for name in ("grade", "waits", "wearer", "rule", "subject", "condition", "handling", "why", "alert", "mark"):
            table.add_column(name, overflow="fold", no_wrap=name in ("grade", "waits", "mark"))
        for line in these:
            if "head" not in line:
                table.add_row(*_cells(line))
                continue
            count = f"{line['n_alerts']} alerts"
            table.add_row(
                line["grade"], _length(line["waits_s"]), count, line["head"], "", "", "", line["text"], "--all", ""
            )
        _show(table)


def print_actions(standing: dict[str, Any], actions: list[dict[str, Any]]) -> None:
    """How an alert stands, and its history."""
    print("  ".join(f"{name} {value}" for name, value in standing.items() if value not in ("", None)))
    table = _table("History")
    for name in ("at", "actor", "action", "state", "told"):
        table.add_column(name, overflow="fold")
    shown = ("whom", "channel", "said", "note", "reason", "outcome", "until")
    for action in actions:
        who = " ".join(action[name] for name in ("actor", "role") if name in action)
        of = "" if action["id"] == standing["id"] else f" ({action['id']})"
        words = "; ".join(f"{name}: {action[name]}" for name in shown if name in action)
        table.add_row(action["at"], who, action["action"] + of, action["state"], words)
    _show(table)


def print_figures(found: Figures) -> None:
    """The figures beside what they should not exceed."""
    table = _table(f"{found.from_} to {found.to}, {found.n_operators} at work")
    for name in ("figure", "value", "at most"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    bounds = found.bounds
    for name, value, bound in (
        ("alerts raised", found.n_alerts, ""), ("of them retracted", found.n_retracted, ""),
        ("an operator in 10 min, average", found.average, bounds["average"]),
        ("an operator in 10 min, peak", found.peak, bounds["peak"]),
        ("intervals of 10 min over 10", f"{found.n_intervals_over} of {found.n_intervals}", _share(bounds["share_over"])),
        ("floods", len(found.floods), ""), ("time in flood", _share(found.share_in_flood), _share(bounds["share_in_flood"])),
        ("open now", found.standing, ""), ("stale now", found.stale, bounds["stale"]), ("shelved now", found.shelved, ""),
        ("answered", found.n_answered, ""), ("time to answer, median", _length(found.answer_median_s), ""),
        ("time to answer, 95 of 100 within", _length(found.answer_p95_s), ""),
        *((grade, n, "") for grade, n in found.by_grade.items()),
        ("critical and high", _share(found.critical_and_high_share), _share(bounds["critical_and_high_share"])),
        ("made by the ten most frequent", _share(found.most_frequent_share), _share(bounds["most_frequent_share"])),
    ):  # fmt: skip
        table.add_row(name, str(value), str(bound))
    _show(table)
    _print_frequent(found)
    for flood in found.floods:
        print(
            f"flood from {flood.began} to {flood.ended or 'now'}: {flood.n_alerts} alerts, at most {flood.peak} in 10 min"
        )


def _print_frequent(found: Figures) -> None:
    table = _table("Most frequent")
    for name in ("rule", "subject", "wearer", "alerts"):
        table.add_column(name)
    for source in found.most_frequent:
        table.add_row(source.rule, source.subject, source.wearer, str(source.n_alerts))
    _show(table)


def _cells(row: dict[str, Any]) -> list[str]:
    why = "; ".join(word for word in (row["why"], "stale" if row["stale"] else "", _in_hand(row)) if word)
    return [row["grade"], _length(row["waits_s"]), row["wearer"], row["rule"], row["subject"], row["condition"],
            row["handling"], why, row["id"], row["mark"]]  # fmt: skip


def _in_hand(row: dict[str, Any]) -> str:
    words = [f"by {row['by']}"] if row["section"] != "waiting" and row["by"] else []
    words += [f"assigned to {row['assigned']}"] if row["assigned"] else []
    words += [f"until {row['until']}"] if row["until"] else []
    words += [f"incident of {row['incident']}"] if row["incident"] not in (None, row["id"]) else []
    return ", ".join(words + ([row["outcome"]] if row["outcome"] else []))


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes = round(seconds) // 60
    return (
        f"{round(seconds)} s"
        if minutes < 2
        else f"{minutes} min"
        if minutes < 120
        else f"{minutes // 60} h {minutes % 60:02} m"
    )


def _share(share: float) -> str:
    return f"{share * 100:.1f} %"


def _iso(time_us: int | None) -> str | None:
    return None if time_us is None else to_iso(time_us)


def _table(title: str) -> Any:
    from rich.table import Table

    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")


def _show(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # into a pipe or a file: nothing is cut or folded
        console = Console(highlight=False, markup=False, width=220)
    console.print(table)
