import gzip
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import ABSENT, Fixes
from engine.times import EARLIEST_US, LATEST_US
from ingest.fault import Fault, Faults
from ingest.json_trail import read_json_trail
from ingest.trail_files import read_trail

PLACE = {"_type": "location", "tst": 1774747800, "lat": 51.5, "lon": -0.1, "acc": 12, "vel": 36, "cog": 90, "batt": 80}


def read(data: bytes | str, name: str = "phone") -> tuple[Fixes, list[Fault]]:
    told: list[Fault] = []
    raw = data if isinstance(data, bytes) else data.encode()
    return read_json_trail(raw, Faults("a.json", told.append), name), told


def place(**changes: object) -> dict:
    return {key: value for key, value in (PLACE | changes).items() if value is not None}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PLACE),
        json.dumps(PLACE, indent=2),
        json.dumps([PLACE]),
        json.dumps([PLACE], indent=1),
        json.dumps(PLACE) + "\n\n" + json.dumps({"_type": "lwt", "tst": 1774747801}) + "\r\n",
        "\x1e" + json.dumps(PLACE) + "\n\x1e" + json.dumps({"_type": "card"}) + "\n",
        json.dumps({"count": 1, "status": 200, "version": "0.9.9", "data": [PLACE]}),
        json.dumps({"count": 1, "locations": [PLACE]}, indent=4),
        json.dumps([PLACE, place(t="p", tst=1774747900), {"_type": "transition", "event": "enter", "wtst": 1}]),
    ],
)
def test_every_shape(tmp_path: Path, text: str) -> None:
    for name, data in (
        ("a.json", text.encode()),
        ("b", b"\xef\xbb\xbf\n" + text.encode()),
        ("c", gzip.compress(text.encode())),
    ):
        (tmp_path / name).write_bytes(data)
        fixes = read_trail(tmp_path / name)
        assert fixes.time_us.tolist() == [1774747800_000000]
        assert (fixes.lat_e7[0], fixes.lon_e7[0], fixes.accuracy_cm[0]) == (515000000, -1000000, 1200)
        assert (fixes.speed_cms[0], fixes.course_cdeg[0], fixes.battery_pct[0]) == (1000, 9000, 80)
        assert (fixes.altitude_cm[0], fixes.source[0]) == (ABSENT, 0)


@pytest.mark.parametrize(
    ("keys", "device"),
    [
        ({"topic": "owntracks/jane/phone", "username": "x", "device": "y", "tid": "jp"}, "jane/phone"),
        ({"topic": "other/jane/phone", "username": "jane", "device": "tab", "tid": "jp"}, "jane/tab"),
        ({"user": "jane", "device": "tab"}, "jane/tab"),
        ({"username": "jane", "tid": "jp"}, "jp"),
        ({"tid": 7}, "phone"),
        ({}, "phone"),
    ],
)
def test_the_device(keys: dict, device: str) -> None:
    assert read(json.dumps([place(**keys)]))[0].devices == (device,)


def test_what_the_recorder_adds_is_no_arrival(tmp_path: Path) -> None:
    fixes, _ = read(json.dumps([place(isorcv="2030-01-01T00:00:00Z", created_at=1774750000)]))
    assert fixes.received_s.tolist() == [1774747800]


@pytest.mark.parametrize(
    ("entry", "code", "field"),
    [
        (place(lat=95), "out_of_range", "lat"),
        (place(lat=None), "missing", "lat"),
        (place(lat="51"), "bad_value", "lat"),
        (place(tst=1), "bad_time", "tst"),
        (place(tst="2026-03-29T01:30:00Z"), "bad_time", "tst"),
        (place(vel=10**9), "out_of_range", "vel"),
        (place(acc=-1), "out_of_range", "acc"),
        (place(_type="encrypted"), "bad_value", "_type"),
        (place(_type="elsewhere"), "bad_value", "_type"),
        (place(topic="owntracks/a\u0007/b"), "bad_value", "device"),
        (7, "bad_value", ""),
    ],
)
def test_each_fault_names_its_row_field_and_value(entry: object, code: str, field: str) -> None:
    for text, line in (
        (json.dumps([PLACE, entry, PLACE]), 0),
        ("\n".join(json.dumps(e) for e in (PLACE, entry, PLACE)), 2),
    ):
        fixes, told = read(text)
        assert len(fixes) == 2
        assert [(fault.row, fault.line, fault.code, fault.field) for fault in told] == [(2, line, code, field)]
        if isinstance(entry, dict) and field in entry:
            assert told[0].value == entry[field]
        assert told[0].expected


