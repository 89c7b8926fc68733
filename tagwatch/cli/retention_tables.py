"""How terms, holds, plans and orders are shown."""

from __future__ import annotations

import sys
from typing import Any

from engine.times import to_iso
from tagwatch.cli.crime_tables import show as table
from tagwatch.retention.holds import Hold
from tagwatch.retention.orders import Order
from tagwatch.retention.term_store import SetTerm


def term_row(one: SetTerm) -> dict[str, Any]:
    """A wearer's own term."""
    return {**one._asdict(), "term": str(one.term), "set_us": to_iso(one.set_us)}


def order_row(one: Order) -> dict[str, Any]:
    """An order or a run of the policy, as it stands."""
    return {
        "number": one.number, "wearer": one.wearer, "from": None if one.from_us is None else to_iso(one.from_us),
        "to": to_iso(one.to_us), "kinds": list(one.kinds), "reason": one.reason, "order": one.reference,
        "by": one.ordered_by, "at": to_iso(one.ordered_us), "state": one.state, "erased": dict(one.done),
    }  # fmt: skip


def hold_row(one: Hold) -> dict[str, Any]:
    """A hold."""
    released = None if one.released_us is None else to_iso(one.released_us)
    return {
        "number": one.number, "wearers": list(one.wearers), "force": one.force, "crime": one.reference,
        "from": to_iso(one.span[0]), "to": to_iso(one.span[1]), "reason": one.reason, "by": one.placed_by,
        "at": to_iso(one.placed_us), "released": released, "released_by": one.released_by, "released_why": one.released_why,
    }  # fmt: skip


def print_terms(terms: list[dict[str, str]], own: list[dict[str, Any]]) -> None:
    """Terms by basis, a kind a column; then those of single wearers."""
    table(list(terms[0]), [list(row.values()) for row in terms])
    if own:
        print()
        columns = ("wearer", "kind", "term", "reason", "set_by")
        table(columns, [[str(row[name]) for name in columns] for row in own])


def print_orders(rows: list[dict[str, Any]]) -> None:
    """Orders and runs, the newest first."""
    if rows:
        print()
        lines = [
            [str(r["number"]), r["wearer"] or "(policy)", r["state"], r["at"], r["by"], r["reason"], counts(r["erased"])]
            for r in rows
        ]
        table(("number", "wearer", "state", "ordered", "by", "reason", "erased"), lines, numbers=("number",))


def print_holds(rows: list[dict[str, Any]]) -> None:
    """Holds, one a line."""
    lines = [
        [str(r["number"]), ", ".join(r["wearers"]) or "everybody", r["crime"] or "", r["from"], r["to"], r["by"], r["reason"],
         r["released"] or "holds"]
        for r in rows
    ]  # fmt: skip
    if lines:
        table(("number", "wearers", "crime", "from", "to", "by", "reason", "state"), lines, numbers=("number",))


def print_counts(plan: dict[str, Any]) -> None:
    """A plan, on standard error beside a receipt: what goes, what is held back, what is kept, and which copies there are."""
    out = sys.stderr
    print(f"to be erased:  {counts(plan['erase']) or 'nothing'}", file=out)
    if plan["holds"]:
        by = ", ".join(str(number) for number in plan["holds"])
        print(f"held back:     {counts(plan['held_back']) or 'nothing'} (hold {by})", file=out)
    for sentence in plan.get("kept", ()):
        print(f"kept:          {sentence}", file=out)
    for what, found in plan.get("copies", {}).items():
        if what == "runs":
            continue
        for one in found:
            print(f"copy outside:  {one['what']} {one['at']} by {one['by']} (audit row {one['audit']})", file=out)
    if plan.get("orders"):
        print(f"orders to do:  {', '.join(map(str, plan['orders']))}", file=out)


def counts(found: dict[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{n:,} {place}" for place, n in found.items())
