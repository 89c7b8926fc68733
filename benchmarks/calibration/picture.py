"""The picture of the curves as plain SVG: false alarms a wearer-day (log scale) against the median delay of detection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, GAP, FOOT = 300.0, 260.0, 70.0, 60.0, 30.0, 90.0
LEGEND = (
    "Green: ours, thresholds 0.6 to 0.97. Red: others, hollow where deep visits were missed. Shaded: the goal. "
    "Dashed: two fixes truly inside, which no rule of two fixes can beat."
)
LEAST, MOST, LONGEST_S = 5e-4, 1.0, 320.0
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.axis{stroke:#888;fill:none}.grid{stroke:#ddd}"
    ".ours{stroke:#0b6;fill:none;stroke-width:2}.dot{fill:#0b6}.rival{fill:#c33;stroke:#c33}.rival.missing{fill:#fff}"
    ".limit{stroke:#06c;stroke-dasharray:4 3}.goal{fill:#0b6;opacity:.12}"
)


def draw(rows: Sequence[Any]) -> str:
    """The scores of one fix interval, one panel for each memory; nothing false is drawn on the lower edge."""
    memories = sorted({row.memory_s for row in rows})
    width = LEFT + len(memories) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{TOP + HEIGHT + FOOT:.0f}" role="img">',
        "<title>False alarms a wearer-day against the median delay of detection</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{TOP + HEIGHT + FOOT:.0f}" fill="#fff"/>',
        f'<text x="20" y="20">False alarms a wearer-day</text><text x="20" y="{TOP + HEIGHT + 74:.1f}">{LEGEND}</text>',
    ]
    for number, memory_s in enumerate(memories):
        mine = [row for row in rows if row.memory_s == memory_s]
        parts += _panel(LEFT + number * (WIDTH + GAP), memory_s, mine, number == 0)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: float, memory_s: float, rows: Sequence[Any], named: bool) -> list[str]:
    def x(delay_s: float) -> float:
        return left + min(delay_s, LONGEST_S) / LONGEST_S * WIDTH

    def y(false_a_day: float) -> float:
        share = math.log(min(MOST, max(LEAST, false_a_day)) / LEAST) / math.log(MOST / LEAST)
        return TOP + HEIGHT * (1.0 - share)

    ours = [row for row in rows if row.rule.startswith("(d)")]
    rivals = [row for row in rows if row.rule.startswith(("(a)", "(b)", "(c)")) and row.median_s < LONGEST_S]
    plain = next(row for row in rows if row.rule.startswith("(a)"))
    limit = next(row for row in rows if row.rule.startswith("two fixes"))
    goal_x, goal_y = x(plain.median_s + plain.interval_s), y(plain.false_a_day / 20.0)
    bottom = TOP + HEIGHT
    made = [
        f'<text x="{left:.1f}" y="{TOP - 24:.1f}">errors remembered {memory_s / 60:.0f} min</text>',
        f'<rect class="goal" x="{left:.1f}" y="{goal_y:.1f}" width="{goal_x - left:.1f}" height="{bottom - goal_y:.1f}"/>',
        f'<path class="axis" d="M{left:.1f} {TOP:.1f}V{bottom:.1f}H{left + WIDTH:.1f}"/>',
        f'<path class="limit" d="M{x(limit.median_s):.1f} {TOP:.1f}V{bottom:.1f}"/>',
        f'<text x="{left + WIDTH / 2 - 60:.1f}" y="{bottom + 40:.1f}">median delay [s]</text>',
    ]
    for delay_s in (0, 60, 120, 180, 240, 300):
        made.append(f'<text x="{x(delay_s) - 8:.1f}" y="{bottom + 18:.1f}">{delay_s}</text>')
    for level in (0.001, 0.01, 0.1, 1.0):
        made.append(f'<path class="grid" d="M{left:.1f} {y(level):.1f}H{left + WIDTH:.1f}"/>')
        if named:
            made.append(f'<text x="{left - 46:.1f}" y="{y(level) + 4:.1f}">{level:g}</text>')
    for row in rivals:
        look = "rival missing" if row.n_missed > row.n_deep // 20 else "rival"
        lift = 8 if row is plain else -6
        made.append(f'<circle class="{look}" cx="{x(row.median_s):.1f}" cy="{y(row.false_a_day):.1f}" r="4"/>')
        made.append(f'<text x="{x(row.median_s) + 7:.1f}" y="{y(row.false_a_day) - lift:.1f}">{_short(row.rule)}</text>')
    line = " ".join(f"{x(row.median_s):.1f},{y(row.false_a_day):.1f}" for row in ours)
    made.append(f'<polyline class="ours" points="{line}"/>')
    for row in ours:
        made.append(f'<circle class="dot" cx="{x(row.median_s):.1f}" cy="{y(row.false_a_day):.1f}" r="3"/>')
    return made


def _short(rule: str) -> str:
    return f"(b) {rule.split()[2]} m" if rule.startswith("(b)") else rule[:3]
