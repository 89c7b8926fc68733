"""Handling in a real database: the same answers as the pure state machine, once and only once, whoever else is at work."""

from __future__ import annotations

import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alerts import handling_store
from alerts.alert import Alert, to_json
from alerts.floods import Thresholds
from alerts.handling import OUTCOMES, Action, Handling, HandlingError, Limits, StaleActionError, fold
from alerts.handling_events import by_time
from alerts.handling_store import act, actions, follow, one, run_timers, take_over
from alerts.ledger import Version
from alerts.queue import section_of
from alerts.queue_store import open_rows, raised_between, raised_since, read_figures, read_queue
from engine.database import Connection, connect
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_datetime, to_iso
from tagwatch.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
NOW_US = 1_800_000_000 * SECOND_US
LIMITS = Limits()
GRADES = ("low", "medium", "high", "critical")


class Book:
    """Writes the ledger's side as the service does: present content, then its version."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.seq = connection, 0
        self.contents: dict[str, tuple[int, Alert]] = {}

    def put(
        self, name: str, grade: str = "high", condition: str = "active", at_us: int = NOW_US, rule: str = "zone.inclusion",
        reason: str = "",
    ) -> Version:  # fmt: skip
        number = self.contents.get(name, (0, None))[0] + 1
        retracted = condition == "retracted"
        began = to_iso(NOW_US)
        fixes = [{"time": began, "lat": 53.2, "lon": -0.5, "accuracy_m": None, "source": "gps", "p": 0.5}]
        content = Alert(f"W-{name}", "T1", rule, "Z1", grade, "active" if retracted else condition, began, None, None, 1.0,
                        0.0, 1, fixes, {})  # type: ignore[arg-type]  # fmt: skip
        self.seq += 1
        self.contents[name] = (number, content)
        text = to_json(content).decode()
        version = Version(
            name, number, reason or ("retracted: not borne out" if retracted else "amended"), content, at_us, 0.0, retracted
        )
        with self.connection.transaction():
            self.connection.execute(
                "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
                " VALUES (%s, %s, %s, 'Z1', %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET"
                " grade = EXCLUDED.grade, condition = EXCLUDED.condition, version = EXCLUDED.version, content = EXCLUDED.content",
                [
                    name,
                    content.wearer,
                    rule,
                    grade,
                    condition,
                    to_datetime(NOW_US),
                    number,
                    self.seq,
                    to_datetime(at_us),
                    text,
                ],
            )
            self.connection.execute(
                "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s) VALUES (%s, %s, %s, %s, %s, %s, 0)",
                [self.seq, name, number, version.reason, text, to_datetime(at_us)],
            )
        return version


@pytest.fixture
def book(connection: Connection) -> Book:
    return Book(connection)


def person(kind: str, at_us: int = NOW_US, actor: str = "ann", role: str = "operator", **told: Any) -> Action:
    return Action(kind=kind, actor=actor, role=role, at_us=at_us, **told)


def notices(connection: Connection) -> list[tuple[str, str, str, str]]:
    return connection.execute("SELECT alert_id, kind, role, person FROM handling_notice ORDER BY id").fetchall()  # type: ignore[return-value]


def own(connection: Connection, name: str) -> list[Action]:
    return [done.action for done in actions(connection, name) if done.alert_id == name]


def test_an_action_is_kept_and_changes_no_content(connection: Connection, book: Book) -> None:
    book.put("a")
    before = connection.execute("SELECT content, version, condition, grade FROM alert").fetchall()
    held = act(connection, "a", person("acknowledge", note="called him"), LIMITS)
    assert (held.mark, held.handling.state, held.handling.by) == ("1.1", "acknowledged", "ann")
    contact = person("contact", NOW_US + 1, whom="wearer", channel="phone", said="“on the bus” 🚌")
    act(connection, "a", contact, LIMITS)
    closed = person("close", NOW_US + 2, "ben", outcome="breach")
    last = act(connection, "a", closed, LIMITS)
    assert last == one(connection, "a")
    assert own(connection, "a") == [person("acknowledge", note="called him"), contact, closed]
    assert connection.execute("SELECT handling, outcome FROM alert").fetchone() == ("closed", "breach")
    assert connection.execute("SELECT content, version, condition, grade FROM alert").fetchall() == before


def test_a_refused_action_leaves_nothing_behind(connection: Connection, book: Book) -> None:
    book.put("a")
    with pytest.raises(HandlingError, match="alert a: cannot close without outcome"):
        act(connection, "a", person("close"), LIMITS)
    with pytest.raises(HandlingError, match="no alert 'b'"):
        act(connection, "b", person("acknowledge"), LIMITS)
    assert own(connection, "a") == []
    held = one(connection, "a")
    assert held is not None
    assert held.handling == fold(NOW_US, [])


def test_history_cannot_be_changed(connection: Connection, book: Book) -> None:
    book.put("a")
    act(connection, "a", person("acknowledge"), LIMITS)
    connection.commit()
    for text in ("UPDATE handling_action SET actor = 'eve'", "DELETE FROM handling_action"):
        with pytest.raises(psycopg.errors.RaiseException, match="only appended to"), connection.transaction():
            connection.execute(text.encode())
    assert [a.actor for a in own(connection, "a")] == ["ann"]


def test_of_two_operators_the_second_is_told(url: str, connection: Connection, book: Book) -> None:
    book.put("a")
    held = one(connection, "a")
    connection.commit()
    assert held is not None
    told: list[str] = []

    def acknowledge(actor: str) -> None:
        with connect(url) as mine:
            try:
                act(mine, "a", person("acknowledge", actor=actor), LIMITS, held.mark)
            except StaleActionError as fault:
                told.append(str(fault))

    threads = [threading.Thread(target=acknowledge, args=(name,)) for name in ("ann", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(told) == 1
    assert "alert a is 1.1 now, not 1.0: it is acknowledged since" in told[0]
    assert len(own(connection, "a")) == 1
    book.put("a", "critical")
    with pytest.raises(StaleActionError, match=r"is 2\.1 now, not 1\.1"):
        act(connection, "a", person("close", outcome="breach"), LIMITS, "1.1")


def test_timers_run_once_with_two_processes_and_after_a_restart(url: str, connection: Connection, book: Book) -> None:
    names = [f"a{k:02}" for k in range(40)]
    for name in names:
        book.put(name, "critical")
    connection.commit()
    done: list[int] = []

    def run() -> None:
        with connect(url) as mine:
            for _ in range(5):
                with mine.transaction():
                    done.append(run_timers(mine, NOW_US + 5 * MINUTE_US, LIMITS))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sum(done) == 40
    assert [n[:3] for n in sorted(notices(connection))] == [(name, "escalated", "senior operator") for name in names]
    connection.execute("SAVEPOINT before")
    assert run_timers(connection, NOW_US + 10 * MINUTE_US, LIMITS) == 40
    connection.execute("ROLLBACK TO before")  # a crash before the commit: it is done again
    assert run_timers(connection, NOW_US + 10 * MINUTE_US, LIMITS) == 40
    assert run_timers(connection, NOW_US + 10 * MINUTE_US, LIMITS) == 0
    assert run_timers(connection, NOW_US + 9 * HOUR_US, LIMITS) == 0
    assert {a.actor for name in names for a in own(connection, name)} == {"tagwatch"}


def test_a_joined_alert_hands_over_and_its_history_stays_readable(connection: Connection, book: Book) -> None:
    book.put("a", condition="cleared")
    book.put("b", at_us=NOW_US + 1)
    act(connection, "a", person("acknowledge"), LIMITS)
    act(connection, "b", person("assign", NOW_US + 2, whom="cy"), LIMITS)
    versions = [book.put("b", condition="retracted", reason="joined into a"), book.put("a", reason="active again")]
    assert follow(connection, versions, NOW_US + 9) == 2
    held = one(connection, "a")
    assert held is not None
    assert (held.handling.state, held.handling.assigned, held.handling.why) == ("new", "cy", "took over b (new)")
    assert held.handling.waiting_since_us == NOW_US + 1
    assert [(d.alert_id, d.action.kind) for d in actions(connection, "a")] == [
        ("a", "acknowledge"), ("b", "assign"), ("b", "retract"), ("a", "take_over")
    ]  # fmt: skip
    assert fold(NOW_US, own(connection, "a")) == held.handling
    assert ("b", "retracted", "operator", "cy") in notices(connection)
    assert take_over(connection, [], NOW_US) == 0


def test_what_became_worse_comes_back_and_a_retraction_is_told(connection: Connection, book: Book) -> None:
    for name in ("a", "b", "c"):
        book.put(name)
        act(connection, name, person("acknowledge"), LIMITS)
    versions = [book.put("a", "critical"), book.put("b", "medium"), book.put("c", condition="retracted")]
    assert follow(connection, versions, NOW_US + 5) == 2
    states = dict(connection.execute("SELECT id, handling FROM alert").fetchall())
    assert states == {"a": "new", "b": "acknowledged", "c": "acknowledged"}
    assert notices(connection) == [("a", "changed", "operator", "ann"), ("c", "retracted", "operator", "ann")]
    assert {row.id for row in open_rows(connection)} == {"a", "b"}
    act(connection, "c", person("note", note="he was at court"), LIMITS)
    with pytest.raises(HandlingError, match="was retracted"):
        act(connection, "c", person("close", outcome="authorised"), LIMITS)


def test_random_lives_agree_with_the_pure_machine_and_the_queue_shows_them(connection: Connection, book: Book) -> None:
    """What the database holds is at each step the fold of its actions; the queue's SQL is `section_of` in other words."""
    dice = random.Random(7)
    names = [f"a{k}" for k in range(12)]
    raised = {}
    now_us = NOW_US
    for name in names:
        book.put(name, dice.choice(GRADES), rule=dice.choice(["tag.strap", "tag.case", "zone.exclusion", "tag.no_contact"]))
        raised[name] = now_us
    for _ in range(250):
        now_us += dice.choice([1, 60, 400, 4000]) * SECOND_US
        name = dice.choice(names)
        match dice.randrange(5):
            case 0:
                rule = book.contents[name][1].rule
                if one(connection, name).about.condition != "retracted":  # type: ignore[union-attr]
                    version = book.put(name, dice.choice(GRADES), dice.choice(["active", "cleared", "active", "cleared", "retracted"]),
                                       rule=rule)  # fmt: skip
                    follow(connection, [version], now_us)
            case 1:
                run_timers(connection, now_us, LIMITS)
                left = [one(connection, n) for n in names]
                assert not [
                    h
                    for h in left
                    if h and h.about.condition != "retracted" and by_time(h.handling, h.grade, LIMITS, now_us)
                ]
            case _:
                kind = dice.choice(["acknowledge", "close", "shelve", "escalate", "reopen", "unshelve", "note", "assign"])
                told = {
                    "reason": "r",
                    "note": "n",
                    "whom": "cy",
                    "outcome": dice.choice(OUTCOMES),
                    "until_us": now_us + HOUR_US,
                }
                try:
                    act(connection, name, person(kind, now_us, role="administrator", **told), LIMITS)
                except HandlingError:
                    continue
        held = {n: one(connection, n) for n in names}
        for n in names:
            assert held[n].handling == fold(raised[n], own(connection, n))  # type: ignore[union-attr]
    seen = {row.id: row for row in open_rows(connection)}
    for n in names:
        content = book.contents[n][1]
        h = held[n]
        assert h is not None
        closed = h.handling.state == "closed" and not (
            h.about.condition == "active" and content.rule not in ("tag.strap", "tag.case")
        )
        assert (n in seen) == (h.about.condition != "retracted" and not closed)
    assert all(section_of(row) for row in seen.values())
    assert all(row.handling == held[n].handling and row.version == held[n].version for n, row in seen.items())  # type: ignore[union-attr]


