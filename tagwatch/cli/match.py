"""The command `match`: the verdict of every crime and wearer, from trail files or from the database."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from engine.errors import InputError
from tagwatch.cli import choosing
from tagwatch.cli.asking import VERDICTS, Compatible, MaxSpeed, MinFixes, Only, Pad, Radius, pad_us, verdicts_of
from tagwatch.cli.options import (
    ActivationsFile,
    Case,
    Config,
    Events,
    Out,
    Percentile,
    SkipBad,
    TrailOption,
    Tz,
    output,
    say,
)

if TYPE_CHECKING:
    from crime_match.match import CrimeMatches
    from crime_match.question import Parameters
    from crime_match.runs.run import Run
    from engine.database import Connection
    from tagwatch.cli.material import Material

FORMATS = ("jsonl", "csv", "geojson")
PLANS = ("auto", "index", "scan")
CrimesFile = Annotated[str | None, typer.Option("--crimes", help="Crimes: the police batch or our CSV, or -")]
Links = Annotated[str | None, typer.Option("--links", help="File for who is placed at several crimes, and who together")]
WearersFile = Annotated[str | None, typer.Option("--wearers", help="Wearers: CSV (names in the CSV of results)")]
TeamsFile = Annotated[str | None, typer.Option("--teams", help="Teams: JSON (managers in the CSV of results)")]


class Asked(NamedTuple):
    """What is asked of each crime; the verdicts to list, and whether the others are counted; in which form and where to."""

    parameters: Parameters
    only: tuple[str, ...]
    counted: bool
    compatible: bool
    plan: str
    form: str
    out: str | None
    links: str | None


def match(
    crimes: CrimesFile = None, trails: TrailOption = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="TRAIL", help="More trail files")] = None,
    crime: Annotated[str | None, typer.Option("--crime", help="The crimes of this reference alone")] = None,
    force: choosing.Force = None, batch: choosing.Batch = None, from_: choosing.From = None, to: choosing.To = None,
    new: choosing.New = False, stale: choosing.Stale = False,
    activations: ActivationsFile = None, events: Events = None, out: Out = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, csv (the ministry's 18 columns) or geojson")] = "jsonl",
    only: Only = None, radius: Radius = 100.0, pad: Pad = "10m", max_speed: MaxSpeed = 55.0, min_fixes: MinFixes = 1,
    compatible: Compatible = False,
    plan: Annotated[str, typer.Option("--plan", help="auto, index or scan: the same answer by another way")] = "auto",
    links: Links = None, wearers: WearersFile = None, teams: TeamsFile = None,
    by: Annotated[str, typer.Option("--by", envvar="TAGWATCH_OPERATOR", help="Who asks (default: the login name)")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, kept with the run")] = "",
    case: Case = "",
    config: Config = None, tz: Tz = None, skip_bad: SkipBad = False, percentile: Percentile = 0.95,
) -> None:  # fmt: skip
    """Each crime against each wearer: placed, possible, excluded or unmonitored.

    Without trails from the database, where the run is recorded; --new matches what needs it, day by day.
    """
    from crime_match.question import Parameters
    from tagwatch.cli.material import Given, material

    wanted = _listed(form, only)
    _one_of("--plan", plan, PLANS)
    parameters = Parameters(radius, pad_us(pad), max_speed, min_fixes)
    asked = Asked(parameters, wanted, only is not None, compatible, plan, form, out, links)
    files = [*(trails or []), *(more or [])]
    choice = choosing.choice_of(force, batch, from_, to, stale, new, tz, reference=crime)
    given = Given(
        files, crimes, choice, activations, events, wearers, teams, config, tz, skip_bad, percentile, reason, case
    )
    _require_apart([*files, crimes, activations, events, wearers, teams], {"--out": out, "--links": links})
    with material(given, parameters) as found:
        if found.crimes:
            _run(found, asked, (by, reason))
        else:
            _write_nothing(found, asked)
            say(f"no crime of the database is asked for by {', '.join(choosing.options_of(choice))}: nothing to match")


def _listed(form: str, only: str | None) -> tuple[str, ...]:
    """The verdicts to list. The 18 columns have none for the verdict: they list who is placed."""
    _one_of("--format", form, FORMATS)
    wanted = verdicts_of("placed" if form == "csv" and only is None else only)
    if form == "csv" and wanted != ("placed",):
        expected = "placed with --format csv, whose 18 columns do not tell a verdict"
        raise InputError(field="--only", value=only, expected=expected)
    return wanted


def _require_apart(inputs: Sequence[str | None], outputs: dict[str, str | None]) -> None:
    """No output may take the place of an input, or of the other output; standard input can be read once."""
    if sum(path == "-" for path in inputs) > 1:
        raise InputError("standard input (-) is named twice", expected="one file at most that comes by standard input")
    taken = {Path(path).resolve(): path for path in inputs if path not in (None, "-")}
    if outputs["--links"] == "-" and outputs["--out"] in (None, "-"):
        raise InputError(field="--links", value="-", expected="a file, as the matches go to standard output")
    for option, path in outputs.items():
        if path in (None, "-"):
            continue
        if Path(path).resolve() in taken:
            raise InputError(field=option, value=path, expected="a file that is not read or written otherwise")
        taken[Path(path).resolve()] = path


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(field=option, value=value, expected=" or ".join(known))


def _run(material: Material, asked: Asked, made: tuple[str, str]) -> None:
    """Match, write each crime's results as they come, record the run where there is a database, and say what came of it."""
    from crime_match.runs.results import form_of, write
    from tagwatch.cli.progress import progress
    from tagwatch.matching import match_crimes, run_of

    crimes, trails, parameters = material.crimes, material.trails, asked.parameters
    what: dict[str, Any] = {"only": asked.only, "compatible": asked.compatible}
    run = run_of(crimes, trails, parameters, counted=asked.counted, **what)
    form = form_of(asked.form, parameters, material.people, counted=asked.counted)
    counts: Counter[str] = Counter()
    with output(asked.out) as file, progress(len(crimes), "matching", asked.out) as tell:
        results = match_crimes(trails, crimes, parameters, plan=asked.plan, progress=tell, **what)
        results = _counting(write(form, results, file), counts)
        if material.connection and material.versions:
            _record(material.connection, run, results, material.versions, made)
        else:
            deque(results, maxlen=0)
    if asked.links:
        _link(material, asked, run)
    said = ", ".join(f"{counts[verdict]:,} {verdict}{_supports(counts, verdict)}" for verdict in VERDICTS)
    say(f"{_of(len(crimes), 'crime')}, {_of(len(trails), 'wearer')}: {said}")
    if asked.form == "csv" and counts["placed cell"]:
        say(
            f"tagwatch: {counts['placed cell']} of the rows rest on telephone masts alone; the 18 columns do not tell which"
        )
    say(f"run {run.id}")


