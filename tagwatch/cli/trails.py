"""Commands about trails: replay, publish, simulate."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError
from tagwatch.cli.options import (
    ActivationsFile,
    Curfews,
    Events,
    Out,
    Percentile,
    SkipBad,
    Trails,
    Tz,
    Zones,
    instant,
    output,
    say,
    zone_of,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerts.ledger import Version
    from crime_match.question import Question
    from engine.activations import Activations
    from engine.fixes import Fixes
    from ingest.fault import Fault, OnFault

ORDERS = ("time", "received")


def read_fixes(paths: Sequence[str], tz: str | None, skip_bad: bool) -> Fixes:
    """The fixes of all files; bad rows are refused, or left out and told one by one."""
    from ingest.trail_files import read_trails

    with _left_out(skip_bad) as on_fault:
        return read_trails(paths, zone_of(tz), on_fault)


def read_fixes_about(
    paths: Sequence[str], questions: Sequence[Question], worn: Activations | None, tz: str | None, skip_bad: bool
) -> Fixes:  # fmt: skip
    """The fixes of all files, of archives only those that these questions need about who wore what."""
    from engine.archive.manifest import is_archive
    from engine.archive.reader import Archive
    from engine.fixes import concat
    from geofence.schedule import merged
    from tagwatch.nearby.about import margin_us

    spans = [*merged((q.start_us - margin_us(q), q.end_us + margin_us(q)) for q in questions)]
    return concat(
        Archive(path).about(spans, worn=worn) if is_archive(path) else read_fixes([path], tz, skip_bad) for path in paths
    )


def pieces_of(paths: Sequence[str], tz: str | None, skip_bad: bool) -> Iterator[Fixes]:
    """The fixes of all files, a piece at a time; of Parquet and archives no more is held. Bad rows as in `read_fixes`."""
    from ingest.trail_files import read_pieces

    with _left_out(skip_bad) as on_fault:
        for path in paths:
            yield from read_pieces(path, zone_of(tz), on_fault)


@contextmanager
def _left_out(skip_bad: bool) -> Iterator[OnFault | None]:
    """What takes the faults of bad rows that are left out, and tells of each; None where bad rows are refused."""
    faults: list[Fault] = []

    def tell(fault: Fault) -> None:
        faults.append(fault)
        say(f"tagwatch: left out: {fault.error()}")

    yield tell if skip_bad else None
    if faults:
        say(f"tagwatch: {len({(f.file, f.row, f.line) for f in faults})} bad rows left out")


_FEW = 20


def tell_no_fixes(fixes: Fixes, place: str) -> None:
    """Warn where nothing was found to answer from: a wrong file, or an export that was cut short."""
    if not len(fixes):
        say(f"tagwatch: there is no fix in {place}: nobody can be placed or excluded")


def tell_cut_times(fixes: Fixes) -> None:
    """Warn of devices whose fixes all lie on whole minutes: an export may have cut the seconds off, and speeds rest on them."""
    import numpy as np

    whole = np.bincount(fixes.device, fixes.time_us % 60_000_000 == 0, minlength=len(fixes.devices))
    number = np.bincount(fixes.device, minlength=len(fixes.devices))
    cut = [fixes.devices[k] for k in np.flatnonzero((number >= _FEW) & (whole == number)).tolist()]
    if cut:
        named = ", ".join(cut[:3]) + (f" and {len(cut) - 3} more" if len(cut) > 3 else "")
        say(f"tagwatch: all fixes of {named} lie on whole minutes: if their seconds were cut off, exclusions may be wrong")


def replay(
    trail: Trails, zones: Zones = None, curfews: Curfews = None, activations: ActivationsFile = None, events: Events = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Instant of the ledger (default: the newest time)")] = None,
    received_by: Annotated[str | None, typer.Option("--received-by", help="Only what had been received by then")] = None,
    order: Annotated[str, typer.Option(help="time or received: the order in which --history is told")] = "received",
    proximities: Annotated[
        str | None, typer.Option("--proximities", help="Who must keep away from whom, wherever she is: JSON")
    ] = None,
    out: Out = None,
    history: Annotated[bool, typer.Option("--history", help="Every version instead of the final ledger")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Counts and fixes a second, on standard error")] = False,
    tz: Tz = None, skip_bad: SkipBad = False, percentile: Percentile = 0.95,
    repair: Annotated[bool, typer.Option("--repair", help="Mend invalid zone geometry instead of refusing it")] = False,
) -> None:  # fmt: skip
    """Run the rules over trail files and write the ledger as JSON lines, ordered by start, wearer, rule, subject."""
    import time

    from alerts.alert import to_json
    from engine.activations import Activation
    from ingest.event_files import read_events
    from tagwatch import replay as engine
    from tagwatch.configuration import conditions_of

    if order not in ORDERS:
        raise InputError(field="--order", value=order, expected=" or ".join(ORDERS))
    if not 0 < percentile < 1:
        raise InputError(field="--percentile", value=percentile, expected="a probability between 0 and 1")
    plan = Activation("", "", -(2**62), percentile=percentile)
    with unswept():
        conditions = conditions_of(zones, curfews, activations, plan=plan, repair=repair, proximities=proximities)
    noticed = read_events(events, zone_of(tz)) if events else []
    known_by, at = instant(received_by, "--received-by", tz), instant(as_of, "--as-of", tz)
    if any(zone.buffer_m and zone.kind == "inclusion" for zone in conditions.zones):
        say("tagwatch: buffer_m of an inclusion zone is kept with it; early warnings are raised about exclusion zones only")
    started = time.perf_counter()
    done = None
    if len(trail) == 1 and known_by is None and not (history or skip_bad):
        done = engine.replay_file(trail[0], conditions, at, noticed)
    if done is None:
        fixes = read_fixes(trail, tz, skip_bad)
        if known_by is not None:
            fixes = fixes.take(fixes.received_s * 1_000_000 <= known_by)
            noticed = [event for event in noticed if event.received_s * 1_000_000 <= known_by]
        newest = [int(fixes.time_us.max())] if len(fixes) else []
        at_us = at if at is not None else max([*newest, *(e.time_us for e in noticed)], default=0)
        if history:
            _write_history(engine.history(_in_order(fixes, order), conditions, at_us, noticed), out)
            return
        done = engine.replay(fixes, conditions, at_us, events=noticed)
    seconds = time.perf_counter() - started
    with output(out) as file:
        file.writelines(to_json(alert) + b"\n" for alert in done.alerts)
    if summary:
        rate = f"{done.n_fixes / seconds:,.0f} fixes a second" if seconds else ""
        say(
            f"{done.n_fixes:,} fixes of {len(done.wearers):,} wearers, {done.n_duplicates:,} duplicates,"
            f" {done.n_unassigned:,} outside every activation, {done.n_after:,} after the instant;"
            f" {len(done.alerts):,} alerts; {seconds:.2f} s, {rate}"
        )


def passed(
    trail: Trails,
    areas: Annotated[str, typer.Option("--areas", help="Polygons or circles: GeoJSON, such as wards")],
    key: Annotated[str, typer.Option("--key", help="The property that names an area")] = "id",
    out: Out = None, tz: Tz = None, skip_bad: SkipBad = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend invalid geometry instead of refusing it")] = False,
) -> None:  # fmt: skip
    """Which areas each device's fixes lay in, when first and last, as JSON lines: by position alone, errors not counted."""
    import msgspec

    from tagwatch.configuration import read_json
    from tagwatch.passed import passed as find
    from tagwatch.passed import read_areas

    raw = read_json(areas)
    try:
        read = read_areas(raw, key, repair=repair)
    except InputError as fault:
        raise fault.at(areas) from None
    fixes = read_fixes(trail, tz, skip_bad)
    with output(out) as file:
        file.writelines(msgspec.json.encode(row._asdict()) + b"\n" for row in find(fixes, read))