def test_the_queue_and_the_figures_read_what_is_there(connection: Connection, book: Book) -> None:
    for k in range(6):
        book.put(f"s{k}", rule="tag.no_contact", at_us=NOW_US + k)
    book.put("strap", "critical", rule="tag.strap")
    book.put("zone", "critical", rule="zone.exclusion", at_us=NOW_US + SECOND_US)
    act(connection, "zone", person("acknowledge", NOW_US + 31 * SECOND_US), LIMITS)
    lines = read_queue(connection, Thresholds(), NOW_US + MINUTE_US)
    assert [(line.section, line.head and line.head.kind, len(line.rows)) for line in lines] == [
        ("waiting", None, 1), ("waiting", "mast", 6), ("in_hand", None, 1)
    ]  # fmt: skip
    assert lines[1].rows[0].place == (53.2, -0.5)
    assert len(read_queue(connection, Thresholds(), NOW_US, grouped=False)) == 8
    assert raised_since(connection, NOW_US + 5) == [NOW_US + 5, NOW_US + SECOND_US]
    assert [r.answered_us for r in raised_between(connection, NOW_US, NOW_US + DAY_US)][-1] == NOW_US + 31 * SECOND_US
    found = read_figures(connection, NOW_US, NOW_US + HOUR_US, NOW_US + HOUR_US, Thresholds())
    assert (found.n_alerts, found.standing, found.answer_median_s) == (8, 8, 30.0)


