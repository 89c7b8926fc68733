"""The folder of an administrator: two authorities, the broker's own certificate, what was issued and what was revoked.

`authority` certifies the broker and Tagwatch's own; `tags` certifies tags and nobody else, so that whoever gets hold of its
key, which is in daily use, can pose as neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from engine.errors import InputError
from tagwatch.broker import certificates, files, passwords, register
from tagwatch.broker.certificates import CLIENT, SERVER, Pair
from tagwatch.broker.names import check_name, check_service
from tagwatch.broker.register import Issued

AUTHORITY, TAGS = "authority", "tags"
AUTHORITY_DAYS, SERVER_DAYS, TAG_DAYS, SERVICE_DAYS = 7_305, 731, 1_096, 731
_FIRST = "an authority: `tagwatch broker authority --host NAME` makes one"


class Made(NamedTuple):
    """What was made for one name: its files, or its password, and for a bundle the passphrase; shown once."""

    name: str
    files: tuple[Path, ...] = ()
    secret: str = ""


class Folder:
    """One folder; every change is made by one command at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.register = path / "issued.jsonl"
        self.passwords = path / "passwords"

    def found(self, hosts: Sequence[str], now: datetime, days: int = SERVER_DAYS, *, renew: bool = False) -> list[Path]:
        """Make the authorities that are not there yet and a certificate for the broker; returns the files written.

        `renew` puts the broker's present certificate aside, under its number.
        """
        with files.alone(self.path):
            server = self.path / "server.pem"
            if server.exists() and not renew:
                raise InputError("is there already", place=str(server), expected="--renew, which puts it aside")
            made = certificates.certify(self._authority_or_new(AUTHORITY, now), hosts[0][:64], SERVER, now, days, hosts)
            self._authority_or_new(TAGS, now)
            if not self.passwords.exists():  # Mosquitto does not start without the file
                files.put(self.passwords, b"", files.SECRET)
            register.append(self.register, [_entry(made, hosts[0], "server", now)])
            if server.exists():
                self._put_aside(server)
            return self._put_pair(made, self.path, "server")

    def certificates_for(
        self, names: Sequence[str], now: datetime, days: int, out: Path, *, service: bool = False, bundle: bool = False,
        skip: bool = False,
    ) -> list[Made]:  # fmt: skip
        """A key and a certificate for each name, in `out`; `bundle`: as PKCS#12 besides. Where `skip`, who has both files
        already is left out; else InputError before anything is written."""
        for name in names:
            check_service(name) if service else check_name(name)
        with files.alone(self.path):
            files.make(out)
            there = {name for name in names if (out / f"{name}.pem").exists() and (out / f"{name}.key").exists()}
            wanted = [name for name in dict.fromkeys(names) if not (skip and name in there)]
            for path in (out / f"{name}{end}" for name in wanted for end in (".key", ".pem", ".p12")):
                if path.exists():
                    raise InputError("is there already, and a key is never written over", place=str(path))
            authority = self._authority(AUTHORITY if service else TAGS)
            pairs = {name: certificates.certify(authority, name, CLIENT, now, days) for name in wanted}
            kind = "service" if service else "tag"
            register.append(self.register, [_entry(pair, name, kind, now) for name, pair in pairs.items()])
            return [self._put_credential(name, pair, out, bundle=bundle) for name, pair in pairs.items()]

    def passwords_for(self, names: Sequence[str], now: datetime, *, skip: bool = False) -> list[Made]:
        """A password for each name, whose hash is added to Mosquitto's password file; InputError where one has one already."""
        for name in names:
            check_name(name)
        with files.alone(self.path):
            lines = self._password_lines()
            wanted = [name for name in dict.fromkeys(names) if not (skip and name in lines)]
            if taken := next((name for name in wanted if name in lines), None):
                raise InputError(
                    "has a password already", field="name", value=taken, expected="one that was revoked before"
                )
            made = {name: passwords.make_password() for name in wanted}
            register.append(self.register, [Issued(name, "password", now) for name in wanted])
            self._put_passwords({**lines, **{name: passwords.hashed_line(name, word) for name, word in made.items()}})
        return [Made(name, (), word) for name, word in made.items()]

    def revoke(self, names: Sequence[str], now: datetime) -> tuple[int, int]:
        """Revoke every certificate that has not ended and every password of these; returns how many of each.

        InputError, and nothing is done, where a name has neither.
        """
        with files.alone(self.path):
            lines, valid = self._password_lines(), self._valid(now)
            for name in names:
                if name not in lines and not any(entry.name == name for entry in valid):
                    raise InputError("nothing was issued to it that is still valid", field="name", value=name)
            ended = [entry for entry in valid if entry.name in set(names)]
            for kind, stem in (("tag", TAGS), ("service", AUTHORITY)):
                if serials := [int(entry.serial, 16) for entry in ended if entry.kind == kind]:
                    self._revoke(stem, serials, now)
            kept = {name: line for name, line in lines.items() if name not in names}
            if len(kept) < len(lines):
                self._put_passwords(kept)
        return len(ended), len(lines) - len(kept)

    def ending(self, now: datetime, days: int) -> list[Issued]:
        """What ends within these days, or ended within as many, and has no successor of its name; soonest first."""
        every = self._valid(now - timedelta(days=days), ("tag", "service", "server", "authority"))
        latest = {("" if entry.kind == "server" else entry.name, entry.kind): entry for entry in every}
        soon = [entry for entry in latest.values() if entry.until and entry.until <= now + timedelta(days=days)]
        return sorted(soon, key=lambda entry: (entry.until or now, entry.name))

    def _valid(self, now: datetime, kinds: Sequence[str] = ("tag", "service")) -> list[Issued]:
        """Certificates that have neither ended nor been revoked."""
        revoked = {each.serial_number for stem in (TAGS, AUTHORITY) if (old := self._list(stem)) for each in old}
        return [
            entry for entry in register.entries(self.register)
            if entry.kind in kinds and entry.until and entry.until > now and int(entry.serial, 16) not in revoked
        ]  # fmt: skip

    def _authority(self, stem: str) -> Pair:
        certificate, key = (files.read(self.path / f"{stem}{end}", _FIRST) for end in (".pem", ".key"))
        try:
            return certificates.read_pair(certificate, key)
        except (ValueError, TypeError) as error:
            raise InputError(f"cannot be used: {error}", place=str(self.path / f"{stem}.key")) from None

    def _authority_or_new(self, stem: str, now: datetime) -> Pair:
        if not (self.path / f"{stem}.pem").exists():
            made = certificates.make_authority(f"Tagwatch {stem}", now, AUTHORITY_DAYS)
            register.append(self.register, [_entry(made, stem, "authority", now)])
            self._put_pair(made, self.path, stem)
            files.put(self.path / f"{stem}.crl", certificates.revocations(made, None, (), now), files.PUBLIC)
        return self._authority(stem)

    def _revoke(self, stem: str, serials: Iterable[int], now: datetime) -> None:
        data = certificates.revocations(self._authority(stem), self._list(stem), serials, now)
        files.replace(self.path / f"{stem}.crl", data, files.PUBLIC)

    def _list(self, stem: str) -> x509.CertificateRevocationList | None:
        path = self.path / f"{stem}.crl"
        return x509.load_pem_x509_crl(path.read_bytes()) if path.exists() else None

    def _put_pair(self, pair: Pair, out: Path, stem: str) -> list[Path]:
        files.put(key := out / f"{stem}.key", pair.key_pem(), files.SECRET)
        files.put(certificate := out / f"{stem}.pem", pair.certificate_pem(), files.PUBLIC)
        return [certificate, key]

    def _put_aside(self, server: Path) -> None:
        serial = x509.load_pem_x509_certificate(server.read_bytes()).serial_number
        for end in (".key", ".pem"):
            server.with_suffix(end).rename(server.with_name(f"server-{serial:x}{end}"))

    def _put_credential(self, name: str, pair: Pair, out: Path, *, bundle: bool) -> Made:
        written = self._put_pair(pair, out, name)
        secret = passwords.make_password() if bundle else ""
        if bundle:
            files.put(path := out / f"{name}.p12", pair.pkcs12(name, secret), files.SECRET)
            written.append(path)
        return Made(name, tuple(written), secret)

    def _password_lines(self) -> dict[str, str]:
        text = self.passwords.read_text("utf-8") if self.passwords.exists() else ""
        return {line.partition(":")[0]: line for line in text.splitlines() if line.strip()}

    def _put_passwords(self, lines: dict[str, str]) -> None:
        files.replace(self.passwords, "".join(f"{line}\n" for line in lines.values()).encode(), files.SECRET)


def _entry(pair: Pair, name: str, kind: str, now: datetime) -> Issued:
    return Issued(name, kind, now, pair.serial, pair.certificate.not_valid_after_utc)