@contextmanager
def unswept() -> Iterator[None]:
    """No search for garbage meanwhile: what is read lives to the end, and looking through it took a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _in_order(fixes: Fixes, order: str) -> Fixes:
    """For `time` order every fix is told as if it had been received at its own time."""
    from dataclasses import replace

    return fixes if order == "received" else replace(fixes, received_s=-(-fixes.time_us // 1_000_000))


def _write_history(versions: Iterator[Version], out: str | None) -> None:
    import msgspec

    from alerts.alert import iso

    with output(out) as file:
        for v in versions:
            record = {
                **msgspec.to_builtins(v.alert), "id": v.id, "version": v.version, "reason": v.reason,
                "as_of": iso(v.as_of_us), "late_s": v.late_s, "retracted": v.retracted,
            }  # fmt: skip
            file.write(msgspec.json.encode(record) + b"\n")


def publish(
    trail: Trails,
    broker: Annotated[str, typer.Option(help="mqtt://host:port")],
    rate: Annotated[float | None, typer.Option(help="Messages a second")] = None,
    speedup: Annotated[float | None, typer.Option(help="So many times as fast as it happened")] = None,
    batch: Annotated[int, typer.Option(help="Fixes of a device in one message")] = 1,
    events: Events = None, tz: Tz = None, skip_bad: SkipBad = False,
    cafile: Annotated[str | None, typer.Option("--cafile", help="PEM: trust these authorities only")] = None,
    certfile: Annotated[str | None, typer.Option("--certfile", help="PEM: the tag's certificate")] = None,
    keyfile: Annotated[str | None, typer.Option("--keyfile", help="PEM: its key")] = None,
) -> None:  # fmt: skip
    """Play trails over MQTT as tags would: QoS 1, in order of arrival, kept until Tagwatch says they are stored."""
    import msgspec

    from ingest.broker_trust import Trust
    from ingest.event_files import read_events
    from tagwatch.publish import publish as play

    fixes = read_fixes(trail, tz, skip_bad)
    noticed = read_events(events, zone_of(tz)) if events else []
    trust = Trust(cafile, certfile, keyfile)
    done = play(fixes, broker, rate=rate, speedup=speedup, batch=batch, events=noticed, trust=trust)
    print(msgspec.json.encode(done._asdict()).decode())
    if done.unstored:
        say(f"tagwatch: {done.unstored} fixes or events were never said to be stored")
        raise typer.Exit(1)


def simulate(
    wearers: Annotated[int, typer.Option(help="How many wearers")],
    days: Annotated[int, typer.Option(help="How many days")],
    out: Annotated[Path, typer.Option(help="Folder to write")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes")] = 1,
    form: Annotated[str, typer.Option("--format", help="parquet or csv")] = "parquet",
) -> None:
    """Make a seeded town with wearers, trails, events, zones, curfews, crimes, and the truth."""
    from tagwatch.simulate.files import write
    from tagwatch.simulate.world import simulate as make

    say(f"simulating {wearers} wearers for {days} days ...")
    world = make(wearers, days, seed)
    for path in write(world, out, form):
        say(f"  {path}")
    say(f"{len(world.fixes):,} fixes")
