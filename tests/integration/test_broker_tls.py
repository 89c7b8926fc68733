"""Tagwatch and tags on a real Mosquitto over TLS, as it is deployed: let in by certificate, kept out with a useful line."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs12

from benchmarks.crash_checks import every_fix_once
from engine.errors import InputError, UnreachableError
from engine.fixes import SOURCES, Fixes, concat
from ingest.broker_trust import Trust
from ingest.broker_url import parse_url
from ingest.mqtt import Subscriber
from ingest.mqtt_link import Link
from tagwatch.broker.certificates import utc_now
from tagwatch.channels import notifiers_of
from tagwatch.publish import publish
from tagwatch.service import Service
from tagwatch.settings import Settings
from tests.integration.conftest import PATIENCE_S, until
from tests.integration.secure_broker import Attacker, SecureBroker

pytestmark = [
    pytest.mark.mosquitto,
    # paho does not close a socket whose TLS was refused; it goes when nobody knows it any more.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]
if shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None:
    pytest.skip("the mosquitto binary is not on this machine", allow_module_level=True)

START_S = 1_774_747_800


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    made = SecureBroker(tmp_path_factory.mktemp("secure"))
    made.folder.certificates_for(["revoked"], utc_now(), 30, made.folder.path / "of-tags")
    made.folder.revoke(["revoked"], utc_now())
    made.start()
    yield made
    made.stop()


def trail(devices: list[str], n_each: int) -> Fixes:
    n = len(devices) * n_each
    time_s = START_S + np.arange(n) // len(devices) * 60
    return Fixes.of(devices, device=np.arange(n) % len(devices), time_us=time_s * 1_000_000, lat_e7=530_000_000 + np.arange(n),
                    lon_e7=-np.arange(n), accuracy_cm=np.full(n, 800), source=np.full(n, SOURCES["gps"]),
                    received_s=time_s + 2)  # fmt: skip


def why_not(make: type[Subscriber] | type[Link], url: str, trust: Trust) -> str:
    """The line that an operator reads; on a busy machine it takes longer to come."""
    for wait_s in (0.7, 8.0, PATIENCE_S):
        link = (
            Subscriber(url, "tagwatch", ["tags/+/fixes"], trust=trust)
            if make is Subscriber
            else Link(url, "tagwatch", persistent=False, trust=trust)
        )
        with pytest.raises(UnreachableError) as caught:
            link.connect(wait_s)
        if "no answer" not in str(caught.value):
            break
    return str(caught.value)


LINKS = [Subscriber, Link]


@pytest.mark.parametrize("make", LINKS)
def test_what_keeps_the_two_apart_is_said(
    make: type[Subscriber] | type[Link], broker: SecureBroker, tmp_path: Path
) -> None:
    own, tags = broker.url(broker.own), broker.url(broker.certificates)
    good = broker.service()
    assert "its authority is unknown here" in why_not(make, own, good._replace(cafile=None))
    assert "its authority is unknown here" in why_not(make, own, good._replace(cafile=str(broker.folder.path / "tags.pem")))
    assert "does not know the authority" in why_not(make, own, broker.trust("t1"))
    assert "wants a certificate of ours" in why_not(make, own, Trust(good.cafile))
    assert "it is revoked" in why_not(make, tags, broker.trust("revoked"))
    passed = broker.folder.certificates_for(["passed"], utc_now() - timedelta(days=10), 5, tmp_path)[0]
    certificate, key = map(str, passed.files)
    assert "it has expired" in why_not(make, tags, Trust(good.cafile, certificate, key))
    assert broker.running


@pytest.mark.parametrize("make", LINKS)
def test_a_broker_that_is_another_or_has_ended(make: type[Subscriber] | type[Link], tmp_path: Path) -> None:
    ended = SecureBroker(tmp_path, hosts=["localhost"], now=utc_now() - timedelta(days=10), days=5)
    ended.start()
    try:
        assert "certificate has expired" in why_not(make, ended.url(ended.own), ended.service())
        ended.stop()
        ended.folder.found(["mqtt.elsewhere.example"], utc_now(), renew=True)
        ended.start()
        told = why_not(make, ended.url(ended.own), ended.service())
        assert "Hostname mismatch" in told
        assert "localhost" in told
    finally:
        ended.stop()


@pytest.mark.parametrize("make", LINKS)
def test_tls_where_there_is_none(make: type[Subscriber] | type[Link], mosquitto: str) -> None:
    told = why_not(make, mosquitto.replace("mqtt://127.0.0.1", "mqtts://localhost"), Trust())
    assert "TLS" in told
    assert "secret" not in why_not(make, mosquitto.replace("mqtt://", "mqtts://jo:secret@"), Trust())


def test_files_that_are_of_no_use(broker: SecureBroker, tmp_path: Path) -> None:
    url, good = broker.url(broker.own), broker.service()
    locked, other = tmp_path / "locked.pem", broker.service("tagwatch-alerts")
    pair = Path(str(good.keyfile)).read_bytes()
    key = ssl_key(pair)
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))  # type: ignore[attr-defined]
    for wrong, field in (
        (good._replace(cafile=str(tmp_path / "none.pem")), "cafile"),
        (good._replace(certfile=str(tmp_path / "none.pem")), "certfile"),
        (good._replace(keyfile=str(tmp_path / "none.pem")), "keyfile"),
        (good._replace(keyfile=other.keyfile), "certfile"),
        (good._replace(keyfile=str(locked)), "certfile"),
        (good._replace(certfile=None), "keyfile"),
    ):
        for make in (
            lambda trust: Subscriber(url, "x", ["a"], trust=trust),
            lambda trust: Link(url, "x", persistent=False, trust=trust),
        ):
            with pytest.raises(InputError) as caught:
                make(wrong)
            assert caught.value.field == field
    with pytest.raises(InputError, match="mqtts://"):
        Subscriber("mqtt://localhost", "x", ["a"], trust=good)


def ssl_key(pem: bytes) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem, None)


def test_nothing_older_than_tls_1_2(broker: SecureBroker) -> None:
    context = broker.service().context(Link(broker.url(broker.own), "x", persistent=False).url)
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_bundle_holds_the_same(broker: SecureBroker, tmp_path: Path) -> None:
    made = broker.folder.certificates_for(["phone"], utc_now(), 5, tmp_path, bundle=True)[0]
    key, certificate, _ = pkcs12.load_key_and_certificates(made.files[2].read_bytes(), made.secret.encode())
    assert key is not None
    assert certificate is not None
    assert certificate.public_bytes(Encoding.PEM) == made.files[0].read_bytes()
    assert made.files[2].stat().st_mode & 0o777 == 0o600


def test_the_service_over_mutual_tls(broker: SecureBroker, url: str, tmp_path: Path) -> None:
    """Tags with certificates, each as itself, to the database and back to `stored`; the alerts' courier enters too."""
    own = broker.service()
    alerts = broker.service("tagwatch-alerts")
    settings = Settings.model_validate({
        "broker": {"url": broker.url(broker.own), **own._asdict()}, "database": {"url": url},
        "raw_log": {"folder": tmp_path / "raw-log"},
        "alerts_mqtt": {"url": broker.url(broker.own), **alerts._asdict()},
    })  # fmt: skip
    service = Service(settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert service.ready.wait(2 * PATIENCE_S)
        tags = [f"tag{k}" for k in range(3)]
        broker.tag(*tags)
        for name in tags:
            told = publish(
                trail([name], 100), broker.url(broker.certificates), trust=broker.trust(name), wait_s=PATIENCE_S, resend_s=2
            )
            assert (told.unstored, told.unacknowledged) == (0, 0)
        notifier = notifiers_of(settings, lambda: 0)["mqtt"]
        assert notifier._opened().connected  # type: ignore[attr-defined]
        notifier.close()  # type: ignore[attr-defined]
    finally:
        service.stopping.set()
        thread.join(PATIENCE_S)
    every_fix_once(url, concat([trail([name], 100) for name in tags]), [])


def test_passwords_are_mosquittos_own_and_end_when_revoked(broker: SecureBroker) -> None:
    made = broker.folder.passwords_for(["p1", "p2"], utc_now())
    trust = Trust(str(broker.folder.path / "authority.pem"))
    reload(
        broker,
        lambda: entered(Attacker(broker.with_passwords, trust, "x", user="p2", password=made[1].secret)) == "Success",
    )
    right, wrong, other = (
        Attacker(broker.with_passwords, trust, "x", user=user, password=word)
        for user, word in (("p1", made[0].secret), ("p1", made[1].secret), ("nobody", ""))
    )
    assert right.enter() == "Success"
    assert right.say("tags/p1/fixes") in ("Success", "No matching subscribers")
    assert {wrong.enter(), other.enter()} == {"Not authorized"}
    broker.folder.revoke(["p1"], utc_now())
    reload(broker, lambda: right.n_ends)
    again = Attacker(broker.with_passwords, trust, "x", user="p1", password=made[0].secret)
    still = Attacker(broker.with_passwords, trust, "x", user="p2", password=made[1].secret)
    assert right.n_ends == 1  # who is in with a password that is gone is put out by the reload
    assert again.enter() == "Not authorized"
    assert still.enter() == "Success"
    for client in (right, wrong, other, again, still):
        client.leave()


def test_a_password_line_is_what_mosquitto_passwd_writes(tmp_path: Path) -> None:
    from base64 import b64decode

    from tagwatch.broker.passwords import hashed_line

    binary = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")
    if binary is None:
        pytest.skip("mosquitto_passwd is not on this machine")
    subprocess.run([binary, "-c", "-b", str(tmp_path / "passwd"), "t1", "a word"], check=True, capture_output=True)
    line = (tmp_path / "passwd").read_text().strip()
    assert hashed_line("t1", "a word", b64decode(line.split("$")[3])) == line


def test_a_certificate_that_is_revoked_while_it_is_in_use(broker: SecureBroker) -> None:
    """A reload keeps out who comes; who is in stays in, until the rules deny it everything or the broker is started again."""
    broker.tag("leaver", "another")
    trust, rules = broker.trust("leaver"), broker.folder.path / "tags.acl"
    client = Attacker(broker.certificates, trust, "x")
    assert client.enter() == "Success"
    other = broker.trust("another")
    assert entered(Attacker(broker.certificates, other, "x")) == "Success"
    broker.folder.revoke(["leaver", "another"], utc_now())
    reload(broker, lambda: entered(Attacker(broker.certificates, other, "x")) != "Success")
    assert "it is revoked" in why_not(Link, broker.url(broker.certificates), trust)
    assert client.say("tags/leaver/fixes") in ("Success", "No matching subscribers")
    rules.write_text(rules.read_text() + "\nuser leaver\ntopic deny #\n")
    reload(broker, lambda: client.say("tags/leaver/fixes") == "Not authorized")
    broker.stop()
    broker.start()
    assert "it is revoked" in why_not(Link, broker.url(broker.certificates), trust)
    client.leave()


def test_a_reload_takes_up_the_brokers_new_certificate(broker: SecureBroker) -> None:
    before = shown(broker)
    broker.folder.found(["localhost"], utc_now(), renew=True)
    reload(broker, lambda: shown(broker) != before)


def shown(broker: SecureBroker) -> bytes:
    """The certificate that the broker shows."""
    trust = Trust(str(broker.folder.path / "authority.pem"))
    context = trust.context(parse_url(broker.url(broker.with_passwords)))
    assert context is not None
    plain = socket.create_connection(("localhost", broker.with_passwords))
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        return connection.getpeercert(binary_form=True) or b""


def entered(client: Attacker) -> str:
    """What the broker says to somebody who comes and goes again."""
    try:
        return client.enter()
    except OSError:
        return "closed"
    finally:
        client.leave()


def reload(broker: SecureBroker, shows: Callable[[], object]) -> None:
    """Let the broker read its files again; it has when something shows it, as it does not say so."""
    broker.tell(signal.SIGHUP)
    until(shows, "the broker's files, read again")
