"""What is deployed: every file that is named is there, every setting is told, the units hold what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from engine.errors import InputError
from tagwatch.secrets import KEYS
from tagwatch.settings import Settings, Terms, read_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
EXAMPLE = DEPLOY / "tagwatch.toml"
SECRETS = {"service_password": "a/b@c", "upkeep_password": "x", "webhook_secret": "whsec_eHh4", "mail_password": "m",
           "owner_password": "o", "backup_password": "b"}  # fmt: skip
MADE = ("compose/secrets/", "compose/broker/")
"""What compose.yaml's first lines have the reader make."""


def keys_of(part: BaseModel, before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in part:
        if isinstance(value, BaseModel):
            found |= keys_of(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def lines_of(text: str) -> dict[str, tuple[str, str, bool]]:
    """By key what it is said to be, its remark, and whether the line is on."""
    found, part = {}, ""
    for line in text.splitlines():
        if head := re.match(r"\[([a-z_.]+)\]", line):
            part = head[1]
        elif one := re.match(r"(# )?([a-z_]+) = (.*?)\s+# (.*)$", line):
            found[f"{part}.{one[2]}"] = (one[3], one[4], one[1] is None)
    return found


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_every_setting_is_told_line_by_line() -> None:
    told, defaults = lines_of(EXAMPLE.read_text()), keys_of(Settings())
    bases = {
        f"retention.{basis}.{kind}"
        for basis in ("licence", "bail", "court_order", "voluntary")
        for kind in keys_of(Terms())
    }
    lacking, unknown = defaults.keys() - told.keys() - bases, told.keys() - defaults.keys()
    assert not lacking, f"deploy/tagwatch.toml does not tell {sorted(lacking)}"
    assert not unknown, f"deploy/tagwatch.toml tells {sorted(unknown)}, which are no settings"


def test_values_are_the_defaults_or_say_what_these_are() -> None:
    defaults = keys_of(Settings())
    for key, (text, remark, is_on) in lines_of(EXAMPLE.read_text()).items():
        if not is_on:
            continue
        value, default = tomllib.loads(f"v = {text}")["v"], defaults[key]
        default = str(default) if isinstance(default, Path) else default
        if "(default: " not in remark:
            assert value == default, f"{key} is {value!r}, its default is {default!r}, and the line does not say so"
        elif default is None:
            assert "(default: none" in remark, key
        else:
            given = re.search(r"\(default: ([^,)]+)", remark)
            assert given is not None
            assert tomllib.loads(f"v = {given[1]}")["v"] == default, key


def test_the_settings_files_are_read_with_their_secrets(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(EXAMPLE)
    assert settings.database.url == "postgresql://tagwatch_service:a%2Fb%40c@127.0.0.1/tagwatch"
    for name in ("compose/tagwatch.toml", "compose/owner.toml", "compose/backup.toml", "systemd/backup.toml"):
        assert "${" not in read_settings(DEPLOY / name).database.url
    assert read_settings(DEPLOY / "compose/tagwatch.toml").webhook.secret == "whsec_eHh4"
    (secrets / "upkeep_password").unlink()
    with pytest.raises(
        InputError, match=r"database.upkeep_url is '\$\{upkeep_password\}': expected a file upkeep_password in"
    ):
        read_settings(EXAMPLE)
    monkeypatch.setenv("upkeep_password", "of the environment")
    assert "of%20the%20environment" in read_settings(EXAMPLE).database.upkeep_url


def test_secrets_are_neither_told_nor_kept(tmp_path: Path, secrets: Path) -> None:
    path = tmp_path / "tagwatch.toml"
    path.write_text('[webhook]\nsecret = ["whsec_very", "secret"]\n')
    with pytest.raises(InputError) as told:
        read_settings(path)
    assert "very" not in str(told.value)
    path.write_text('[mail]\npassword = "${../../etc/passwd}"\n')
    with pytest.raises(InputError, match="letters, digits"):
        read_settings(path)
    kept = read_settings(EXAMPLE).without_secrets()
    assert not [key for key in KEYS if key.split(".")[1] in kept[key.split(".")[0]]]
    assert "a%2Fb" not in str(kept)
    named = re.findall(r"(\w+\.\w*(?:password|secret|url)\w*)", " ".join(keys_of(Settings())))
    assert set(named) == set(KEYS), "a setting that may hold a secret is not in tagwatch.secrets.KEYS, or no longer there"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('listen = "0.0.0.0"', "can be reached from other machines: only with https = true"),
        ('listen = "192.0.2.7"\nhttps = false', "only with https = true"),
        ('listen = "everywhere"', "an IP address such as"),
    ],
)
def test_the_console_does_not_listen_openly(tmp_path: Path, lines: str, told: str) -> None:
    path = tmp_path / "tagwatch.toml"
    path.write_text(f"[console]\n{lines}\n")
    with pytest.raises(InputError, match=told):
        read_settings(path)
    path.write_text('[console]\nlisten = "::1"\n')
    assert read_settings(path).console.listen == "::1"


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def test_every_file_that_compose_names_is_there_or_told_to_be_made() -> None:
    told = compose()
    head = (DEPLOY / "compose.yaml").read_text().partition("name: tagwatch")[0]
    named = [v.split(":")[0] for s in told["services"].values() for v in s.get("volumes", ())]
    named += [one["file"] for one in told["secrets"].values()]
    for name in named:
        if name.startswith("./"):
            made = name[2:].startswith(MADE)
            assert made or (DEPLOY / name).is_file(), f"{name} is not there"
        else:
            assert name in told["volumes"], name
    assert all(place.rstrip("/") in head for place in MADE)
    for name in told["secrets"]:
        word = name.removesuffix("_password").removesuffix("_secret")
        assert word in head, f"nobody is told to make {name}"


def test_compose_lets_nobody_in_but_to_broker_and_proxy() -> None:
    told = compose()
    services = told["services"]
    assert {name for name, s in services.items() if "ports" in s} == {"broker", "proxy"}
    assert told["networks"]["inside"] == {"internal": True}
    assert {name for name, s in services.items() if "outside" in s["networks"]} == {"broker", "proxy"}
    assert set(services["database"]["networks"]) == {"inside"}
    published = {port.split(":")[0] for s in services.values() for port in s.get("ports", ())}
    assert published == {"80", "443", "8883", "8884"}, "the door of Tagwatch's own, 8885, is not among them"
    for name, s in services.items():
        assert s["read_only"] is True, name
        assert s["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in s["security_opt"], name
        assert s["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert "healthcheck" in s or name == "tagwatch", name  # that one is in its image
        assert "privileged" not in s, name
        assert ":latest" not in s["image"], name
        assert "/" not in s["image"] or "." not in s["image"].split("/")[0], f"{name}: a registry is named"
        for secret in s.get("secrets", ()):
            assert secret in told["secrets"], name
    text = (DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"PASSWORD:\s*\S", text), "a password is in the file"


def test_the_image_runs_as_nobody_special_and_installs_by_hash() -> None:
    lines = (DEPLOY / "Containerfile").read_text()
    assert "--require-hashes" in lines
    assert "--only-binary :all:" in lines
    assert re.search(r"^USER 8600:8600$", lines, re.MULTILINE)
    assert "HEALTHCHECK" in lines
    assert not re.search(r"(?i)(password|secret)\s*=", lines)
    assert lines.index("USER 8600") > lines.rindex("RUN ")


@pytest.mark.parametrize("name", ["tagwatch.service", "tagwatch-backup.service"])
def test_units_are_hardened(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    for unit in (DEPLOY / "systemd").glob("*.[st][ei][rm]*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/tagwatch/bin/tagwatch", "/bin/true"))
    found = subprocess.run([analyze, "verify", tmp_path / name], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    found = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in found.stderr:
        pytest.skip("this systemd-analyze cannot look at a unit that is not loaded")
    assert found.returncode == 0, found.stdout[-400:]


def test_the_service_unit_is_watched_and_has_its_secrets() -> None:
    text = (DEPLOY / "systemd/tagwatch.service").read_text()
    assert "Type=notify" in text
    assert "WatchdogSec=60" in text
    used = set(re.findall(r"\$\{(\w+)\}", re.sub(r"(?m)^#.*$", "", EXAMPLE.read_text()).replace("better ", "")))
    given = set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE))
    assert used <= given


@pytest.mark.parametrize("name", ["caddy/Caddyfile", "nginx/tagwatch.conf"])
def test_proxies_keep_metrics_to_themselves(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert "/metrics" in text
    assert "/health/" in text
    assert "404" in text
    assert "Strict-Transport-Security" in text + (DEPLOY / "nginx/tagwatch-proxy.conf").read_text()
