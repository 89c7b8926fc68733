"""The tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def tables(found: Mapping[str, Any]) -> str:
    """All tables of the results, with their headings."""
    parts = [
        ("Who was there, and who was not", _roles(found["roles"])),
        ("Sensitivity", _sensitivity(found["sensitivity"])),
        ("False placements", _false(found["false"])),
        ("Wrong exclusions", _wrong(found["wrong"])),
        ("Wrong exclusions, the vicinity touched at one instant, no padding", _wrong(found["wrong_grazing"])),
        ("The absent who are excluded, no mast fix about, by worst gap", _curves(found["by_gap"], "gap_s")),
        ("The absent who are excluded, with mast fixes", _curves(found["by_gap_with_masts"], "gap_s")),
        ("The absent who are excluded, no mast fix about, worst gap of 2 min", _curves(found["by_speed"], "speed_mps")),
        ("The goal", _goal(found["goal"])),
    ]
    head = f"{found['pairs']:,} pairs in {found['towns']} towns\n"
    return head + "\n".join(f"\n### {title}\n\n{body}" for title, body in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _roles(rows: Sequence[Row]) -> str:
    head = ("who", "pairs", "placed", "strong", "weak", "cell", "possible", "excluded", "unmonitored")
    keys = ("placed", "strong", "weak", "cell", "possible", "excluded", "unmonitored")
    return table(head, ((r["role"], f"{r['n']:,}", *(_percent(r[k], r["n"]) for k in keys)) for r in rows))


def _sensitivity(rows: Sequence[Row]) -> str:
    intervals = sorted({r["interval_s"] for r in rows})
    spans = list(dict.fromkeys((r["from_s"], r["to_s"]) for r in rows))
    cell = {(r["from_s"], r["interval_s"]): r for r in rows}
    head = ("in the vicinity for", *(f"a fix every {s} s" for s in intervals))
    return table(head, ((_span_s(*span), *(_of(cell.get((span[0], s))) for s in intervals)) for span in spans))


def _of(row: Row | None) -> str:
    if row is None or not row["n"]:
        return ""
    return f"{_percent(row['placed'], row['n'])} ({_percent(row['strong'], row['n'])}) of {row['n']:,}"


def _false(rows: Sequence[Row]) -> str:
    head = ("true closest distance", "pairs", "placed per 1,000", "strong", "weak", "cell", "beyond vicinity and circle")
    lines = []
    for r in rows:
        per = [f"{1000.0 * r[k] / r['n']:.2f}" if r["n"] else "" for k in ("placed", "strong", "weak", "cell")]
        lines.append((_span_m(r["from_m"], r["to_m"]), f"{r['n']:,}", *per, r["beyond_the_circle"]))
    return table(head, lines)


def _wrong(rows: Sequence[Row]) -> str:
    head = ("errors", "fix every", "maximum speed", "truly there", "excluded", "a thousand, 95 % interval")
    return table(head, (
        (r["errors"], f"{r['interval_s']} s", f"{r['max_speed_mps']:g} m/s", f"{r['n']:,}", r["k"],
         f"{1000 * r['low']:.2f} to {1000 * r['high']:.2f}") for r in rows
    ))  # fmt: skip


def _curves(curves: Sequence[Row], key: str) -> str:
    spans = sorted({(r["from_km"], r["to_km"]) for each in curves for r in each["curve"]})
    cells = [{r["from_km"]: r for r in each["curve"]} for each in curves]
    head = ("closest, km", *(_named(each[key]) for each in curves))
    return table(head, (
        (f"{a:g} to {b:g}" if b < 1e9 else f"over {a:g}",
         *(f"{_percent(c[a]['k'], c[a]['n'])} of {c[a]['n']:,}" if a in c else "" for c in cells)) for a, b in spans
    ))  # fmt: skip


def _named(value: Any) -> str:
    return f"{value:g} m/s" if isinstance(value, float) else f"gap {_span_s(*value)}"


def _goal(rows: Sequence[Row]) -> str:
    head = ("errors", "maximum", "beyond", "worst gap", "mast fixes", "pairs", "excluded", "95 % interval",
            "not: tag state", "mast fixes", "else")  # fmt: skip
    return table(head, (
        (r["errors"], f"{r['max_speed_mps']:g} m/s", f"{r['least_m'] / 1000:g} km", f"{r['most_gap_s']:g} s",
         "too" if r["with_masts"] else "none", f"{r['n']:,}", _percent(r["k"], r["n"]),
         f"{100 * r['low']:.1f} to {100 * r['high']:.1f} %", r["tag_state"], r["masts"], r["others"]) for r in rows
    ))  # fmt: skip


def _percent(k: int, n: int) -> str:
    return f"{100.0 * k / n:.1f} %" if n else ""


def _span_s(low: float, high: float) -> str:
    return f"over {length(low)}" if high == float("inf") else f"{length(low)} to {length(high)}"


def length(seconds: float) -> str:
    """A length of time as text."""
    return f"{seconds:g} s" if seconds < 120.0 else f"{seconds / 60.0:g} min"


def _span_m(low: float, high: float) -> str:
    if high == float("inf"):
        return f"over {low:g} m" if low else "all pairs"
    return f"{low:g} to {high:g} m"