def test_broken_lines_are_faults_of_their_own() -> None:
    good = json.dumps(PLACE)
    for text, line in (
        (f"{good}\n{good[:30]}\n{good}\n", 2),
        (f"{good[:30]}\n{good}\n{good}", 1),
        (f'{good}\n{good}\n{{"lat":NaN}}', 3),
    ):
        fixes, told = read(text)
        assert (len(fixes), [(fault.line, fault.code) for fault in told]) == (2, [(line, "bad_json")])


@pytest.mark.parametrize(
    "text", ['{"_type":', "[1,", '{"_type":"location","_type":"location"}', "[" * 100_000, '["\\ud800"']
)
def test_no_json_at_all(text: str) -> None:
    with pytest.raises(InputError, match=r"^a\.json"):
        read(text)


@pytest.mark.parametrize("text", ["[]", '{"count":0,"data":[]}', '[{"_type":"lwt","tst":1}]'])
def test_nothing_in_it(text: str) -> None:
    fixes, told = read(text)
    assert (len(fixes), told) == (0, [])


@pytest.mark.parametrize(
    "text", ['{"a":1}', "[1,2]", '[{"id":"c1","wearer":"w"}]', '{"locations":[{"latitudeE7":1}]}', '"text"']
)
def test_json_of_another_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    wanted = "not a trail" if text[0] != '"' else "header"
    with pytest.raises(InputError, match=wanted):
        read_trail(tmp_path / "a.json", on_fault=lambda fault: None)


def test_real_takeout_is_refused_by_name(shared_data: Path) -> None:
    with pytest.raises(InputError, match="this is JSON, not a trail.*latitudeE7.*expected GeoJSON points, or OwnTracks"):
        read_trail(shared_data / "formats/takeout/niimpy_Records.json")


LOCATION = st.fixed_dictionaries(
    {"tst": st.integers(EARLIEST_US // 10**6, LATEST_US // 10**6 - 1), "lat": st.integers(-900_000_000, 900_000_000),
     "lon": st.integers(-1_800_000_000, 1_800_000_000)},
    optional={"acc": st.integers(0, 10**6), "cog": st.integers(0, 360), "alt": st.integers(-500, 9000), "batt": st.integers(0, 100)},
)  # fmt: skip


@given(st.lists(LOCATION, min_size=1, max_size=8), st.booleans())
def test_what_is_written_is_read_again(locations: list[dict], as_lines: bool) -> None:
    entries = [
        {"_type": "location"} | entry | {"lat": entry["lat"] / 1e7, "lon": entry["lon"] / 1e7} for entry in locations
    ]
    fixes, told = read("\n".join(map(json.dumps, entries)) if as_lines else json.dumps({"data": entries}))
    assert not told
    assert fixes.time_us.tolist() == [entry["tst"] * 10**6 for entry in locations]
    assert (fixes.lat_e7.tolist(), fixes.lon_e7.tolist()) == ([e["lat"] for e in locations], [e["lon"] for e in locations])
    for column, key, scale in ((fixes.accuracy_cm, "acc", 100), (fixes.course_cdeg, "cog", 100), (fixes.altitude_cm, "alt", 100),
                               (fixes.battery_pct, "batt", 1)):  # fmt: skip
        assert column.tolist() == [entry[key] * scale if key in entry else ABSENT for entry in locations]


@given(st.sampled_from([b'{"_type":"location"', b'[{"_type":"location","tst":1774747800,"lat":1,"lon":2}', b'{"data":[',
                        json.dumps(PLACE).encode() + b"\n"]), st.binary(max_size=120))  # fmt: skip
def test_any_bytes_behind_the_head(head: bytes, tail: bytes) -> None:
    for data in (head + tail, head + b"]" + tail):
        with suppress(InputError):
            read(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**320) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*PLACE, "topic", "tid", "username", "device", "t", "alt"]), VALUES, max_size=9))
def test_any_values(entry: dict) -> None:
    fixes, told = read(json.dumps([PLACE, {"_type": "location"} | entry]))
    assert len(fixes) + len({fault.row for fault in told}) >= 1
