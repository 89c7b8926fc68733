"""What several commands share: options with their help, and small conversions that name the option they came from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from zoneinfo import ZoneInfo

import typer

from engine.errors import InputError
from engine.times import parse_time

Trails = Annotated[
    list[str], typer.Argument(metavar="TRAIL...", help="Trail files (CSV, Parquet, GPX, NMEA, OwnTracks, GeoJSON), or -")
]
TrailOption = Annotated[list[str] | None, typer.Option("--trails", help="Trail files, or - for standard input")]
Zones = Annotated[str | None, typer.Option("--zones", help="Zones: GeoJSON FeatureCollection")]
Curfews = Annotated[str | None, typer.Option("--curfews", help="Curfews: JSON list")]
ActivationsFile = Annotated[str | None, typer.Option("--activations", help="Activations: CSV device,wearer,from,to")]
Events = Annotated[str | None, typer.Option("--events", help="Device events: CSV or JSON")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file (default: tagwatch.toml here)")]
Out = Annotated[str | None, typer.Option("--out", help="Where to write (default: standard output)")]
Tz = Annotated[str | None, typer.Option("--tz", help="Zone of times that carry no offset, such as Europe/London")]
Reason = Annotated[
    str, typer.Option("--reason", envvar="TAGWATCH_REASON", help="Why: kept in the audit log, of questions to the database")
]
Case = Annotated[str, typer.Option("--case", envvar="TAGWATCH_CASE", help="Case that it is for: kept in the audit log")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out, each told on standard error")]


def _percentile(value: float) -> float:
    if not 0.0 < value < 1.0:
        raise InputError(field="--percentile", value=value, expected="a probability between 0 and 1")
    return value


Percentile = Annotated[
    float,
    typer.Option(
        "--percentile", callback=_percentile,
        help="Probability that the accuracy circle holds the truth (tags 0.95, phones 0.68)",
    ),
]  # fmt: skip


def zone_of(name: str | None) -> ZoneInfo | None:
    """The time zone of an option."""
    if name is None:
        return None
    from geofence.schedule import time_zone

    try:
        return time_zone(name)
    except InputError as fault:
        raise InputError(field="--tz", value=name, expected=fault.expected) from None


def instant(text: str | None, option: str, tz: str | None = None) -> int | None:
    """An option's time as microseconds."""
    zone = zone_of(tz)
    if text is None:
        return None
    try:
        return parse_time(text, zone)
    except InputError as fault:
        raise fault.at(f"option {option}") from None


def say_unused_tz(tz: str | None, form: str) -> None:
    """Tell who gave a time zone to a file of crimes that has no use for one."""
    if tz and form == "moj":
        say("tagwatch: --tz is not for a police batch: its times are UTC by its format")
    elif tz and form == "police-uk":
        say("tagwatch: --tz is not for files of data.police.uk: they have months, no times")


def say(text: str) -> None:
    """A message for a person: to standard error."""
    print(text, file=sys.stderr)


@contextmanager
def output(path: str | None) -> Iterator[BinaryIO]:
    """The file to write to, or standard output; a half-written file is never left behind.

    What is there but no file (a device such as /dev/null, a pipe) is written to, never replaced.
    """
    if path is None or path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    final = Path(path)
    if final.exists() and not final.is_file() and not final.is_dir():
        with final.open("wb") as file:
            yield file
        return
    partial = final.with_name(final.name + ".part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(final)
    except OSError as fault:
        raise InputError(f"cannot be written: {fault.strerror}", place=path) from None
    finally:
        partial.unlink(missing_ok=True)
