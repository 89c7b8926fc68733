"""Commands about the MQTT broker: who may enter it, and what they may say there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError
from tagwatch.cli.options import say

if TYPE_CHECKING:
    from tagwatch.broker.folder import Made

broker = typer.Typer(no_args_is_help=True, help="The MQTT broker: authority, credential, revoke, ending, acl.")
FolderOption = Annotated[Path, typer.Option("--folder", help="Folder of the authorities and of what was issued")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Tags, by the device in their topics")]
BROKER = Path("broker")


@broker.command("authority")
def authority(
    host: Annotated[list[str], typer.Option("--host", help="Name or address that clients know the broker by; more than once")],
    folder: FolderOption = BROKER,
    days: Annotated[int, typer.Option("--days", min=1, max=3_653, help="How long the broker's certificate is valid")] = 731,
    renew: Annotated[bool, typer.Option("--renew", help="Put the present one aside and make a new one")] = False,
) -> None:  # fmt: skip
    """Make the authorities, where there are none yet, and the broker's own certificate."""
    from tagwatch.broker.certificates import utc_now
    from tagwatch.broker.folder import Folder

    hosts = [*dict.fromkeys([*host, "localhost", "127.0.0.1"])]
    for path in Folder(folder).found(hosts, utc_now(), days, renew=renew):
        say(f"written: {path}")
    say(f"keep {folder / 'authority.key'} where the broker is not; tags trust {folder / 'authority.pem'}")


@broker.command("credential")
def credential(
    name: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Tags, by the device in their topics")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Activations (CSV): a credential for each device that has none yet")
    ] = None,
    folder: FolderOption = BROKER,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for keys and certificates (default: in --folder)")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="A password instead, shown once on standard output")] = False,
    p12: Annotated[bool, typer.Option("--p12", help="PKCS#12 besides; its passphrase is shown once")] = False,
    service: Annotated[
        bool, typer.Option("--service", help="For Tagwatch's own: tagwatch, tagwatch-alerts, tagwatch-monitor")
    ] = False,
    days: Annotated[int | None, typer.Option("--days", min=1, max=7_305, help="How long it is valid")] = None,
) -> None:  # fmt: skip
    """A key and certificate for each tag, or a password."""
    from tagwatch.broker.certificates import utc_now
    from tagwatch.broker.folder import SERVICE_DAYS, TAG_DAYS, Folder

    if password and (p12 or service or out or days):
        raise InputError("a password has no --p12, --service, --out or --days", field="--password", value=True)
    names, office = [*(name or []), *_devices(from_)], Folder(folder)
    if not names:
        raise InputError(field="NAME", expected="one or more, or --from FILE with devices in it")
    if password:
        made = office.passwords_for(names, utc_now(), skip=from_ is not None)
        say(f"{office.passwords}: give it to the broker, then `systemctl reload mosquitto`")
    else:
        made = office.certificates_for(
            names, utc_now(), days or (SERVICE_DAYS if service else TAG_DAYS),
            out or folder / ("of-services" if service else "of-tags"), service=service, bundle=p12, skip=from_ is not None,
        )  # fmt: skip
    _tell(made, len(set(names)))


@broker.command("revoke")
def revoke(name: Names, folder: FolderOption = BROKER) -> None:
    """Let nobody enter any more with what was issued to these: certificates and passwords."""
    from tagwatch.broker.certificates import utc_now
    from tagwatch.broker.folder import Folder

    n_certificates, n_passwords = Folder(folder).revoke(name, utc_now())
    say(f"{n_certificates} certificates and {n_passwords} passwords revoked")
    say(f"give {folder / 'tags.crl'}, {folder / 'authority.crl'} and {folder / 'passwords'} to the broker and reload it:")
    say("who is connected with a certificate stays until the broker is restarted")


@broker.command("ending")
def ending(
    folder: FolderOption = BROKER,
    days: Annotated[int, typer.Option("--days", min=0, help="Within so many days")] = 90,
) -> None:
    """Which certificates end soon, the broker's own among them; exit code 1 where there are any."""
    from tagwatch.broker.certificates import utc_now
    from tagwatch.broker.folder import Folder

    found = Folder(folder).ending(utc_now(), days)
    for entry in found:
        print(f"{entry.until:%Y-%m-%d}  {entry.kind:<8} {entry.name}")
    say(f"{len(found)} certificates end within {days} days")
    if found:
        raise typer.Exit(1)


@broker.command("acl")
def acl(
    folder: FolderOption = BROKER,
    alerts: Annotated[
        list[str] | None, typer.Option("--alerts", help="Topics of alerts; more than once (default: alerts/#)")
    ] = None,
) -> None:  # fmt: skip
    """Write the access rules of the broker's listeners: tags.acl and services.acl."""
    from tagwatch.broker import files
    from tagwatch.broker.acl import ALERTS, TAGS, services_acl

    texts = {"tags.acl": TAGS, "services.acl": services_acl(alerts or ALERTS)}
    with files.alone(folder):
        for name, text in texts.items():
            files.replace(folder / name, text.encode(), files.PUBLIC)
            say(f"written: {folder / name}")


def _devices(path: str | None) -> Iterator[str]:
    from ingest.activation_files import read_activations
    from tagwatch.broker.names import names_of

    if path is not None:
        yield from names_of(activation.device for activation in read_activations(path).rows)


def _tell(made: list[Made], n_asked: int) -> None:
    for one in made:
        for path in one.files:
            say(f"written: {path}")
        if one.secret:
            print(f"{one.name} {one.secret}")
    told = f", {n_asked - len(made)} had one already" if len(made) < n_asked else ""
    say(f"{len(made)} credentials made{told}")
