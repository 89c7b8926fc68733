"""Commands that look back: `compliance` over a period, `whatif` with a changed zone, curfew or rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.options import (
    ActivationsFile,
    Case,
    Config,
    Curfews,
    Events,
    Out,
    Percentile,
    Reason,
    SkipBad,
    TrailOption,
    Tz,
    Zones,
    instant,
    output,
    zone_of,
)  # fmt: skip

if TYPE_CHECKING:
    from engine.events import DeviceEvent
    from engine.fixes import Fixes
    from tagwatch.compliance import Inquiry, Report
    from tagwatch.monitor import Conditions

    Sides = tuple[Fixes, list[DeviceEvent], tuple[Conditions, Conditions], int]

WearersFile = Annotated[str | None, typer.Option("--wearers", help="Wearers with their cohorts: CSV")]
Against = Annotated[str | None, typer.Option("--against", help="The changed zones")]
AgainstCurfews = Annotated[str | None, typer.Option("--against-curfews", help="The changed curfews")]
AgainstActivations = Annotated[str | None, typer.Option("--against-activations", help="The changed activations")]


def compliance(
    from_: Annotated[str, typer.Option("--from", help="First day, such as 2026-03-01, in the curfew's time zone")],
    to: Annotated[str, typer.Option("--to", help="Last day, counted in")],
    wearer: Annotated[str | None, typer.Option("--wearer", help="This wearer alone, with each window")] = None,
    cohort: Annotated[str | None, typer.Option("--cohort", help="fixed, flex or free")] = None,
    trails: TrailOption = None, zones: Zones = None, curfews: Curfews = None, activations: ActivationsFile = None,
    wearers: WearersFile = None, events: Events = None,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON a wearer, a cohort, and the total")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The same as CSV, without the single windows")] = False,
    out: Out = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Instant (default: newest in the files, or now)")] = None,
    config: Config = None, tz: Tz = None, skip_bad: SkipBad = False, percentile: Percentile = 0.95,
    reason: Reason = "", case: Case = "",
) -> None:  # fmt: skip
    """How curfews, zones and tags were kept over some days, per wearer and cohort, from trail files or the database."""
    import io

    import msgspec
    from rich.console import Console

    from tagwatch import compliance_table as form

    if json and csv:
        raise InputError(field="--csv", value="with --json", expected="one of the two")
    if trails:
        reports, inquiry = _from_files(
            trails, (zones, curfews, activations, wearers, events), (from_, to, as_of, wearer, cohort), tz, skip_bad,
            percentile,
        )  # fmt: skip
    else:
        reports, inquiry = _from_database((from_, to, as_of, wearer, cohort), config, tz, (reason, case))
    period, text = inquiry.period, io.StringIO(newline="")
    if json:
        text.writelines(msgspec.json.encode(r).decode() + "\n" for r in form.records(reports, period))
    elif csv:
        form.write_csv(form.records(reports, period), text)
    elif out is None:
        form.show(reports, period, Console(), nights=wearer is not None)
        return
    else:
        form.show(reports, period, Console(file=text, width=120), nights=wearer is not None)
    with output(out) as file:
        file.write(text.getvalue().encode())


def whatif(
    trail: Annotated[list[str] | None, typer.Argument(metavar="TRAIL", help="Trail files, or - (none: database)")] = None,
    zones: Zones = None, against: Against = None, curfews: Curfews = None, against_curfews: AgainstCurfews = None,
    activations: ActivationsFile = None, against_activations: AgainstActivations = None, events: Events = None,
    raise_at: Annotated[float | None, typer.Option("--raise-at", help="Posterior at which a state is decided")] = None,
    against_raise_at: Annotated[float | None, typer.Option("--against-raise-at", help="The changed one")] = None,
    operators: Annotated[int, typer.Option("--operators", min=1, help="Operators on duty, for the load of each")] = 1,
    from_: Annotated[str | None, typer.Option("--from", help="Leave out fixes before (database: 7 days)")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Instant of both ledgers (default: newest time, or now)")] = None,
    config: Config = None, out: Out = None, tz: Tz = None, skip_bad: SkipBad = False, percentile: Percentile = 0.95,
    repair: Annotated[bool, typer.Option("--repair", help="Mend invalid zone geometry instead of refusing it")] = False,
    reason: Reason = "", case: Case = "",
) -> None:  # fmt: skip
    """Which alerts a changed zone, curfew, posterior or activation would have added, removed or changed, and why."""
    import msgspec
    from rich.console import Console

    from tagwatch.whatif import record, summary, what_if

    files, others = (zones, curfews, activations), (against, against_curfews, against_activations)
    _refuse_no_change((*others, against_raise_at), files)
    limits = _posterior(raise_at, "--raise-at"), _posterior(against_raise_at, "--against-raise-at")
    since, at = instant(from_, "--from", tz), instant(as_of, "--as-of", tz)
    if trail:
        fixes, noticed, sides, newest_us = _sides_from_files(trail, files, others, events, tz, skip_bad, percentile, repair)
    else:
        fixes, noticed, sides, newest_us = _sides_from_database(files, others, config, since, at, repair, (reason, case))
    before, after = _raised_at(sides[0], limits[0]), _raised_at(sides[1], limits[1] or limits[0])
    if since is not None:
        fixes, noticed = fixes.take(fixes.time_us >= since), [e for e in noticed if e.time_us >= since]
    outcome = what_if(fixes, before, after, newest_us if at is None else at, noticed)
    with output(out) as file:
        file.writelines(msgspec.json.encode(record(d, why)) + b"\n" for d, why in outcome.differences)
    Console(stderr=True).print(summary(outcome, operators))


def _sides_from_files(
    trail: list[str], files: tuple[str | None, ...], others: tuple[str | None, ...], events: str | None, tz: str | None,
    skip_bad: bool, percentile: float, repair: bool,
) -> Sides:  # fmt: skip
    """The fixes and events, the conditions before and after, and the newest time in the files."""
    from ingest.event_files import read_events
    from tagwatch.cli.trails import read_fixes
    from tagwatch.configuration import conditions_of

    (zones, curfews, activations), plan = files, _plan(percentile)
    before = conditions_of(zones, curfews, activations, plan=plan, repair=repair)
    zones, curfews, activations = (other or file for file, other in zip(files, others, strict=True))
    after = conditions_of(zones, curfews, activations, plan=plan, repair=repair)
    noticed = read_events(events, zone_of(tz)) if events else []
    fixes = read_fixes(trail, tz, skip_bad)
    newest = [*([int(fixes.time_us.max())] if len(fixes) else []), *(e.time_us for e in noticed)]
    return fixes, noticed, (before, after), max(newest, default=0)


def _sides_from_database(
    files: tuple[str | None, ...],
    others: tuple[str | None, ...],
    config: Any,
    since: int | None,
    at: int | None,
    repair: bool,
    why: tuple[str, str],
) -> Sides:
    """The same from the database: what it holds, and that with the changed files in the place of its own."""
    from engine import database
    from engine.store.fixes import FixStore
    from engine.times import DAY_US, system_clock
    from ingest.activation_files import read_activations
    from tagwatch import configuration
    from tagwatch.access.by_command import log_view
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings
    from tagwatch.whatif import changed

    if any(files):
        raise InputError(
            "has no meaning without trails", field="--zones, --curfews, --activations", expected="the --against ones"
        )
    zones, curfews, activations = others
    settings, to_us = read_settings(config), system_clock() if at is None else at
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        log_view(connection, "what-if asked", reason=why[0], case_ref=why[1])
        before = configuration.load(connection, settings.filter_settings, settings.default_plan)
        after = changed(
            connection, before, configuration.zones_of(zones, repair=repair) if zones else None,
            configuration.read_json(curfews) if curfews else None, read_activations(activations) if activations else None,
        )  # fmt: skip
        from_us = to_us - 7 * DAY_US if since is None else since
        store = FixStore(connection)
        events = [e for e in store.read_events(to_us=to_us) if e.time_us >= from_us]
        return store.read(from_us=from_us, to_us=to_us), events, (before, after), to_us


def _raised_at(conditions: Conditions, limit: float | None) -> Conditions:
    from dataclasses import replace

    return conditions if limit is None else replace(conditions, filter=conditions.filter._replace(raise_at=limit))


def _refuse_no_change(changes: tuple[object, ...], files: tuple[str | None, ...]) -> None:
    if all(change is None for change in changes):
        raise InputError(
            "nothing is changed",
            expected="--against, --against-curfews, --against-activations or --against-raise-at",
        )
    if "-" in files:
        raise InputError(field="zones, curfews, activations", value="-", expected="a file: it is read twice")


def _posterior(value: float | None, option: str) -> float | None:
    if value is not None and not 0.5 < value <= 0.98:
        raise InputError(field=option, value=value, expected="a posterior above 0.5, 0.98 at most")
    return value


def _from_files(
    trails: list[str], files: tuple[str | None, ...], asked: tuple[str | None, ...], tz: str | None, skip_bad: bool,
    percentile: float,
) -> tuple[list[Report], Inquiry]:  # fmt: skip
    from ingest.event_files import read_events
    from ingest.wearer_files import read_wearers
    from tagwatch.cli.trails import read_fixes
    from tagwatch.compliance import from_files
    from tagwatch.configuration import conditions_of

    zones, curfews, activations, wearers, events = files
    conditions = conditions_of(zones, curfews, activations, plan=_plan(percentile))
    people = read_wearers(wearers) if wearers else []
    noticed = read_events(events, zone_of(tz)) if events else []
    fixes = read_fixes(trails, tz, skip_bad)
    newest = [*([int(fixes.time_us.max())] if len(fixes) else []), *(e.time_us for e in noticed)]
    inquiry = _inquiry(asked, tz, max(newest, default=0))
    return from_files(fixes, conditions, people, noticed, inquiry), inquiry


def _from_database(
    asked: tuple[str | None, ...], config: Any, tz: str | None, why: tuple[str, str]
) -> tuple[list[Report], Inquiry]:
    from engine import database
    from engine.times import system_clock
    from engine.wearers import Wearer
    from geofence.store import current
    from tagwatch import configuration
    from tagwatch.access.by_command import log_view
    from tagwatch.compliance import from_database
    from tagwatch.session import SCHEMAS
    from tagwatch.settings import read_settings

    settings, inquiry = read_settings(config), _inquiry(asked, tz, system_clock())
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        from_, to, _, wearer, cohort = asked
        told = {"from": from_, "to": to, "cohort": cohort}
        log_view(connection, "compliance read", wearer or "", reason=why[0], case_ref=why[1], asked=told)
        conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
        people = [Wearer(**content) for _, content in current(connection, "wearer").values()]
        return from_database(connection, conditions, people, inquiry), inquiry


def _inquiry(asked: tuple[str | None, ...], tz: str | None, now_us: int) -> Inquiry:
    from alerts.compliance import Period
    from geofence.schedule import read_date
    from tagwatch.compliance import Inquiry

    from_, to, as_of, wearer, cohort = asked
    first, last = read_date(from_, "--from"), read_date(to, "--to")
    if first is None or last is None:
        raise InputError(field="--from" if first is None else "--to", value="", expected="a date such as 2026-03-29")
    if last < first:
        raise InputError(field="--to", value=to, expected=f"{first} or later")
    zone_of(tz)
    at = instant(as_of, "--as-of", tz)
    return Inquiry(Period(first, last, now_us if at is None else at), wearer, cohort, tz or "UTC")


def _plan(percentile: float) -> Any:
    from engine.activations import Activation

    if not 0 < percentile < 1:
        raise InputError(field="--percentile", value=percentile, expected="a probability between 0 and 1")
    return Activation("", "", -(2**62), percentile=percentile)