def test_the_schema_can_be_taken_back(url: str, connection: Connection) -> None:
    """The rollback leaves the tables as they were; done and undone in one transaction."""
    home = ROOT / "alerts" / "schema"
    before = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'alert'").fetchall()
    assert ("shelved_until",) in before
    for name in (
        "alerts-0004-changes.rollback.sql",
        "alerts-0003-delivery.rollback.sql",
        "alerts-0002-handling.rollback.sql",
    ):
        if (home / name).exists():
            connection.execute((home / name).read_bytes())
    after = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'alert'").fetchall()
    assert ("shelved_until",) not in after
    assert len(after) == len(before) - 9
    connection.rollback()


class Terminal:
    """The command line in this process: exit code, standard output and standard error of each command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["tagwatch", "alerts", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *self._capsys.readouterr()


@pytest.fixture
def tagwatch(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGWATCH_OPERATOR", "ann")
    return Terminal(monkeypatch, capsys)


def test_an_operator_at_the_terminal(connection: Connection, book: Book, tagwatch: Terminal) -> None:
    book.put("a", "critical")
    connection.commit()
    first = json.loads(tagwatch("queue", "--json")[1])
    assert (first["id"], first["mark"], first["handling"], first["section"]) == ("a", "1.0", "new", "waiting")
    code, out, _ = tagwatch("ack", "a", "--upon", first["mark"])
    assert (code, json.loads(out)["mark"]) == (0, "1.1")
    code, out, told = tagwatch("ack", "a", "--by", "ben", "--upon", first["mark"])
    assert (code, out) == (1, "")
    assert "alert a is 1.1 now" in told
    code, out, told = tagwatch("close", "a", "--outcome", "perhaps")
    assert (code, out, len(told.strip().splitlines())) == (2, "", 1)
    assert tagwatch("shelve", "a", "--reason", "court", "--for", "30m")[0] == 2
    assert tagwatch("shelve", "a", "--reason", "court", "--for", "soon", "--role", "administrator")[0] == 2
    assert tagwatch("shelve", "a", "--reason", "court", "--for", "30m", "--role", "administrator")[0] == 0
    assert tagwatch("unshelve", "a", "--reason", "back early")[0] == 0
    assert tagwatch("assign", "a", "--to", "cy")[0] == 0
    assert tagwatch("escalate", "a", "--to", "administrator", "--reason", "no answer")[0] == 0
    assert tagwatch("note", "a", "--note", "rang twice")[0] == 0
    assert tagwatch("contact", "a", "--with", "wearer", "--channel", "phone", "--said", "on my way")[0] == 0
    assert tagwatch("close", "a", "--outcome", "breach")[0] == 0
    assert tagwatch("reopen", "a", "--reason", "wrong one")[0] == 0
    history = [json.loads(line) for line in tagwatch("show", "a", "--json")[1].splitlines()]
    assert [line.get("action") for line in history] == [
        None, "acknowledge", "shelve", "unshelve", "assign", "escalate", "note", "contact", "close", "reopen"
    ]  # fmt: skip
    period = ("--from", to_iso(NOW_US), "--to", to_iso(NOW_US + HOUR_US))
    figures = json.loads(tagwatch("figures", "--json", *period)[1])
    assert (figures["n_alerts"], figures["standing"]) == (1, 1)
    for shown in (tagwatch("queue")[1], tagwatch("show", "a")[1], tagwatch("figures", *period)[1]):
        assert "critical" in shown
    assert tagwatch("show", "nobody")[0] == 1


def test_a_handling_is_read_as_it_was_written(connection: Connection, book: Book) -> None:
    book.put("a")
    held = one(connection, "a")
    assert held is not None
    for at_us in (NOW_US + 123_457, 4_102_444_799_999_999):  # to the microsecond, up to the last of the year 2099
        full = Handling("shelved", at_us, None, 1, "why", "ann", "cy", 2, at_us + 1, "")
        connection.execute(handling_store._PRESENT, [*handling_store._state_row(full), "a"])
        found = one(connection, "a")
        assert found is not None
        assert found.handling == full


def test_the_gravest_timers_run_first(connection: Connection, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(4):
        book.put(f"a{k}", "high" if k < 2 else "critical")
    monkeypatch.setattr(handling_store, "MOST_TIMERS", 2)
    assert run_timers(connection, NOW_US + HOUR_US, LIMITS) == 2
    assert [name for name, *_ in notices(connection)] == ["a2", "a3"]
    assert run_timers(connection, NOW_US + HOUR_US, LIMITS) == 2
    assert run_timers(connection, NOW_US + HOUR_US, LIMITS) == 0
