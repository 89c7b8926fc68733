"""`tagwatch broker`: names that are only names, keys that are never written over, and files as they are deployed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine.errors import InputError
from ingest.broker_url import parse_url
from ingest.topics import FIXES, route_of
from tagwatch.broker import files, register
from tagwatch.broker.acl import TAGS, services_acl
from tagwatch.broker.folder import Folder
from tagwatch.broker.names import SERVICES, check_name, check_service, names_of
from tagwatch.broker.passwords import hashed_line, make_password
from tagwatch.broker.register import Issued
from tagwatch.cli.main import app
from tagwatch.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/mosquitto"
BAD = ["", " ", "+", "#", "a/b", "../x", "a b", "a\nb", "a:b", "%u", "$SYS", "x" * 65, "é", ".x", "-x", "a\x00", "tagwatch", "Tagwatch-2",
       "a\u202eb", "a,b", "a\\b", "a\t", "a\n"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "broker")
    made.found(["mqtt.centre.example", "10.0.0.7"], NOW)
    return made


@pytest.mark.parametrize("name", BAD)
def test_names_that_mean_more_are_refused(folder: Folder, name: str) -> None:
    before = sorted(folder.path.rglob("*"))
    for act in (
        lambda: folder.certificates_for(["fine", name], NOW, 5, folder.path / "of-tags"),
        lambda: folder.passwords_for(["fine", name], NOW),
    ):
        with pytest.raises(InputError) as caught:
            act()
        assert caught.value.field == "name"
    assert sorted(folder.path.rglob("*")) == before  # nothing, not even for the good one


@given(st.text(max_size=70))
def test_a_name_is_one_level_of_a_topic_and_one_field_of_a_line(name: str) -> None:
    try:
        check_name(name)
    except InputError:
        return
    assert route_of(f"tags/{name}/fixes") == (FIXES, name, None)
    assert not set(name) & set("/+#%$:\\ \r\n\0") and name.isprintable() and name.isascii()  # noqa: PT018
    assert len(hashed_line(name, "x").split(":")) == 2
    assert Path(name).name == name
    assert name not in SERVICES


def test_owntracks_users_and_tags_do_not_share_a_name() -> None:
    assert names_of(["t1", "jo/phone", "jo/tablet", "t2", "t1"]) == ["t1", "jo", "t2"]
    for wrong in (["jo", "jo/phone"], ["jo/phone", "jo"], ["a/b/c"], ["/x"], ["x/"]):
        with pytest.raises(InputError):
            names_of(wrong)
    with pytest.raises(InputError):
        check_service("t1")


def test_keys_are_for_their_owner_and_stay(folder: Folder) -> None:
    made = folder.certificates_for(["t1"], NOW, 5, folder.path / "of-tags", bundle=True)[0]
    secrets = [*folder.path.glob("*.key"), *(path for path in made.files if path.suffix != ".pem"), folder.register]
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    assert (folder.path / "of-tags").stat().st_mode & 0o777 == 0o700
    kept = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path != folder.register}
    with pytest.raises(InputError, match="never written over"):
        folder.certificates_for(["t2", "t1"], NOW, 5, folder.path / "of-tags")
    with pytest.raises(InputError, match="--renew"):
        folder.found(["other.example"], NOW)
    assert kept == {path: path.read_bytes() for path in kept}
    assert not list(folder.path.rglob("t2.*"))


def test_who_has_one_is_left_out_of_a_list(folder: Folder) -> None:
    out = folder.path / "of-tags"
    folder.certificates_for(["t1"], NOW, 5, out)
    assert [one.name for one in folder.certificates_for(["t1", "t2", "t2"], NOW, 5, out, skip=True)] == ["t2"]
    (out / "t2.pem").unlink()  # interrupted half-way
    with pytest.raises(InputError, match=r"t2\.key"):
        folder.certificates_for(["t1", "t2"], NOW, 5, out, skip=True)
    folder.passwords_for(["p1"], NOW)
    assert [one.name for one in folder.passwords_for(["p1", "p2"], NOW, skip=True)] == ["p2"]
    with pytest.raises(InputError, match="has a password already"):
        folder.passwords_for(["p3", "p1"], NOW)
    assert folder.passwords.read_text().count("\n") == 2


def test_two_authorities_and_what_they_certify(folder: Folder) -> None:
    folder.certificates_for(["t1"], NOW, 5, folder.path)
    folder.certificates_for(["tagwatch"], NOW, 100_000, folder.path, service=True)
    read = {name: x509.load_pem_x509_certificate((folder.path / f"{name}.pem").read_bytes())
            for name in ("authority", "tags", "server", "t1", "tagwatch")}  # fmt: skip
    for name, issuer in (("server", "authority"), ("t1", "tags"), ("tagwatch", "authority")):
        read[name].verify_directly_issued_by(read[issuer])
        usage = read[name].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [each._name for each in usage] == ["serverAuth" if name == "server" else "clientAuth"]
        assert not read[name].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert read["tagwatch"].not_valid_after_utc == read["authority"].not_valid_after_utc
    assert read["t1"].not_valid_after_utc == NOW + timedelta(days=5)
    hosts = read["server"].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert hosts.get_values_for_type(x509.DNSName) == ["mqtt.centre.example"]
    assert [str(each) for each in hosts.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    with pytest.raises(InputError, match="--host"):
        Folder(folder.path / "other").found(["not a host"], NOW)


def test_what_is_revoked_stays_revoked(folder: Folder) -> None:
    out = folder.path / "of-tags"
    folder.certificates_for(["t1", "t2", "t3"], NOW, 5, out)
    folder.certificates_for(["t1"], NOW, 50, folder.path / "again")  # a renewal: both go
    folder.passwords_for(["t2"], NOW)
    assert folder.revoke(["t1", "t2"], NOW) == (3, 1)
    assert folder.revoke(["t3"], NOW) == (1, 0)
    revoked = x509.load_pem_x509_crl((folder.path / "tags.crl").read_bytes())
    serials = {int(entry.serial, 16) for entry in register.entries(folder.register) if entry.kind == "tag"}
    assert {each.serial_number for each in revoked} == serials
    assert revoked.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert (
        revoked.next_update_utc
        == x509.load_pem_x509_certificate((folder.path / "tags.pem").read_bytes()).not_valid_after_utc
    )
    assert folder.passwords.read_text() == ""
    assert len(x509.load_pem_x509_crl((folder.path / "authority.crl").read_bytes())) == 0
    for nobody in ("t1", "t9", "mqtt.centre.example"):
        with pytest.raises(InputError, match="nothing was issued"):
            folder.revoke([nobody], NOW)


def test_what_ends_soon(folder: Folder) -> None:
    folder.certificates_for(["t1", "t2"], NOW, 5, folder.path / "old")
    folder.certificates_for(["t2"], NOW, 500, folder.path / "new")
    assert [entry.name for entry in folder.ending(NOW, 30)] == ["t1"]
    assert [entry.name for entry in folder.ending(NOW + timedelta(days=20), 30)] == ["t1"]  # it has ended
    assert [entry.name for entry in folder.ending(NOW, 731)] == ["t1", "t2", "mqtt.centre.example"]
    folder.found(["mqtt.new.example"], NOW + timedelta(days=700), renew=True)
    assert "mqtt.centre.example" not in [entry.name for entry in folder.ending(NOW + timedelta(days=700), 90)]
    assert len(list(folder.path.glob("server-*.key"))) == 1


def test_the_register_survives_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "issued.jsonl"
    register.append(path, [Issued("a", "tag", NOW, "1", NOW)])
    with path.open("ab") as file:
        file.write(b'{"name":"b","ki')
    assert [entry.name for entry in register.entries(path)] == ["a"]
    register.append(path, [Issued("c", "tag", NOW, "2", NOW)])
    assert [entry.name for entry in register.entries(path)] == ["a", "c"]
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(InputError, match="line 1"):
        list(register.entries(path))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        files.make(tmp_path / "file" / "folder")
    with pytest.raises(InputError, match="cannot be written"):
        files.put(tmp_path / "none" / "x.key", b"", files.SECRET)
    with pytest.raises(InputError, match="tagwatch broker authority"):
        Folder(tmp_path / "empty").certificates_for(["t1"], NOW, 5, tmp_path)


def test_the_authoritys_key_must_be_its_own(folder: Folder) -> None:
    (folder.path / "tags.key").write_bytes((folder.path / "server.key").read_bytes())
    with pytest.raises(InputError, match="the key is another's"):
        folder.certificates_for(["t1"], NOW, 5, folder.path)


def test_the_deployed_rules_are_the_written_ones() -> None:
    assert (DEPLOYED / "tags.acl").read_text() == TAGS
    assert (DEPLOYED / "services.acl").read_text() == services_acl()
    for wrong in ("tags/#", "#", "+/x", "owntracks/jo/phone", "$SYS/x", "a\nuser x", "a/#/b", "a+", "", " a"):
        with pytest.raises(InputError):
            services_acl([wrong])
    assert "topic write east/alerts" in services_acl(["alerts/#", "east/alerts"])


def test_the_deployed_configuration_says_what_it_must() -> None:
    text = (DEPLOYED / "mosquitto.conf").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "per_listener_settings true"
    head, *listeners = "\n".join(lines).split("\nlistener ")
    for wanted in (
        "persistence true",
        "max_queued_messages 0",
        "max_queued_bytes",
        "max_packet_size",
        "message_size_limit",
    ):
        assert wanted in head
    assert "persistent_client_expiration" not in "\n".join(lines)
    assert "memory_limit" not in "\n".join(lines)
    assert len(listeners) == 3
    for listener in listeners:
        for wanted in (
            "allow_anonymous false",
            "tls_version tlsv1.2",
            "certfile",
            "keyfile",
            "acl_file",
            "max_connections",
        ):
            assert wanted in listener
    assert "log_type debug" not in lines
    for by_tags in listeners[:2]:
        assert "use_username_as_clientid true" in by_tags
        assert "tags.acl" in by_tags
    for by_certificate in (listeners[0], listeners[2]):
        for wanted in ("require_certificate true", "use_identity_as_username true", "crlfile"):
            assert wanted in by_certificate


def test_the_commands(tmp_path: Path) -> None:
    broker = ["--folder", str(tmp_path / "b")]
    activations = tmp_path / "activations.csv"
    activations.write_text("device,wearer,from,to\nt1,w1,2026-01-01T00:00:00Z,\njo/phone,w2,2026-01-01T00:00:00Z,\n")

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["broker", *words, *broker])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return 2, str(done.exception)  # `main` tells it and leaves with 2
        return done.exit_code, done.stdout

    assert run("authority", "--host", "mqtt.centre.example")[0] == 0
    assert run("acl")[0] == 0
    assert run("credential", "--from", str(activations)) == (0, "")
    assert sorted(path.name for path in (tmp_path / "b/of-tags").iterdir()) == ["jo.key", "jo.pem", "t1.key", "t1.pem"]
    assert run("credential", "--from", str(activations))[0] == 0  # again: nothing
    code, told = run("credential", "t7", "--password")
    assert (code, told.split()[0], len(told.split()[1])) == (0, "t7", 32)
    assert told.split()[1] not in (tmp_path / "b/passwords").read_text()
    code, told = run("credential", "t8", "--p12", "--out", str(tmp_path / "out"))
    assert (code, told.split()[0]) == (0, "t8")
    assert "begins otherwise" in run("credential", "tagwatch")[1]
    assert run("credential", "tagwatch", "--service")[0] == 0
    assert "NAME is missing" in run("credential")[1]
    assert "--password" in run("credential", "t1", "--password", "--p12")[1]
    assert run("ending", "--days", "1")[0] == 0
    code, told = run("ending", "--days", "731")
    assert code == 1
    assert "mqtt.centre.example" in told
    assert run("revoke", "t1", "t7")[0] == 0
    assert run("revoke", "t1")[0] == 2
    names = [json.loads(line)["name"] for line in (tmp_path / "b/issued.jsonl").read_text().splitlines()]
    assert sorted(names) == sorted(["authority", "tags", "mqtt.centre.example", "t1", "jo", "t7", "t8", "tagwatch"])


def test_passwords_are_random_and_their_hashes_salted() -> None:
    assert len({make_password() for _ in range(100)}) == 100
    assert hashed_line("t1", "x") != hashed_line("t1", "x")


def test_settings_hand_the_files_on() -> None:
    files_ = {"cafile": "a", "certfile": "b", "keyfile": "c"}
    for part in ("broker", "alerts_mqtt"):
        trust = getattr(Settings.model_validate({part: files_}), part).trust
        assert trust._asdict() == files_
        assert getattr(Settings(), part).trust.context(parse_url("mqtt://x")) is None
