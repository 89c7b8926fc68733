"""Commands about evidence packs: build one from a recorded run or from files, verify one, make a key to try with."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.asking import MaxSpeed, MinFixes, Pad, Radius, pad_us
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


LARGEST_PACK = 2 << 30
"""A pack of 100,000 positions is about 0.6 GB."""
_OF_FILES = (
    "crimes", "activations", "events", "radius", "pad", "max_speed", "min_fixes", "tz", "skip_bad", "percentile",
)  # fmt: skip
_OF_A_RUN = ("run", "config")


@evidence.command("build")
def build(
    context: typer.Context,
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
    percentile: Percentile = 0.95, reason: Reason = "", case: Case = "",
) -> None:  # fmt: skip
    """An evidence pack about one crime and one wearer.

    From a recorded run of the database, or from --crimes and --trails.
    """
    from crime_match.evidence import build as packs
    from crime_match.evidence.drawing.base_map import BaseMap
    from crime_match.question import Parameters
    from geofence.schedule import time_zone
    from tagwatch.cases import case_of

    _require_heeded(context, bool(trails))
    _require_places(out, base_map)
    signer = _signer(sign, password_file)
    try:
        time_zone(local)
    except InputError as fault:
        raise InputError(field="--local", value=local, expected=fault.expected) from None
    if trails:
        parameters = Parameters(radius, pad_us(pad), max_speed, min_fixes)
        given = (trails, crimes, activations, events, wearers, teams, tz, skip_bad, percentile)
        found = _from_files(crime, force, wearer, parameters, given)
    else:
        found = _from_database(crime, force, wearer, run, (wearers, teams, config), (reason, case))
    about, record = case_of(found, timezone=local, signer=signer.name if signer else "")
    base = BaseMap(Path(base_map), credit) if base_map else None
    pack = packs.build(about, record, signer, base)
    with output(out) as file:
        file.write(pack)
    if not trails:
        told = {"crime": about.crime.reference, "force": about.crime.force, "run": about.run.id, "file": Path(out).name}
        _note_written(config, wearer, reason, case, told | {"sha256": sha256(pack).hexdigest()})
    carried = f" ({about.match['support']})" if about.match["support"] else ""
    say(
        f"{about.crime.reference}, {wearer}: {about.verdict}{carried}; {len(about.trail.fixes):,} fixes; run {about.run.id}"
    )
    if about.stale:
        say(f"tagwatch: STALE: the crime was matched as version {about.stale.version}, the latest is {about.stale.latest}")
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
    from crime_match.evidence.signing.trust import read_certificates
    from tagwatch.evidence import verify_pack

    roots = [_bytes(path) for path in trust or []]
    for root in roots:
        read_certificates(root)
    found = verify_pack(_bytes(pack, LARGEST_PACK), must_be_signed=signed or bool(roots), trust=roots)
    for finding in found.findings:
        mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.holds]
        print(f"{mark}  {finding.text}")
    n_notes = sum(finding.holds is None for finding in found.findings)
    if n_notes:
        say(f"{pack}: {n_notes} note{'s' * (n_notes != 1)} on what this does not cover: read them")
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


def _require_heeded(context: typer.Context, files: bool) -> None:
    """InputError for an option that nothing would come of: a recorded run has its own parameters, files have no run."""
    for name in _OF_A_RUN if files else _OF_FILES:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            if files:
                raise InputError(f"{option} is for a run of the database", expected="no --trails beside it")
            raise InputError(
                f"{option} is for a match of files, a recorded run has its own",
                field="--trails",
                expected="files beside it",
            )


def _require_places(out: str, base_map: str | None) -> None:
    """InputError where the pack could not be written in the end, or the maps not be drawn: told before anything is computed."""
    folder = Path(out).parent
    if out != "-" and not folder.is_dir():
        raise InputError(field="--out", value=out, expected=f"a file in a folder that there is; {folder} is none")
    if out != "-" and Path(out).is_dir():
        raise InputError(field="--out", value=out, expected="a file, not a folder")
    if base_map is not None and not Path(base_map).is_file():
        raise InputError(field="--base-map", value=base_map, expected="a GeoPackage or GeoJSON file that there is")


def _signer(path: str | None, password_file: str | None) -> Signer | None:
    if path is None:
        if password_file is not None:
            raise InputError(field="--sign", expected="the key that --password-file opens")
        return None
    from crime_match.evidence.signing.keys import read_key

    return read_key(path, _password(password_file))


def _password(path: str | None) -> bytes | None:
    from crime_match.evidence.signing.keys import password_of

    return password_of() if path is None else _bytes(path).rstrip(b"\r\n")


def _bytes(path: str, most: int = 1 << 20) -> bytes:
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", place=path) from None
    if len(data) > most:
        raise InputError("is too large", place=path, expected=f"a file of at most {most >> 20:,} MiB")
    return data


def _from_files(reference: str, force: str | None, wearer: str, parameters: Parameters, given: Any) -> Found:
    from crime_match.crimes.store import Choice
    from tagwatch.cases import Found, matched_in, person_of, trace_in_files
    from tagwatch.cli.material import Given, material

    files, crimes, activations, events, wearers, teams, tz, skip_bad, percentile = given
    choice = Choice(reference=reference)
    asked = Given(files, crimes, choice, activations, events, wearers, teams, None, tz, skip_bad, percentile, "", "")
    with material(asked, parameters) as found:
        mine = [one for one in found.crimes if force in (None, one.force)]
        if len(mine) != 1:
            forces = ", ".join(sorted({one.force for one in found.crimes}))
            raise InputError(
                field="--force", value=force, expected=f"one of the forces that have a crime {reference}: {forces}"
            )
        matched = matched_in(found.trails, mine[0], wearer, parameters)
        return Found(matched, found.trails, parameters, person_of(wearer, found.people), {}, trace_in_files(files, tz))


def _note_written(config: Path | None, wearer: str, reason: str, case: str, told: dict[str, str]) -> None:
    """The pack into the audit log, so that an erasure can name it."""
    from tagwatch.access.by_command import log_change
    from tagwatch.cli.crimes import connected

    with connected(config) as connection:
        log_change(connection, "evidence written", wearer, reason=reason, case_ref=case, **told)
        connection.commit()


def _from_database(
    reference: str, force: str | None, wearer: str, run: str | None, given: Any, why: tuple[str, str]
) -> Found:
    from functools import partial

    from tagwatch.access.by_command import log_view
    from tagwatch.cases import Found, person_of
    from tagwatch.cli.crimes import connected
    from tagwatch.cli.material import people_of
    from tagwatch.provenance import traced
    from tagwatch.recorded_cases import recorded
    from tagwatch.settings import read_settings

    wearers, teams, config = given
    with connected(config) as connection:
        settings = read_settings(config)
        told = {"crime": reference, "force": force, "run": run}
        log_view(connection, "evidence asked", wearer, reason=why[0], case_ref=why[1], asked=told)
        found = recorded(connection, settings, reference, force, wearer, run)
        person = person_of(wearer, people_of(wearers, teams, connection))
    return Found(
        found.matched, found.trails, found.parameters, person, found.configuration, partial(traced, settings.raw_log.folder)
    )
