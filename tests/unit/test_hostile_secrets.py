"""Secrets are shown nowhere: not in representations, error messages, tracebacks, the list of processes, or what doctor says."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import typer

from engine import database
from engine.errors import InputError, UnreachableError
from ingest.broker_url import parse_url
from tagwatch import secrets
from tagwatch.cli.main import app
from tagwatch.settings import Settings, read_settings

SECRET = "hunter2secret"
FULL = f"""
[broker]
url = "mqtt://tagwatch:{SECRET}@127.0.0.1:1"
[database]
url = "postgresql://tagwatch:{SECRET}@127.0.0.1:1/tagwatch"
upkeep_url = "postgresql://owner:{SECRET}@127.0.0.1:1/tagwatch"
[webhook]
url = "https://127.0.0.1:1/{SECRET}"
secret = "whsec_aHVudGVyMnNlY3JldA=="
older_secrets = ["whsec_aHVudGVyMnNlY3JldA=="]
[mail]
host = "127.0.0.1"
user = "tagwatch"
sender = "tagwatch@example.org"
password = "{SECRET}"
[alerts_mqtt]
url = "mqtt://tagwatch:{SECRET}@127.0.0.1:1"
"""
NO_URLS = [
    f"postgresql//u:{SECRET}@h/db", f"postgresql://u:{SECRET}@[h/db", f"postgresql://u:{SECRET}@127.0.0.1:1/db?nonsense=1",
    f"postgresql://u:{SECRET}%zz@127.0.0.1:1/db", f"host=h pass word={SECRET}",
]  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "tagwatch.toml"
    path.write_text(text, "utf-8")
    return path


def hides(text: str) -> bool:
    return SECRET not in text and "aHVudGVyMnNlY3JldA" not in text


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from tagwatch.cli import main; main()", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_settings_do_not_show_what_is_secret_in_them(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, FULL))
    for part in (settings, *(getattr(settings, name) for name in Settings.model_fields)):
        assert hides(f"{part!r} {part!s} {part}")
    assert "(not shown)" in repr(settings.mail)
    assert "sender='tagwatch@example.org'" in repr(settings.mail)
    assert hides(str(settings.without_secrets()))
    assert SECRET in settings.database.url  # it is there for who connects


def test_every_setting_that_sounds_like_a_secret_is_known_as_one() -> None:
    for part, field in Settings.model_fields.items():
        kind: Any = field.annotation
        for name in kind.model_fields:
            if any(word in name for word in ("secret", "password", "url", "token")):
                assert f"{part}.{name}" in secrets.KEYS


@pytest.mark.parametrize("url", NO_URLS)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as told:
        database.connect(url, 0.0)
    assert hides("".join(traceback.format_exception(told.value)))
    assert told.value.field == "database.url"


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(UnreachableError) as told:
        database.connect(f"postgresql://u:{SECRET}@127.0.0.1:1/db", 0.0)
    assert hides("".join(traceback.format_exception(told.value)))


@pytest.mark.parametrize(
    "url", [f"mqtts//u:{SECRET}@h", f"http://u:{SECRET}@h", f"mqtt://u:{SECRET}@h:99999", f"mqtt://u:{SECRET}@"]
)
def test_a_brokers_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as told:
        parse_url(url)
    assert hides("".join(traceback.format_exception(told.value)))


@pytest.mark.parametrize("text", [
    f'[mail]\npassword = ["{SECRET}"]\n', f'[webhook]\nsecret = {{a = "{SECRET}"}}\n', f'[database]\nurl = ["{SECRET}"]\n',
    f'[mail]\npassword = "{SECRET}\n', f'[mail]\npassword = "{SECRET}"\npassword = "{SECRET}"\n', f'{SECRET}\n',
    f'[mail]\npasswort = "{SECRET}"\n', f'[mail]\nuser = "u"\npassword = "{SECRET}"\nsecurity = "none"\nhost = "h"\n',
])  # fmt: skip
def test_a_settings_file_that_is_wrong_is_told_without_its_secrets(tmp_path: Path, text: str) -> None:
    told = ""
    try:
        read_settings(written(tmp_path, text))
    except InputError as fault:
        told = "".join(traceback.format_exception(fault))
    assert hides(told)


def test_no_command_shows_one(tmp_path: Path) -> None:
    written(tmp_path, FULL)
    said = [run("run", "--wait", "0", cwd=tmp_path), run("doctor", cwd=tmp_path)]
    assert all(hides(one) for one in said), said
    assert "not reachable" in said[0]


def test_no_option_takes_a_password() -> None:
    """The list of processes is everybody's: secrets come from the settings file, the environment, or are asked for."""
    walked = [typer.main.get_command(app)]
    while walked:
        command: Any = walked.pop()
        walked += getattr(command, "commands", {}).values()
        takes = {option for param in command.params if not getattr(param, "is_flag", False) for option in param.opts}
        assert takes.isdisjoint({"--password", "--secret", "--token", "--key-password"}), command.name
