"""The settings file, the file of a base map, and keys that sign."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12

from crime_match.evidence.signing.keys import key_of, name_of
from crime_match.evidence.signing.trial_key import make_trial_key, write_pem
from crime_match.evidence.signing.trust import read_certificates
from engine.errors import InputError
from tagwatch.console.map_data import told
from tagwatch.settings import Settings, read_settings
from tests.fuzz.target import Target, require

_TOML = b"""[broker]
url = "mqtt://127.0.0.1:1883"
protocol = "auto"
[database]
url = "postgresql://127.0.0.1:5432/tagwatch"
[filter]
raise_at = 0.95
[plan]
fix_interval_s = 60
model = "tag"
[handling]
operators = 2
outcomes = ["visited", "called"]
[console]
port = 8600
hosts = ["tagwatch.example"]
[retention]
enforce = false
positions = "90 days"
[retention.voluntary]
raw = "0 days after the end"
"""


def _settings(data: bytes) -> Hashable:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        found = read_settings(Path(file.name))
    _ = found.filter_settings, found.handling_limits, found.flood_thresholds, found.default_plan
    for basis in ("bail", "voluntary", ""):
        found.retention.of_basis("positions", basis)
    require(0 < found.console.port < 65_536, "a port out of bounds")
    return len(found.model_fields_set)


def _base_map(data: bytes) -> Hashable:
    with tempfile.NamedTemporaryFile(suffix=".pmtiles") as file:
        file.write(data)
        file.flush()
        found = told(Settings.model_validate({"console": {"base_map": file.name}}))
    require(found["kind"] == "pmtiles", "a base map of another kind")
    return found["vector"]


def _key(data: bytes) -> Hashable:
    """Without a password and with one, and as certificates that are trusted."""
    refused: InputError | None = None
    for password in (None, b"secret"):
        try:
            signer = key_of(data, password)
        except InputError as error:
            refused = error
            require(b"secret" not in str(error).encode("utf-8", "replace"), "a password in a message")
            continue
        require(name_of(signer.certificate).isprintable() and len(signer.fingerprint) == 64, "a signer without a name")
        return type(signer.key).__name__, len(signer.chain)
    try:
        return len(read_certificates(data))
    except InputError:
        raise refused or InputError("no key") from None


@cache
def _keys() -> list[bytes]:
    found = []
    with tempfile.TemporaryDirectory() as place:
        for k, kind in enumerate(("ed25519", "rsa")):
            signer = make_trial_key("A force", kind)  # type: ignore[arg-type]
            for password in (None, b"secret"):
                path = Path(place) / f"{k}-{password}.pem"
                write_pem(path, signer, password)
                found.append(path.read_bytes())
            locked = BestAvailableEncryption(b"secret") if k == 0 else NoEncryption()
            found.append(pkcs12.serialize_key_and_certificates(b"key", signer.key, signer.certificate, None, locked))
    return found


_HEADER = b"PMTiles\x03" + bytes(91) + b"\x01" + bytes(27)

TARGETS = (
    Target(
        "settings",
        _settings,
        lambda: [_TOML],
        ("lines",),
        (b" = ", b"[[", b"]]", b'"""', b"inf", b"nan", b"0x", b"1979-05-27"),
    ),
    Target("base_maps", _base_map, lambda: [_HEADER, _HEADER[:50], b"x"], most_bytes=300, share=0.3),
    Target(
        "evidence_keys",
        _key,
        lambda: [*_keys()],
        (),
        (b"-----BEGIN PRIVATE KEY-----", b"-----END CERTIFICATE-----"),
        share=0.1,
        limit_s=5.0,
    ),
)
