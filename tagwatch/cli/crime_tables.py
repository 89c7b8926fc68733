"""How crimes and runs are shown: as JSON objects with keys in a fixed order, and as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.times import SECOND_US, to_iso

if TYPE_CHECKING:
    from crime_match.crimes.crime import Crime
    from crime_match.crimes.store import Version
    from crime_match.runs.staleness import Listed, Run, RunCrime
    from crime_match.runs.store import Made, Result

SHORT = 12
"""How much of a run's id is shown where people read it."""
_UNITS = {"m": "m", "mps": "m/s"}
NOTHING = "changed and changed back"
"""What is said where the latest version says again what the matched one said."""


def version_dict(version: Version) -> dict[str, Any]:
    """A version of a crime."""
    crime = version.crime.record()
    head = {name: crime.pop(name) for name in ("force", "reference")}
    return head | {"version": version.version, "changed": list(version.changed)} | crime | {"import": version.batch_number}


def listed_dict(listed: Listed) -> dict[str, Any]:
    """The latest version of a crime, and in how many runs it was matched."""
    return version_dict(listed.version) | {"runs": listed.n_runs, "stale_runs": listed.n_stale}


def run_dict(run: Run, made: Iterable[Made]) -> dict[str, Any]:
    """A run, its sums, and when and by whom it was made."""
    return {
        "run": run.id, "algorithm": run.algorithm, "parameters": run.parameters, "inputs": run.inputs,
        "crimes": run.n_crimes, "stale_crimes": run.n_stale, "results": run.n_lines, "counts": run.counts,
        "made": [{"at": to_iso(m.made_us), "by": m.made_by, "reason": m.reason} for m in made],
    }  # fmt: skip


def run_crime_dict(crime: RunCrime) -> dict[str, Any]:
    """A crime of a run, and whether what was found is stale."""
    return {
        "run": crime.run, "force": crime.force, "crime": crime.reference, "version": crime.version, "latest": crime.latest,
        "stale": crime.stale, "changed": list(crime.changed), "counts": crime.counts,
    }  # fmt: skip


def result_dict(result: Result, crime: RunCrime) -> dict[str, Any]:
    """A result, whether it is stale, and under `match` the line as it was written, byte for byte."""
    import msgspec

    return {
        "run": crime.run, "force": crime.force, "crime": crime.reference, "version": crime.version, "latest": crime.latest,
        "stale": crime.stale, "changed": list(crime.changed), "wearer": result.wearer, "verdict": result.verdict,
        "support": result.support, "match": msgspec.Raw(result.line.encode()),
    }  # fmt: skip


def when(time_us: int) -> str:
    """A time as people read it, UTC, without a fraction of zero."""
    return to_iso(time_us).replace("T", " ").replace(".000Z", "Z")


def moment(time_us: int) -> str:
    """When something was done, to the second."""
    return when(time_us - time_us % SECOND_US)


def place(crime: Crime) -> str:
    """Latitude and longitude, and how far the true place may lie from them."""
    about = f" ± {crime.uncertainty_m:g} m" if crime.uncertainty_m else ""
    return f"{crime.lat:.6f}, {crime.lon:.6f}{about}"


def window(crime: Crime) -> str:
    """The window of a crime, UTC; seconds and the second day only where they say anything."""
    texts = [when(time_us).removesuffix("Z") for time_us in (crime.from_us, crime.to_us)]
    if all(text.endswith(":00") for text in texts):
        texts = [text.removesuffix(":00") for text in texts]
    start, end = texts
    if start == end:
        return f"{start} Z"
    return f"{start} to {end.removeprefix(start[:11])} Z"


def stale_words(crime: RunCrime) -> str:
    """Whether a result still stands for what is known of the crime."""
    return f"STALE: {', '.join(crime.changed) or NOTHING}" if crime.stale else ""


def print_crimes(found: Sequence[Listed]) -> None:
    """The latest version of each crime, one a line."""
    rows = []
    for listed in found:
        crime, changed = listed.version.crime, ", ".join(listed.version.changed)
        version = f"{listed.version.version} ({changed})" if changed else str(listed.version.version)
        runs = str(listed.n_runs or "") + (f", {listed.n_stale} STALE" if listed.n_stale else "")
        rows.append([crime.force, crime.reference, crime.type, window(crime), version, runs])
    show(("force", "reference", "type", "window", "version", "runs"), rows)


