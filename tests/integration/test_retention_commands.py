"""The commands `retention`, `hold` and `erase` as somebody types them: what they print, what they refuse, what is audited."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.activations import Activation, Activations
from engine.database import Connection, connect
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, SECOND_US, system_clock
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.access import audit

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(url: str, tmp_path: Path) -> Path:
    """Settings with a policy; ann wore a tag until ten days ago, bob wears it now, with a fix a day."""
    path = tmp_path / "tagwatch.toml"
    path.write_text(
        f'[database]\nurl = "{url}"\n[raw_log]\nfolder = "{tmp_path}/raw"\n'
        '[retention]\nenforce = true\n[retention.bail]\npositions = 5\n[retention.voluntary]\npositions = "kept"\n'
        'raw = "kept"\nquarantine = "kept"\nalerts = "kept"\nmatches = "kept"\nconfiguration = "kept"\n'
    )
    now_us = (system_clock() // SECOND_US - 3_600) * SECOND_US
    with connect(url) as found:
        tables = "fix, device_event, device, configuration, retention_term, legal_hold, erasure, horizon, closed_span"
        found.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE".encode())
        rows = [
            Activation("tag", "ann", now_us - 20 * DAY_US, now_us - 10 * DAY_US),
            Activation("tag", "bob", now_us - 10 * DAY_US),
        ]
        people = [Wearer("ann", basis="voluntary"), Wearer("bob", basis="bail")]
        configuration.save(found, now_us, activations=Activations(rows), wearers=people)
        times = [now_us - day * DAY_US for day in range(20, 0, -1)]
        zeros = [0] * len(times)
        FixStore(found).write(
            Fixes.of(
                ("tag",), device=zeros, time_us=times, lat_e7=zeros, lon_e7=zeros,
                received_s=[t // SECOND_US for t in times],
            )
        )  # fmt: skip
    return path


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; returns exit code, standard output and standard error."""
    from tagwatch.cli.main import main

    def typed(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tagwatch", *words, "--config", str(config)])
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        return int(left.value.code or 0), told.out, told.err

    return typed


def n_fixes(connection: Connection) -> int:
    with connection.transaction():
        return FixStore(connection).count()


def test_a_hold_an_order_a_release_and_a_run(run: Run, connection: Connection) -> None:
    code, out, err = run("hold", "add", "--wearer", "ann", "--reason", "appeal")
    assert (code, out) == (0, "1\n")
    assert err.startswith("hold 1: ann, from 2000-")
    code, out, err = run("hold", "list")
    assert [word for word in ("ann", "appeal", "holds") if word not in out] == []
    code, out, err = run("erase", "--wearer", "ann", "--kind", "positions", "--reason", "court", "--order", "R v A")
    receipt = json.loads(out)
    assert (code, receipt["state"], receipt["held_back"], receipt["holds"]) == (1, "held", {"fixes": 10}, [1])
    assert "to be erased:  nothing" in err
    assert "order 1 is not done: held" in err
    assert n_fixes(connection) == 20
    code, _, err = run("hold", "release", "1", "--reason", "over")
    assert "orders not done yet: 1" in err
    code, out, _ = run("retention", "run", "--dry-run", "--json")
    assert json.loads(out)["orders"] == [1]
    code, out, _ = run("retention", "run")
    told = json.loads(out)
    assert (code, told["state"], told["orders"][0]["state"]) == (0, "done", "done")
    assert told["orders"][0]["erased"] == {"fixes": 10}
    assert told["erased"] == {"fixes": 6}
    assert n_fixes(connection) == 4
    code, out, _ = run("retention", "show", "--json")
    shown = json.loads(out)
    assert [one["state"] for one in shown["erasures"]] == ["done", "done"]
    assert next(t for t in shown["terms"] if t["basis"] == "bail")["positions"] == "5 days"
    with connection.transaction():
        acts = [row.action for row in audit.rows(connection)]
        assert not audit.verify(connection).broken
    for act in ("hold placed", "erasure ordered", "erasure carried out", "hold released", "retention run"):
        assert act in acts


def test_terms_of_one_wearer(run: Run, connection: Connection) -> None:
    assert run("retention", "set", "--wearer", "bob", "--kind", "positions", "--term", "2", "--reason", "agreed")[0] == 0
    assert "bob" in run("retention", "show")[1]
    assert json.loads(run("retention", "run", "--dry-run", "--json")[1])["erase"] == {"fixes": 9}
    assert run("retention", "set", "--wearer", "bob", "--kind", "positions", "--clear", "--reason", "as before")[0] == 0
    assert "to be erased:  6 fixes" in run("retention", "run", "--dry-run")[2]
    assert n_fixes(connection) == 20


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("erase", "--wearer", "zoe", "--reason", "x"), "of whom something is held"),
        (("erase", "--wearer", "ann", "--reason", " "), "--reason"),
        (("erase", "--wearer", "ann", "--reason", "x", "--kind", "some"), "expected one of positions"),
        (("erase", "--wearer", "ann", "--reason", "x", "--from", "soon"), "option --from"),
        (("hold", "add", "--reason", "x"), "needs something to hold"),
        (("hold", "add", "--reason", "x", "--crime", "none"), "a stored crime"),
        (("hold", "add", "--reason", "x", "--force", "kent"), "--crime beside it"),
        (("hold", "add", "--reason", "x", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "is empty"),
        (("hold", "release", "77", "--reason", "x"), "hold list"),
        (("retention", "set", "--wearer", "bob", "--term", "soon", "--reason", "x"), "N days after the end"),
        (("retention", "set", "--wearer", "bob", "--reason", "x"), "a term, or --clear"),
        (("retention", "set", "--wearer", "bob", "--term", "5", "--clear", "--reason", "x"), "a term, or --clear"),
    ],
)
def test_wrong_use_is_one_line(run: Run, connection: Connection, words: tuple[str, ...], told: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert n_fixes(connection) == 20


def test_a_policy_that_is_not_in_force_erases_nothing(run: Run, config: Path, connection: Connection) -> None:
    config.write_text(config.read_text().replace("enforce = true", "enforce = false"))
    code, out, err = run("retention", "run")
    assert (code, json.loads(out)["state"]) == (2, "not in force")
    assert "[retention] enforce" in err
    assert "not in force" in run("retention", "show")[2]
    assert n_fixes(connection) == 20
    config.write_text(config.read_text().replace("enforce = false\n", ""))
    code, _, err = run("retention", "show")
    assert code == 2
    assert "enforce = true" in err
