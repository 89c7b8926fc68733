"""The log: a closed list of events, and no value in it that could be a name, a place or a secret."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from tagwatch.log.events import EVENTS, UNLISTED, table
from tagwatch.log.fault import REASONS, fault_of
from tagwatch.log.setting_up import log_to, written
from tagwatch.log.words import KEYS, WITHHELD, only_known

HOME = Path(__file__).resolve().parents[2]
ROOMS = ("engine", "ingest", "geofence", "alerts", "crime_match", "tagwatch")
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logs in JSON into a stream; everything is as before afterwards."""
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    handlers = list(logging.getLogger().handlers)
    found = io.StringIO()
    log_to(found, "json", "debug")
    yield found
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:] = handlers
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def log_calls() -> list[tuple[str, ast.Call]]:
    """Every call of `log.info` and the like in the six rooms."""
    found = []
    for room in ROOMS:
        for path in (HOME / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                    owner = node.func.value
                    if isinstance(owner, ast.Name) and owner.id in ("log", "_log", "logger"):
                        found.append((f"{path.relative_to(HOME)}:{node.lineno}", node))
    return found


def test_every_line_that_the_code_logs_is_in_the_list_with_keys_that_are_known() -> None:
    calls = log_calls()
    assert len(calls) > 20
    known = {*EVENTS}
    for place, call in calls:
        words = call.args[0]
        if place.startswith("tagwatch/log/"):  # LIBRARY, UNCAUGHT
            assert isinstance(words, ast.Name), place
            continue
        assert isinstance(words, ast.Constant), f"{place}: an event is no f-string"
        assert words.value in known, f"{place}: {words.value}"
        keys = {keyword.arg for keyword in call.keywords if keyword.arg}
        assert keys <= {*KEYS}, f"{place}: {sorted(keys - {*KEYS})}"


def test_nothing_of_ours_goes_around_it() -> None:
    """No print to standard error, no logger of the standard library, where the service runs."""
    for room in ROOMS:
        for path in (HOME / room).rglob("*.py"):
            text = path.read_text("utf-8")
            if path.parts[-2] != "log":
                assert not re.search(r"logging\.getLogger\(__name__\)|traceback\.print_exc", text), path


def test_codes_are_unique_and_everything_has_advice() -> None:
    codes = [one.code for one in EVENTS.values()]
    assert len({*codes}) == len(codes)
    assert all(re.fullmatch(r"[A-Z]{2,8}(-[A-Z]+)*", code) for code in codes)
    assert all(one.advice.endswith((".", "?")) for one in EVENTS.values())
    assert table().count("\n") == len(EVENTS) + 2


@given(st.sampled_from(sorted(KEYS)), st.text(min_size=8, max_size=40), st.booleans())
def test_no_text_gets_through_that_was_not_made_for_it(key: str, text: str, as_list: bool) -> None:
    secret = f"Zebedee Quartermain {text}"
    told = only_known(None, "info", {"event": "ready", key: [secret] if as_list else secret})
    assert key == "said" or secret not in repr(told)
    assert key == "said" or told[key] == WITHHELD


@given(st.dictionaries(st.text(min_size=1, max_size=12).filter(lambda k: k not in (*KEYS, "event", "exc_info")), st.text()))
def test_keys_that_are_not_known_are_left_out(more: dict[str, str]) -> None:
    assert only_known(None, "info", {**more, "event": "ready"}) == {"level": "info", "code": "SVC-READY", "event": "ready"}


@given(st.floats(allow_nan=False, min_value=-180, max_value=180).filter(lambda x: x != int(x)))
def test_a_coordinate_is_no_count(degrees: float) -> None:
    assert only_known(None, "info", {"event": "ready", "wearers": degrees})["wearers"] == WITHHELD


def test_an_event_that_is_not_listed_is_told_without_its_words() -> None:
    told = only_known(None, "info", {"event": "Zebedee is in Wobbleton", "wearers": 1})
    assert told == {"level": "info", "code": UNLISTED.code, "event": WITHHELD, "wearers": 1}


def chained() -> Exception:
    try:
        try:
            raise ValueError("53.123456, -1.5, Zebedee Quartermain")
        except ValueError as fault:
            raise InputError("Zebedee", field="lat", value=53.123456) from fault
    except InputError as fault:
        return fault


def test_an_exception_is_told_by_what_and_where_and_never_by_what_it_says() -> None:
    told = fault_of(chained())
    assert re.fullmatch(
        r"engine\.errors\.InputError in chained \(test_log\.py:\d+\) from ValueError in chained \(test_log\.py:\d+\)", told
    )
    assert (
        fault_of(psycopg.errors.UniqueViolation("DETAIL: Key (name)=(Zebedee)")) == "psycopg.errors.UniqueViolation 23505"
    )
    assert fault_of(ConnectionRefusedError(111, "Zebedee")) == "ConnectionRefusedError ECONNREFUSED"
    lost = psycopg.OperationalError(
        'connection to server at "10.1.2.3": FATAL: password authentication failed for user "zed"'
    )
    assert fault_of(lost) == "psycopg.OperationalError (password authentication failed)"
    assert all("%" not in reason for reason in REASONS)


def lines(stream: io.StringIO) -> list[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_libraries_log_is_told_without_its_values(stream: io.StringIO) -> None:
    before = written["warning"]
    logging.getLogger("psycopg.pool").warning("error connecting in %r: %s", "pool-1", "Zebedee Quartermain hunter2")
    logging.getLogger("odd").error("Zebedee Quartermain")
    logging.getLogger("odd").info("not this")
    first, second = lines(stream)
    assert (first["code"], first["logger"], first["said"]) == ("LIB", "psycopg.pool", "error connecting in %r: %s")
    assert first["place"].startswith("test_log.py:")
    assert second["level"] == "error"
    assert "Zebedee" not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert written["warning"] == before + 1


def test_what_nobody_caught_is_told_without_its_words(stream: io.StringIO) -> None:
    def fail() -> None:
        raise RuntimeError("Zebedee Quartermain at 53.123456")

    thread = threading.Thread(target=fail, name="upkeep")
    thread.start()
    thread.join()
    fault = chained()
    sys.excepthook(type(fault), fault, fault.__traceback__)
    first, second = lines(stream)
    assert (first["code"], first["thread"], first["level"]) == ("UNCAUGHT", "upkeep", "critical")
    assert first["fault"].startswith("RuntimeError in fail (test_log.py:")
    assert "InputError" in second["fault"]
    assert "Zebedee" not in stream.getvalue()
    assert "53.1" not in stream.getvalue()


def test_text_lines_are_as_they_always_were(stream: io.StringIO) -> None:
    log_to(stream, "text", "info")
    structlog.get_logger("x").info("ready", wearers=3, alerts=2)
    structlog.get_logger("x").debug("ready")
    assert re.fullmatch(
        r"timestamp='[^']+' level='info' code='SVC-READY' event='ready' wearers=3 alerts=2\n", stream.getvalue()
    )


@pytest.mark.parametrize("password", ["Hunter2", "Hunt/er2", "Hunt#er2", "Hunt?er2", "Hun@ter2", "Hun%zzter2", "Hun[ter2"])
def test_a_wrong_address_is_told_without_its_password(password: str) -> None:
    from engine import database
    from engine.errors import TagwatchError
    from ingest.broker_url import parse_url

    for url in (
        "postgresql://u:{}@127.0.0.1:9/d",
        "postgresql://u:{}@127.0.0.1:9x/d",
        "host=127.0.0.1 port=9 password={} x",
    ):
        with pytest.raises(TagwatchError) as told:
            database.connect(url.format(password), 0.0)
        assert not re.search("Hun|er2", str(told.value))
    for url in ("mqtt://u:{}@h:99999", "http://u:{}@h", "mqtt://u:{}@h/path"):
        with pytest.raises(InputError) as refused:
            parse_url(url.format(password))
        assert not re.search("Hun|er2", str(refused.value))
    with pytest.raises(InputError, match="http://h"):
        parse_url("http://h")
