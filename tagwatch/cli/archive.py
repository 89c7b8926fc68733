"""Commands about archives: export trails or the database to one, import one, verify one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.options import (
    ActivationsFile,
    Case,
    Config,
    Events,
    Reason,
    SkipBad,
    TrailOption,
    Tz,
    instant,
    say,
    zone_of,
)

if TYPE_CHECKING:
    from engine.activations import Activations
    from engine.archive.export import Days
    from engine.events import DeviceEvent
    from engine.fixes import Fixes

archive = typer.Typer(
    no_args_is_help=True, help="Archives: years of fixes as ordinary Parquet files, which answer questions by themselves."
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The archive")]


@archive.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder of the archive: a new one, or one that is to grow")],
    trails: TrailOption = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="TRAIL", help="More trail files")] = None,
    database: Annotated[bool, typer.Option("--database", help="What the database holds, instead of trail files")] = False,
    from_: Annotated[str | None, typer.Option("--from", help="Fixes and events from this instant on")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Fixes and events before this instant")] = None,
    activations: ActivationsFile = None, events: Events = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Days that the archive has may grow: they get the fixes of both")
    ] = False,
    config: Config = None, tz: Tz = None, skip_bad: SkipBad = False, reason: Reason = "", case: Case = "",
) -> None:  # fmt: skip
    """Write fixes to an archive: Parquet by day, events and activations as CSV, a manifest with hashes; one line of JSON.

    Into an archive that is there: new days are added; days that would change are refused without --merge.
    """
    files = [*(trails or []), *(more or [])]
    if bool(files) == database:
        raise InputError(field="--trails", expected="trail files, or --database instead of them")
    span = instant(from_, "--from", tz), instant(to, "--to", tz)
    if database:
        if activations or events:
            raise InputError(field="--database", expected="no --activations or --events: the database tells both")
        with _stored(config, span, reason, case) as given:
            _export(out, given, merge=merge)
    else:
        _export(out, _in_files(files, activations, events, span, (tz, skip_bad)), merge=merge)


@archive.command("import")
def import_(folder: Folder, config: Config = None, reason: Reason = "", case: Case = "") -> None:
    """Store an archive's fixes and events in the database, each once; it may be done again. One line of JSON."""
    from functools import partial

    import msgspec

    from engine.archive.database import import_archive
    from engine.archive.reader import Archive
    from engine.times import system_clock
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.crimes import connected
    from tagwatch.configuration import load
    from tagwatch.retention.horizon import open_part
    from tagwatch.settings import read_settings
    from tagwatch.upkeep import keep_up

    found = Archive(folder)
    with connected(config) as connection:
        digest = found.manifest.digest
        log_view(
            connection,
            "archive imported",
            str(folder),
            reason=reason,
            case_ref=case,
            digest=digest,
            fixes=found.manifest.fixes,
        )
        settings = read_settings(config)
        worn = load(connection, settings.filter_settings, settings.default_plan).activations
        connection.commit()
        connection.autocommit = True
        done = import_archive(
            connection, found, partial(open_part, connection, worn),
            lambda day, n, new: say(f"{day}: {n:,} fixes, {new:,} new"),
        )  # fmt: skip
        keep_up(connection, system_clock())
    print(msgspec.json.encode(done._asdict()).decode())
    if done.fixes_closed:
        say(f"tagwatch: {done.fixes_closed:,} fixes LEFT OUT: they are from before the horizon of their wearers")
    if found.activations_path:
        say(f"tagwatch: activations are configuration: `tagwatch activations import {found.activations_path}`")


@archive.command("verify")
def verify(folder: Folder) -> None:
    """Every byte, hash and count of an archive; a line of JSON for each fault, exit code 1 where there is one."""
    import msgspec

    from engine.archive.reader import Archive
    from engine.archive.verify import verify as examine

    n_flaws = 0
    for flaw in examine(folder):
        print(msgspec.json.encode(flaw._asdict()).decode())
        n_flaws += 1
    if n_flaws:
        say(f"{folder}: NOT VERIFIED, {n_flaws} fault{'s' if n_flaws != 1 else ''}")
        raise typer.Exit(1)
    told = Archive(folder).manifest
    gone = f", {sum(e.fixes for e in told.erasures):,} erased" if told.erasures else ""
    say(f"{folder}: verified: {told.fixes:,} fixes of {len(told.devices):,} devices on {len(told.days):,} days{gone}")


class _Given:
    """What is exported: days with their fixes, events in order, and activations where they are known."""

    def __init__(
        self, days: Callable[[Path], Days], events: Iterable[DeviceEvent], activations: Activations | None
    ) -> None:  # fmt: skip
        self.days, self.events, self.activations = days, events, activations


def _export(out: Path, given: _Given, *, merge: bool) -> None:
    from importlib.metadata import version

    import msgspec

    from engine.archive.export import export as write
    from engine.archive.reader import Archive

    done = write(
        out, given.days, events=given.events, activations=given.activations, software=f"tagwatch {version('tagwatch')}",
        merge=merge, tell=lambda day, n: say(f"{day}: {n:,} fixes"),
    )  # fmt: skip
    told = Archive(out).manifest
    totals = {"fixes": told.fixes, "bytes": told.bytes, "days": len(told.days), "devices": len(told.devices)}
    print(msgspec.json.encode(totals | done._asdict()).decode())
    if done.fixes_erased:
        say(f"tagwatch: {done.fixes_erased:,} fixes LEFT OUT: they have been erased from this archive")


def _in_files(
    files: list[str], activations: str | None, events: str | None, span: tuple[int | None, int | None],
    how: tuple[str | None, bool],
) -> _Given:  # fmt: skip
    from engine.archive.spill import by_day
    from engine.archive.tables import rank
    from ingest.activation_files import read_activations
    from ingest.event_files import read_events
    from tagwatch.cli.trails import pieces_of

    worn = read_activations(activations) if activations else None
    noticed = read_events(events, zone_of(how[0])) if events else []
    kept = sorted((e for e in noticed if _within(span, e.time_us)), key=rank)
    return _Given(lambda folder: by_day((_cut(piece, span) for piece in pieces_of(files, *how)), folder), kept, worn)


@contextmanager
def _stored(config: Any, span: tuple[int | None, int | None], reason: str, case: str) -> Iterator[_Given]:
    from engine.archive.database import days_in, events_in
    from engine.times import to_iso
    from tagwatch import configuration
    from tagwatch.access.by_command import log_view
    from tagwatch.cli.crimes import connected
    from tagwatch.settings import read_settings

    settings = read_settings(config)
    with connected(config) as connection:
        asked = {name: to_iso(time_us) for name, time_us in zip(("from", "to"), span, strict=True) if time_us is not None}
        log_view(connection, "archive exported", reason=reason, case_ref=case, asked=asked)
        conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
        connection.rollback()
        connection.autocommit = True  # no one transaction over hours
        yield _Given(lambda _: days_in(connection, *span), events_in(connection, *span), conditions.activations)


def _cut(fixes: Fixes, span: tuple[int | None, int | None]) -> Fixes:
    """The fixes with from <= time < to."""
    import numpy as np

    first_us, end_us = span
    within = np.ones(len(fixes), np.bool_)
    if first_us is not None:
        within &= fixes.time_us >= first_us
    if end_us is not None:
        within &= fixes.time_us < end_us
    return fixes if within.all() else fixes.take(within)


def _within(span: tuple[int | None, int | None], time_us: int) -> bool:
    return (span[0] is None or span[0] <= time_us) and (span[1] is None or time_us < span[1])