def print_run_crimes(crimes: Sequence[RunCrime]) -> None:
    """Crimes of a run, one a line, with the version that was matched and whether that is the latest."""
    rows = [[c.force, c.reference, str(c.version), *map(str, c.counts.values()), stale_words(c)] for c in crimes]
    verdicts = tuple(crimes[0].counts) if crimes else ()
    show(("force", "reference", "version", *verdicts, "changed since"), rows, numbers=("version", *verdicts))


def print_runs(found: Sequence[tuple[Run, Sequence[Made]]]) -> None:
    """Runs, one a line, with what most look for."""
    rows = [
        [run.id[:SHORT], *made_words(made), f"{run.n_crimes:,}", f"{run.counts['placed']:,}", f"{run.counts['possible']:,}",
         f"{run.n_stale:,} STALE" if run.n_stale else ""]
        for run, made in found
    ]  # fmt: skip
    numbers = ("crimes", "placed", "possible")
    show(("run", "last made", "by", *numbers, "changed since"), rows, numbers)


def made_words(made: Sequence[Made]) -> tuple[str, str]:
    """When and by whom a run was made last."""
    return (moment(made[-1].made_us), made[-1].made_by) if made else ("-", "-")


def print_run(run: Run, made: Sequence[Made]) -> None:
    """What a run is: everything that its answers depend on, and who made it when."""
    numbers = {name: value for name, value in run.inputs.items() if isinstance(value, int)}
    told = [("run", run.id), ("algorithm", run.algorithm), ("parameters", _pairs(run.parameters))]
    told += [("inputs", ", ".join(f"{n:,} {name.removeprefix('n_')}" for name, n in numbers.items()))] if numbers else []
    told += [("sha256", f"{name} {value}") for name, value in run.inputs.items() if name not in numbers]
    told += [("made", f"{moment(m.made_us)} by {m.made_by}" + (f": {m.reason}" if m.reason else "")) for m in made]
    told.append(("found", ", ".join(f"{n:,} {verdict}" for verdict, n in run.counts.items())))
    told.append(("recorded", f"{run.n_crimes:,} crimes, {run.n_lines:,} results"))
    if run.n_stale:
        told.append(("STALE", f"{run.n_stale:,} of {run.n_crimes:,} crimes have changed since: match them again"))
    for name, text in told:
        print(f"{name:<12}{text}")
    print()


def print_results(found: Sequence[tuple[Result, RunCrime]]) -> None:
    """Results, one a line."""
    rows = [
        [r.force, r.reference, str(r.version), r.wearer, r.verdict, r.support or "", stale_words(crime)]
        for r, crime in found
    ]
    show(("force", "reference", "version", "wearer", "verdict", "support", "changed since"), rows, numbers=("version",))


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """A table in plain text: the same in a terminal, a pipe and a file; nothing is cut or folded."""
    lines = [list(columns), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    for line in lines:
        cells = zip(columns, widths, line, strict=True)
        print("  ".join(t.rjust(w) if name in numbers else t.ljust(w) for name, w, t in cells).rstrip())


def plain(text: str) -> str:
    """A text of the forces in one line, without signs that a terminal obeys."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_lines(rows: Iterable[dict[str, Any]]) -> int:
    """One line of JSON each; returns how many."""
    import msgspec

    n = 0
    for n, row in enumerate(rows, 1):  # noqa: B007 - the last number is how many there were
        print(msgspec.json.encode(row).decode())
    return n


def counted(n: int, word: str, of: int | None = None) -> str:
    """A number of things in words, and of how many where not all were shown."""
    part = f"{n:,} of {of:,}" if of is not None and of != n else f"{n:,}"
    hint = " (--most N shows more)" if of is not None and of != n else ""
    return f"{part} {word}{'s' if (of or n) != 1 else ''}{hint}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(_pair(name, value) for name, value in values.items()) or "-"


def _pair(name: str, value: Any) -> str:
    """A parameter as people read it: with its unit, which its name ends with."""
    if isinstance(value, bool):
        return f"{name.replace('_', ' ')} {'yes' if value else 'no'}"
    if isinstance(value, list):
        return f"{name} {'+'.join(map(str, value))}"
    stem, _, unit = name.rpartition("_")
    if unit == "us" and isinstance(value, int):
        seconds = value / SECOND_US
        return f"{stem} {seconds / 60:g} min" if seconds % 60 == 0 else f"{stem} {seconds:g} s"
    if unit in _UNITS and isinstance(value, int | float):
        return f"{stem.replace('_', ' ')} {value:g} {_UNITS[unit]}"
    return f"{name.replace('_', ' ')} {value}"
