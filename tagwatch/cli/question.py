"""The command `near`: who was near a place in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagwatch.cli.asking import Compatible, MaxSpeed, MinFixes, Only, Pad, Radius, pad_us, verdicts_of
from tagwatch.cli.options import (
    ActivationsFile,
    Case,
    Config,
    Events,
    Percentile,
    Reason,
    SkipBad,
    TrailOption,
    Tz,
    instant,
    say,
    zone_of,
)

if TYPE_CHECKING:
    from crime_match.match import Match
    from tagwatch.near import Found


def near(
    lat: Annotated[float, typer.Option(help="Latitude, degrees")],
    lon: Annotated[float, typer.Option(help="Longitude, degrees")],
    from_: Annotated[str, typer.Option("--from", help="Start of the window")],
    to: Annotated[str, typer.Option("--to", help="End of the window")],
    radius: Radius = 100.0, pad: Pad = "10m", max_speed: MaxSpeed = 55.0, min_fixes: MinFixes = 1, only: Only = None,
    compatible: Compatible = False,
    trails: TrailOption = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="TRAIL", help="More trail files")] = None,
    activations: ActivationsFile = None, events: Events = None,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON a wearer")] = False,
    config: Config = None, tz: Tz = None, skip_bad: SkipBad = False, percentile: Percentile = 0.95,
    reason: Reason = "", case: Case = "",
) -> None:  # fmt: skip
    """Who was near a place in a window: placed, possible, excluded or unmonitored, one line a wearer."""
    from crime_match.question import Question

    start, end = instant(from_, "--from", tz), instant(to, "--to", tz)
    assert start is not None
    assert end is not None
    question = Question(
        lat, lon, start, end, radius_m=radius, pad_us=pad_us(pad), max_speed_mps=max_speed, min_fixes=min_fixes
    )
    wanted = verdicts_of(only)
    files = [*(trails or []), *(more or [])]
    if files:
        found = _from_files(question, files, activations, events, tz, skip_bad, percentile, compatible)
    else:
        found = _from_database(question, config, wanted, compatible, (reason, case))
    shown = [m for m in found.matches if m.verdict in wanted]
    if json:
        for match in shown:
            print(match.to_json())
    else:
        _table(shown)
    carried = f" ({', '.join(f'{n} {s}' for s, n in found.supports.items())})" if any(found.supports.values()) else ""
    say(", ".join(f"{n} {v}{carried if v == 'placed' else ''}" for v, n in found.counts.items()))


def _from_files(
    question: Any, files: list[str], activations: str | None, events: str | None, tz: str | None, skip_bad: bool,
    percentile: float, compatible: bool,
) -> Found:  # fmt: skip
    from engine.activations import Activation
    from ingest.activation_files import read_activations
    from ingest.event_files import read_events
    from tagwatch.cli.trails import read_fixes_about, tell_cut_times, tell_no_fixes
    from tagwatch.near import found_of, near_from

    worn = read_activations(activations) if activations else None
    noticed = read_events(events, zone_of(tz)) if events else []
    plan = Activation("", "", -(2**62), percentile=percentile)
    fixes = read_fixes_about(files, [question], worn, tz, skip_bad)
    tell_no_fixes(fixes, ", ".join(files))
    tell_cut_times(fixes)
    return found_of(near_from(fixes, question, worn, noticed, plan, compatible=compatible))


def _from_database(question: Any, config: Any, wanted: tuple[str, ...], compatible: bool, why: tuple[str, str]) -> Found:
    from engine.times import to_iso
    from tagwatch import configuration
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.crimes import LOOK_S, connected
    from tagwatch.near import near_in_database
    from tagwatch.settings import read_settings

    settings = read_settings(config)
    with connected(config, LOOK_S) as connection:
        window = {"from": to_iso(question.from_us), "to": to_iso(question.to_us), "radius_m": question.radius_m}
        log_view(connection, "near asked", reason=why[0], case_ref=why[1], asked=window)
        conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
        plan = settings.default_plan
        return near_in_database(connection, question, conditions.activations, plan, only=wanted, compatible=compatible)


def _table(matches: list[Match]) -> None:
    for m in matches:
        closest = "-" if m.closest_m is None else f"{m.closest_m:.0f} m"
        words = [f"{m.verdict:<11}", f"{m.wearer:<12}", f"closest {closest:>9}", f"coverage {m.coverage * 100:3.0f} %"]
        if m.compatible:
            words.append(f"ministry {'yes' if m.compatible['matched'] else 'no ':<3}")
        if m.support:
            words.append(f"support {m.support}")
        if m.required_speed_mps:  # who needs none is told so in words
            words.append(f"needs {m.required_speed_mps:6.2f} m/s")
        print("  ".join([*words, *_said(m)]))


def _said(match: Match) -> list[str]:
    """The reason that says most beside the columns; where the ministry's rule matches somebody else, why."""
    speed = None if match.required_speed_mps is None else f"{match.required_speed_mps:.2f} m/s"
    reasons = [reason for reason in match.reasons if speed is None or speed not in reason]
    if match.compatible and match.compatible["matched"] and match.compatible["differs"]:
        reasons.insert(0, match.compatible["differs"])
    return reasons[:1]
