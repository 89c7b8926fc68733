"""Commands about evidence packs: build one from a recorded run or from files, verify one, make a key to try with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.asking import MaxSpeed, MinFixes, Pad, Radius, pad_us
from tagwatch.cli.options import (
    ActivationsFile,
    Config,
    Events,
    Percentile,
    SkipBad,
    TrailOption,
    Tz,
    output,
    say,
)

if TYPE_CHECKING:
    from crime_match.evidence.signing.keys import Signer
    from crime_match.question import Parameters
    from tagwatch.cases import Found

evidence = typer.Typer(no_args_is_help=True, help="Evidence packs: build, verify; a key to try signing with.")

Sign = Annotated[str | None, typer.Option("--sign", help="Key with its certificate: PKCS#12 or PEM (default: unsigned)")]
PasswordFile = Annotated[
    str | None, typer.Option("--password-file", help="Holds the key's password (default: variable TAGWATCH_KEY_PASSWORD)")
]


@evidence.command("build")
def build(
    crime: Annotated[str, typer.Option("--crime", help="Reference of the crime")],
    wearer: Annotated[str, typer.Option("--wearer", help="The wearer it is about")],
    out: Annotated[str, typer.Option("--out", help="Where to write the pack")],
    force: Annotated[str | None, typer.Option("--force", help="Force of the crime, where several have that reference")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Recorded run (default: the last that tells of both)")] = None,
    trails: TrailOption = None,
    crimes: Annotated[str | None, typer.Option("--crimes", help="File of crimes, with --trails: matched first")] = None,
    activations: ActivationsFile = None, events: Events = None,
    wearers: Annotated[str | None, typer.Option("--wearers", help="Wearers: CSV, for names")] = None,
    teams: Annotated[str | None, typer.Option("--teams", help="Teams: JSON, for managers")] = None,
    radius: Radius = 100.0, pad: Pad = "10m", max_speed: MaxSpeed = 55.0, min_fixes: MinFixes = 1,
    base_map: Annotated[str | None, typer.Option("--base-map", help="GeoPackage or GeoJSON to draw the maps on")] = None,
    credit: Annotated[str, typer.Option("--credit", help="Whom the maps credit for it")] = "",
    local: Annotated[str, typer.Option("--local", help="Zone of the local times that stand beside UTC")] = "Europe/London",
    sign: Sign = None, password_file: PasswordFile = None, config: Config = None, tz: Tz = None, skip_bad: SkipBad = False,
    percentile: Percentile = 0.95,
) -> None:  # fmt: skip
    """An evidence pack about one crime and one wearer.

    From a recorded run of the database, or from --crimes and --trails.
    """
    from crime_match.evidence import build as packs
    from crime_match.evidence.drawing.base_map import BaseMap
    from crime_match.question import Parameters
    from geofence.schedule import time_zone
    from tagwatch.cases import case_of

    signer = _signer(sign, password_file)
    try:
        time_zone(local)
    except InputError as fault:
        raise InputError(field="--local", value=local, expected=fault.expected) from None
    if trails:
        if run:
            raise InputError("--run names a run of the database", expected="no trail files beside it")
        parameters = Parameters(radius, pad_us(pad), max_speed, min_fixes)
        given = (trails, crimes, activations, events, wearers, teams, tz, skip_bad, percentile)
        found = _from_files(crime, force, wearer, parameters, given)
    else:
        found = _from_database(crime, force, wearer, run, (wearers, teams, config))
    case, record = case_of(found, timezone=local, signer=signer.name if signer else "")
    base = BaseMap(Path(base_map), credit) if base_map else None
    with output(out) as file:
        file.write(packs.build(case, record, signer, base))
    carried = f" ({case.match['support']})" if case.match["support"] else ""
    say(f"{case.crime.reference}, {wearer}: {case.verdict}{carried}; {len(case.trail.fixes):,} fixes; run {case.run.id}")
    if case.stale:
        say(f"tagwatch: STALE: the crime was matched as version {case.stale.version}, the latest is {case.stale.latest}")
    if signer:
        say(f"signed by {signer.name}, certificate SHA-256 {signer.fingerprint}")
    else:
        say("tagwatch: THE PACK IS NOT SIGNED (--sign)")


@evidence.command("verify")
def verify(
    pack: Annotated[str, typer.Argument(metavar="PACK.zip", help="The pack")],
    signed: Annotated[bool, typer.Option("--signed", help="An unsigned pack fails")] = False,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", help="Certificate (PEM) that is believed; any other signer fails")
    ] = None,
) -> None:
    """Every byte, hash and signature of a pack, and its verdict computed anew; exit code 1 where anything fails."""
    from tagwatch.evidence import verify_pack

    roots = [_bytes(path) for path in trust or []]
    found = verify_pack(_bytes(pack), must_be_signed=signed or bool(roots), trust=roots)
    for finding in found.findings:
        mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.holds]
        print(f"{mark}  {finding.text}")
    print(f"{pack}: {'verified' if found.holds else 'NOT VERIFIED'}")
    if not found.holds:
        raise typer.Exit(1)


@evidence.command("key")
def key(
    out: Annotated[str, typer.Option("--out", help="Where to write the key and its certificate (PEM)")],
    name: Annotated[str, typer.Option("--name", help="Who signs")] = "Tagwatch trial key",
    password_file: PasswordFile = None,
) -> None:
    """A key to try signing with: RSA, certified by nobody. Evidence needs a key of the organisation's own."""
    from crime_match.evidence.signing.trial_key import make_trial_key, write_pem

    signer = make_trial_key(name)
    write_pem(out, signer, _password(password_file))
    say(f"{out}: {signer.name}, certificate SHA-256 {signer.fingerprint}; for trial only")


