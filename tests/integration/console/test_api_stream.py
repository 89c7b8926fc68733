"""A long trail comes as it is read: every fix once, in order, and never whole in the server's memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from engine.activations import Activation, Activations
from engine.database import Connection, connect
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, MINUTE_US, parse_time, to_iso
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.access.roles import ROLES
from tagwatch.console.api.fix_stream import as_lines, read_rows
from tagwatch.console.office import Office
from tests.integration.console.api_scene import WHY, client_of, make_token
from tests.integration.console.conftest import add_account

FROM_US = parse_time("2026-01-01T00:00:00Z")
N = 100_000


def settle(connection: Connection, n: int) -> None:
    """W walks with a fix a minute; the tag is on somebody else before and after."""
    rows = [
        Activation("T", "W", FROM_US, FROM_US + n * MINUTE_US), Activation("T", "V", FROM_US + n * MINUTE_US),
        Activation("T", "V", FROM_US - 30 * DAY_US, FROM_US),
    ]  # fmt: skip
    configuration.save(connection, FROM_US, activations=Activations(rows), wearers=[Wearer("W"), Wearer("V")])
    minutes = np.arange(-60, n + 60)
    FixStore(connection).write(
        Fixes.of(
            ["T"],
            device=np.zeros(len(minutes)),
            time_us=FROM_US + minutes * MINUTE_US,
            lat_e7=512_000_000 + minutes % 1000,
            lon_e7=np.full(len(minutes), 5_000_000),
            accuracy_cm=np.full(len(minutes), 1_000),
            source=np.ones(len(minutes)),
        )
    )
    add_account(connection, "every", list(ROLES))


@pytest.fixture
def client(url: str, address: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Somebody who may see W's trail of so many fixes."""
    with connect(url) as connection:
        settle(connection, request.param)
    with client_of(address, make_token(url, "every")) as found:
        yield found


@pytest.mark.parametrize("client", [N], indirect=True)
def test_a_hundred_thousand_fixes_come_once_and_in_order(client: httpx.Client) -> None:
    span = {"from": to_iso(FROM_US - DAY_US), "to": to_iso(FROM_US + 100 * DAY_US)}
    rest, times = b"", []
    with client.stream("GET", "wearers/W/fixes", params=span, headers=WHY) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert "content-length" not in answer.headers
        for part in answer.iter_bytes():
            assert len(part) < 1_000_000
            *lines, rest = (rest + part).split(b"\n")
            times += [line[9:33] for line in lines]  # {"time":"2026-01-01T00:00:00.000Z"
    assert rest == b""
    assert times == [to_iso(FROM_US + k * MINUTE_US).encode() for k in range(N)]


def test_what_is_in_memory_does_not_grow_with_the_trail(url: str, office: Office) -> None:
    with connect(url) as connection:
        settle(connection, 16_000)
        conditions = configuration.load(connection, office.settings.filter_settings, office.settings.default_plan)

    def peak_bytes(days: int) -> int:
        tracemalloc.start()
        lines = as_lines(read_rows(office, conditions, "W", FROM_US, FROM_US + days * DAY_US - 1))
        n = sum(part.count(b"\n") for part in lines)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert n == days * 1440
        return peak

    peak_bytes(1)  # what is loaded once is loaded
    assert peak_bytes(10) < 1.5 * peak_bytes(2)


@pytest.mark.parametrize("client", [3_000], indirect=True)
def test_portions_join_without_a_seam_in_both_forms(client: httpx.Client) -> None:
    span = {"from": to_iso(FROM_US + 7), "to": to_iso(FROM_US + 2_880 * MINUTE_US)}
    lines = [json.loads(line) for line in client.get("wearers/W/fixes", params=span, headers=WHY).text.splitlines()]
    assert [line["time"] for line in lines] == [to_iso(FROM_US + k * MINUTE_US) for k in range(1, 2_881)]
    assert all(line["weight"] and line["flags"] == [] for line in lines)
    drawn = client.get("wearers/W/fixes", params={**span, "format": "geojson"}, headers=WHY)
    assert drawn.headers["content-type"] == "application/geo+json"
    features = drawn.json()["features"]
    assert [feature["properties"]["time"] for feature in features] == [line["time"] for line in lines]
    assert features[0]["geometry"]["coordinates"] == [lines[0]["lon"], lines[0]["lat"]]
    none = client.get("wearers/W/fixes", params={"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, headers=WHY)
    assert (none.status_code, none.content) == (200, b"")
    head = client.head("wearers/W/fixes", params=span, headers=WHY)
    assert (head.status_code, head.content) == (200, b"")