def _write_nothing(material: Material, asked: Asked) -> None:
    """Results of no crimes, so that nobody takes those of the day before for today's."""
    from crime_match.runs.results import form_of, write

    with output(asked.out) as file:
        deque(write(form_of(asked.form, asked.parameters, material.people), [], file), maxlen=0)
    if asked.links:
        with output(asked.links):
            pass


def _link(material: Material, asked: Asked, run: Run) -> None:
    from crime_match.runs.results_links import lines_of
    from tagwatch.cli.progress import progress

    with output(asked.links) as file, progress(len(material.crimes), "linking", asked.links) as tell:
        file.writelines(lines_of(run, material.trails, material.crimes, asked.parameters, progress=tell))


def _of(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' if n != 1 else ''}"


def _counting(results: Iterable[CrimeMatches], counts: Counter[str]) -> Iterator[CrimeMatches]:
    for found in results:
        counts.update(found.counts)
        counts.update(f"placed {match.support}" for match in found.matches if match.support)
        yield found


def _supports(counts: Counter[str], verdict: str) -> str:
    """How far the placements carry, which no count mixes."""
    told = [f"{counts[f'{verdict} {support}']:,} {support}" for support in ("strong", "weak", "cell")]
    known = sum(counts[f"{verdict} {support}"] for support in ("strong", "weak", "cell"))
    return f" ({', '.join(told)})" if known else ""


def _record(
    connection: Connection, run: Run, results: Iterable[CrimeMatches], versions: dict[tuple[str, str], int],
    made: tuple[str, str],
) -> None:  # fmt: skip
    """Keep the run with its lines as JSON, whatever format was asked for; and that it was made, by whom and why."""
    from getpass import getuser

    from engine.times import system_clock
    from tagwatch.access.by_command import log_change
    from tagwatch.stored_runs import keep_run

    by, reason = made
    log_change(connection, "match run", run.id, reason=reason, by=by)
    keep_run(connection, run, results, versions, system_clock(), by or getuser(), reason)
