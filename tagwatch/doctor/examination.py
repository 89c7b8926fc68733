"""All examinations, one after the other. One that breaks off is itself a finding, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from engine import database
from engine.errors import TagwatchError
from tagwatch.doctor import (
    broker,
    clock,
    configuration,
    console,
    database_server,
    database_store,
    devices,
    kernels,
    keys,
    libraries,
    outbox,
    raw_log,
    settings_file,
)
from tagwatch.doctor.finding import FAULT, OK, Finding, Scene
from tagwatch.log.fault import fault_of
from tagwatch.settings import read_settings

WAIT_S = 3.0

Examination = Callable[[Scene], Iterator[Finding]]
EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("settings", settings_file.examine), ("keys", keys.examine), ("libraries", libraries.examine),
    ("database", database_server.examine), ("store", database_store.examine), ("broker", broker.examine),
    ("raw log", raw_log.examine), ("clock", clock.examine), ("outbox", outbox.examine),
    ("configuration", configuration.examine), ("devices", devices.examine), ("console", console.examine),
)  # fmt: skip
NEED_DATABASE = ("store", "outbox", "configuration", "devices")


def examine_all(config: Path | None, *, thorough: bool = False) -> Iterator[Finding]:
    """Every finding, as it is made; kernels first, as nothing works without them."""
    yield from _guarded("kernels", kernels.examine)
    file = config or Path("tagwatch.toml")
    try:
        settings = read_settings(config)
    except TagwatchError as fault:
        yield Finding("settings", FAULT, str(fault), "correct the settings file; docs/operations.md shows every setting")
        return
    try:
        connection = database.connect(settings.database.url, WAIT_S)
    except TagwatchError as fault:
        yield Finding("database", FAULT, str(fault), "start the database server, or correct [database] url")
        yield from _each(Scene(settings, file, None, thorough))
        return
    with closing(connection):
        connection.autocommit = True
        connection.execute("SET statement_timeout = '3s'; SET default_transaction_read_only = on")
        yield from _each(Scene(settings, file, connection, thorough))


def _each(scene: Scene) -> Iterator[Finding]:
    has_tables = scene.connection is not None and database_server.has_tables(scene.connection)
    for part, examine in EXAMINATIONS:
        if part == "database" and scene.connection is None:
            continue  # told already
        if has_tables or part not in NEED_DATABASE:
            yield from _guarded(part, examine, scene)


def _guarded(part: str, examine: Callable[..., Iterator[Finding]], *given: Scene) -> Iterator[Finding]:
    """The findings of an examination; where it finds nothing to say, that all is well."""
    told = False
    try:
        for finding in examine(*given):
            told = True
            yield finding
    except psycopg.errors.QueryCanceled:
        yield Finding(part, "warning", "could not be looked at within 3 s", "look again when the database has less to do")
    except TagwatchError as fault:
        yield Finding(part, FAULT, str(fault))
    except Exception as fault:  # an examination that breaks must not keep the others from being made
        yield Finding(part, FAULT, f"could not be examined: {fault_of(fault)}", "report this line")
    else:
        if not told:
            yield Finding(part, OK, "nothing to remark")
