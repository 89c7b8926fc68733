"""The picture of the curves as plain SVG: who is excluded, by true distance, worst gap and speed; who is placed, by dwell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.matching_truth.text import length

WIDTH, HEIGHT, LEFT, TOP, GAP, FOOT = 300.0, 230.0, 60.0, 58.0, 52.0, 118.0
COLOURS = ("#06c", "#0a7", "#c80", "#c33", "#727", "#555")
LEGEND = (
    "No mast fixes about the window but where said. Dotted: 95 % from 3 km. Shares of fewer than 20 pairs are left out."
)
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.axis{stroke:#888;fill:none}.grid{stroke:#ddd}"
    ".line{fill:none;stroke-width:2}.goal{fill:none;stroke:#222;stroke-dasharray:3 4}"
)

Curve = tuple[str, list[tuple[float, float]]]


def draw(found: Mapping[str, Any]) -> str:
    """Three panels beside each other."""
    width, height = LEFT + 3 * (WIDTH + GAP), TOP + HEIGHT + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" role="img">',
        "<title>Share of the absent who are excluded, and of the present who are placed</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    gaps = [(_gap(each["gap_s"]), _points(each["curve"])) for each in found["by_gap"]]
    gaps.append(("1 min, masts", _points(found["by_gap_with_masts"][0]["curve"])))
    speeds = [(f"{each['speed_mps']:g} m/s", _points(each["curve"])) for each in found["by_speed"]]
    far = ((0.1, 15.0), (0.1, 0.3, 1, 3, 10), "true closest distance [km]")
    dwell = ((7.0, 3600.0), (10, 60, 600, 3600), "true time in the vicinity")
    parts += _panel(0, "The absent excluded, by worst gap (55 m/s)", *far, [c for c in gaps if c[1]], goal=(3.0, 0.95))
    parts += _panel(1, "The absent excluded, by speed (gap to 2 min)", *far, [c for c in speeds if c[1]])
    parts += _panel(2, "The present placed, by fix interval", *dwell, _placed(found["sensitivity"]))
    parts.append(f'<text x="{LEFT:.1f}" y="{height - 8:.1f}">{LEGEND}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _points(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    return [(row["km"], row["share"]) for row in rows]


def _placed(rows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    curves = []
    for interval_s in sorted({row["interval_s"] for row in rows}):
        mine = [row for row in rows if row["interval_s"] == interval_s and row["n"] >= 20]
        points = [(_middle(row["from_s"], row["to_s"]), row["placed"] / row["n"]) for row in mine]
        curves.append((f"every {length(interval_s)}", points))
    return curves


def _middle(low: float, high: float) -> float:
    return math.sqrt(max(low, 4.0) * (high if high < math.inf else 3.0 * low))


def _gap(span: tuple[float, float]) -> str:
    return f"over {length(span[0])}" if span[1] == math.inf else f"up to {length(span[1])}"


def _panel(
    number: int, title: str, span: tuple[float, float], ticks: Sequence[float], label: str, curves: Sequence[Curve],
    goal: tuple[float, float] | None = None,
) -> list[str]:  # fmt: skip
    left, bottom = LEFT + number * (WIDTH + GAP), TOP + HEIGHT

    def x(value: float) -> float:
        inside = min(span[1], max(span[0], value))
        return left + WIDTH * math.log(inside / span[0]) / math.log(span[1] / span[0])

    def y(share: float) -> float:
        return bottom - HEIGHT * share

    made = [
        f'<text class="title" x="{left:.1f}" y="{TOP - 22:.1f}">{title}</text>',
        f'<text x="{left + WIDTH / 2 - 70:.1f}" y="{bottom + 38:.1f}">{label}</text>',
    ]
    for percent in (0, 25, 50, 75, 100):
        made.append(f'<path class="grid" d="M{left:.1f} {y(percent / 100):.1f}H{left + WIDTH:.1f}"/>')
        made.append(f'<text x="{left - 8:.1f}" y="{y(percent / 100) + 4:.1f}" text-anchor="end">{percent} %</text>')
    for tick in ticks:
        said = f"{tick:g}" if "km" in label else length(tick)
        made.append(f'<path class="grid" d="M{x(tick):.1f} {TOP:.1f}V{bottom:.1f}"/>')
        made.append(f'<text x="{x(tick):.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{said}</text>')
    made.append(f'<path class="axis" d="M{left:.1f} {TOP:.1f}V{bottom:.1f}H{left + WIDTH:.1f}"/>')
    if goal:
        made.append(f'<path class="goal" d="M{x(goal[0]):.1f} {bottom:.1f}V{y(goal[1]):.1f}H{left + WIDTH:.1f}"/>')
    for k, (name, points) in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        made.append(f'<polyline class="line" stroke="{colour}" points="{line}"/>')
        across, down = left + (k % 3) * 104.0, bottom + 60.0 + 18.0 * (k // 3)
        made.append(f'<path class="line" stroke="{colour}" d="M{across:.1f} {down - 4:.1f}h16"/>')
        made.append(f'<text x="{across + 21:.1f}" y="{down:.1f}">{name}</text>')
    return made