def _signer(path: str | None, password_file: str | None) -> Signer | None:
    if path is None:
        return None
    from crime_match.evidence.signing.keys import read_key

    return read_key(path, _password(password_file))


def _password(path: str | None) -> bytes | None:
    from crime_match.evidence.signing.keys import password_of

    return password_of() if path is None else _bytes(path).rstrip(b"\r\n")


def _bytes(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", place=path) from None


def _from_files(reference: str, force: str | None, wearer: str, parameters: Parameters, given: Any) -> Found:
    from crime_match.crimes.store import Choice
    from tagwatch.cases import Found, matched_in, person_of, trace_in_files
    from tagwatch.cli.material import Given, material

    files, crimes, activations, events, wearers, teams, tz, skip_bad, percentile = given
    choice = Choice(reference=reference)
    asked = Given(files, crimes, choice, activations, events, wearers, teams, None, tz, skip_bad, percentile)
    with material(asked, parameters) as found:
        mine = [one for one in found.crimes if force in (None, one.force)]
        if len(mine) != 1:
            raise InputError(
                field="--force", value=force, expected=f"the force of one crime {reference}, there are {len(mine)}"
            )
        matched = matched_in(found.trails, mine[0], wearer, parameters)
        return Found(matched, found.trails, parameters, person_of(wearer, found.people), {}, trace_in_files(files, tz))


def _from_database(reference: str, force: str | None, wearer: str, run: str | None, given: Any) -> Found:
    from functools import partial

    from tagwatch.cases import Found, person_of
    from tagwatch.cli.crimes import connected
    from tagwatch.cli.material import people_of
    from tagwatch.provenance import traced
    from tagwatch.recorded_cases import recorded
    from tagwatch.settings import read_settings

    wearers, teams, config = given
    with connected(config) as connection:
        settings = read_settings(config)
        found = recorded(connection, settings, reference, force, wearer, run)
        person = person_of(wearer, people_of(wearers, teams, connection))
    return Found(
        found.matched, found.trails, found.parameters, person, found.configuration, partial(traced, settings.raw_log.folder)
    )
