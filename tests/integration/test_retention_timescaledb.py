"""The policy on TimescaleDB: days that are due of everybody are dropped whole, rows where somebody's stay, summaries with them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engine import database, timescale
from engine.activations import Activation, Activations
from engine.fixes import Fixes
from engine.kept import count_within
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import DAY_US, HOUR_US, SECOND_US, parse_time
from engine.wearers import Wearer
from engine.whole_days import drop_before
from tagwatch import configuration
from tagwatch.retention import holds
from tagwatch.retention.policy import run_policy
from tagwatch.settings import Database, RawLog, Retention, Settings, Terms
from tests.integration.test_service_law import fresh_database

pytestmark = pytest.mark.timescaledb
T0_US = parse_time("2026-03-02T00:00:00Z")


@pytest.fixture
def url() -> Iterator[str]:
    where = os.environ.get("TAGWATCH_TEST_TIMESCALEDB")
    if not where:
        pytest.skip("TAGWATCH_TEST_TIMESCALEDB names no server")
    with fresh_database(where) as made:
        yield made


def test_days_that_are_due_of_everybody_go_whole(url: str, tmp_path: object) -> None:
    now_us = T0_US + 20 * DAY_US
    with database.connect(url) as connection:
        if not timescale.is_on(connection):
            pytest.skip("the server does not offer the timescaledb extension")
        with connection.transaction():
            rows = [Activation("a", "ann", T0_US), Activation("b", "bob", T0_US)]
            people = [Wearer("ann", basis="bail"), Wearer("bob", basis="licence")]
            configuration.save(connection, now_us, activations=Activations(rows), wearers=people)
            times = [T0_US + k * HOUR_US for k in range(20 * 24)] * 2
            zeros = [0] * len(times)
            device = [0] * (len(times) // 2) + [1] * (len(times) // 2)
            FixStore(connection).write(
                Fixes.of(
                    ("a", "b"), device=device, time_us=times, lat_e7=zeros, lon_e7=zeros,
                    received_s=[t // SECOND_US for t in times],
                )
            )  # fmt: skip
            hold = holds.Asked(("bob",), None, T0_US + 3 * DAY_US, T0_US + 4 * DAY_US)
            holds.add(connection, hold, "case", "me", now_us)
        HourSummaries(connection).refresh(now_us // SECOND_US)
        timescale.compress(connection, now_us // SECOND_US)
        settings = Settings(
            database=Database(url=url), raw_log=RawLog(folder=str(tmp_path) + "/raw"),
            retention=Retention(enforce=True, licence=Terms(positions=10), bail=Terms(positions=8)),
        )  # fmt: skip
        chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'fix'"
        before = connection.execute(chunks).fetchone()
        connection.commit()
        receipt = run_policy(connection, settings, now_us)
        assert receipt.told["erased"]["fixes"] == 12 * 24 + 9 * 24
        with connection.transaction():
            left = {name: count_within(connection, [(name, T0_US, now_us)])[0] for name in ("a", "b")}
            after = connection.execute(chunks).fetchone()
            hours = connection.execute(
                "SELECT name, count(*), min(hour_s) FROM fix_hour JOIN device USING (device_id) GROUP BY 1 ORDER BY 1"
            ).fetchall()
        assert left == {"a": 8 * 24, "b": 11 * 24}
        assert before is not None
        assert after is not None
        assert before[0] - after[0] == 3  # from the fourth day on the hold keeps something
        assert hours == [
            ("a", 8 * 24, (T0_US + 12 * DAY_US) // SECOND_US), ("b", 11 * 24, (T0_US + 3 * DAY_US) // SECOND_US),
        ]  # fmt: skip
        assert drop_before(connection, T0_US) == 0
