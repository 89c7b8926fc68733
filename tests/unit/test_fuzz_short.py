"""A short seeded run of every target of `python -m tests.fuzz`, the machinery of it, and past findings, each by its name."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.archive.export import export
from engine.archive.groups import CREATED_BY
from engine.archive.manifest import NAME, Manifest, read_manifest, settled, to_bytes
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.archive.staging import STAGE
from engine.archive.tables import read_activations, read_events
from engine.archive.verify import verify
from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import DAY_US
from geofence.zone import read_zones
from ingest.broker_url import parse_url
from ingest.parquet_trail import write_parquet
from ingest.payload import decode
from ingest.topics import REFUSED, route_of
from ingest.trail_files import read_trail
from tagwatch.configuration import read_json
from tagwatch.settings import read_settings
from tests.fuzz.laws import from_stdin
from tests.fuzz.target import Breach, Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import Fuzzer

INPUTS = 120
RECEIVED_S = 1_795_342_800
FIX = {"time": "2026-11-22T10:00:00Z", "lat": 53, "lon": -0.5}


@pytest.mark.parametrize("name", TARGETS)
def test_the_law_of_a_target_holds(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    fuzzer = Fuzzer(target, f"short/{name}", tmp_path, timed=False)
    tally = fuzzer.run(max(6, round(INPUTS * min(1.0, target.share))))
    assert not tally.failures, tally.failures
    assert tally.accepted, "not one input was taken: what is behind the first refusal was not looked at"


def test_a_run_is_repeatable_and_a_breach_is_kept(tmp_path: Path) -> None:
    def read(data: bytes) -> int:
        if b"7" in data:
            raise Breach("a seven")
        if b"8" in data:
            raise InputError("an eight")
        return len(data) % 5

    target = Target("sevens", read, lambda: [b'{"a": 1}'], ("json",))
    one, two = (Fuzzer(target, "1", tmp_path, timed=False).run(400) for _ in range(2))
    assert one.failures == two.failures
    assert one.accepted == two.accepted
    (failure,) = one.failures.values()
    assert b"7" in (tmp_path / failure["file"]).read_bytes()


def test_an_extension_of_messagepack_leaves_no_address_of_memory() -> None:
    payload = msgspec.msgpack.encode({**FIX, "time": msgspec.msgpack.Ext(5, b"x")})
    one, two = (decode("tags/T1/fixes", payload, RECEIVED_S).quarantined for _ in range(2))
    assert one == two
    assert "extension of type 5" in one[0].reason


@pytest.mark.parametrize("topic", ["tags/+/fixes", "tags/#/events", "owntracks/a+/b", "tags/a#/fixes"])
def test_a_wildcard_names_no_device(topic: str) -> None:
    assert route_of(topic).kind == REFUSED


def test_topics_that_are_refused_are_not_remembered() -> None:
    tracemalloc.start()
    for k in range(1_000):
        assert route_of(f"tags/{k}{'x' * 60_000}/fixes").kind == REFUSED
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 5_000_000


@pytest.mark.parametrize("url", ["mqtt://[", "mqtt://[::1", "mqtt://a]b@h", "mqtt://u:secret@[x"])
def test_a_broker_address_that_is_half_of_ipv6(url: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("properties", "geometry"),
    [
        ({"id": "\ud800"}, {"type": "Point", "coordinates": [0, 0]}),
        ({}, {"type": "Polygon", "coordinates": [[[0, 0, 10**400], [1, 0, 0], [1, 1, 0], [0, 0, 10**400]]]}),
        ({}, {"type": "Polygon", "coordinates": json.loads("[" * 900 + "]" * 900)}),
    ],
)
def test_zones_that_made_the_reader_fail(properties: dict[str, object], geometry: object) -> None:
    told = {"id": "Z", "kind": "exclusion", "wearers": "*", "radius_m": 5, **properties}
    with pytest.raises(InputError):
        read_zones(
            {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": told, "geometry": geometry}]}
        )


@pytest.mark.parametrize("text", [b'["\\ud800"]', b'["a\\u0000"]', b'{"\\udfff": 1}'])
def test_texts_that_no_database_takes_are_refused_with_the_file(text: bytes) -> None:
    with pytest.raises(InputError):
        from_stdin(read_json, text)


def test_a_backslash_before_a_zero_is_no_nul() -> None:
    assert from_stdin(read_json, b'["a\\\\u0000"]') == ["a\\u0000"]


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000, "a = " + "1" * 5_000])
def test_settings_that_toml_cannot_hold(text: str, tmp_path: Path) -> None:
    (tmp_path / "tagwatch.toml").write_text(text)
    with pytest.raises(InputError):
        read_settings(tmp_path / "tagwatch.toml")


def put_archive(folder: Path) -> Manifest:
    times = 20_600 * DAY_US + np.arange(5) * 60_000_000
    fixes = Fixes.of(("a",), device=np.zeros(5), time_us=times, lat_e7=np.full(5, 530_000_000), lon_e7=np.zeros(5))
    export(folder, lambda spill: by_day([fixes], spill))
    return read_manifest(folder)


def with_path(manifest: Manifest, path: str) -> Manifest:
    """The manifest with another path of its only file, and its own hash right: anybody can write that."""
    (day,) = manifest.days
    (file,) = day.files
    other = msgspec.structs.replace(day, files=[msgspec.structs.replace(file, path=path)])
    return msgspec.structs.replace(manifest, days=[other])


@pytest.mark.parametrize(
    "path", ["../beside", "/etc/hostname", "day=2026-05-27/../../beside", "manifest.json", "day=2026-05-28/fixes.parquet"]
)
def test_an_archive_reads_and_removes_nothing_outside_of_itself(path: str, tmp_path: Path) -> None:
    """A stranger's archive with an unfinished change: looking at it took away the files that its manifest named."""
    folder, beside = tmp_path / "a", tmp_path / "beside"
    manifest = put_archive(folder)
    beside.write_text("mine")
    (folder / STAGE).mkdir()
    (folder / STAGE / NAME).write_bytes(to_bytes(manifest))
    (folder / NAME).write_bytes(to_bytes(with_path(manifest, path)))
    with pytest.raises(InputError):
        Archive(folder)
    assert [flaw.code for flaw in verify(folder)] == ["manifest"]
    assert beside.read_text() == "mine"


@pytest.mark.parametrize("change", [{"first": "x"}, {"last": "2026-05-27"}, {"box_e7": [1]}])
def test_a_manifest_of_things_that_are_none(change: dict[str, object], tmp_path: Path) -> None:
    manifest = put_archive(tmp_path / "a")
    (day,) = manifest.days
    other = msgspec.structs.replace(day, files=[msgspec.structs.replace(day.files[0], **change)])
    (tmp_path / "a" / NAME).write_bytes(to_bytes(settled(msgspec.structs.replace(manifest, days=[other]))))
    with pytest.raises(InputError):
        Archive(tmp_path / "a")


def test_tables_of_an_archive_whose_times_are_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("device,time,event,value,received\na,x,fault,,y\n")
    with pytest.raises(InputError):
        list(read_events(path))
    path.write_text(
        "device,wearer,from,to,percentile,fix_interval_s,upload_interval_s,grace_s,model\na,w,2026-01-01,,x,1,1,1,\n"
    )
    with pytest.raises(InputError):
        read_activations(path)


def test_a_parquet_file_that_says_it_is_of_an_archive() -> None:
    """Its writer's name is all that tells; its columns were believed, and values and names as well."""
    out = io.BytesIO()
    pq.write_table(pa.table({"device": ["a"], "time": [RECEIVED_S], "lat": [53.0], "lon": [0.0]}), out)
    data = out.getvalue()
    n = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - n : -8]
    at = footer.index(b"parquet-cpp")
    forged = footer[: at - 1] + bytes([len(CREATED_BY)]) + CREATED_BY.encode() + footer[at + footer[at - 1] :]
    assert len(from_stdin(read_trail, data)) == 1
    with pytest.raises(InputError, match=r"columns of an archive|cannot be read"):
        from_stdin(read_trail, data[: -8 - n] + forged + len(forged).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize(
    "odd", [{"lat_e7": 910_000_000}, {"accuracy_cm": -5}, {"source": 77}, {"time_us": 5}, {"devices": ("a\x1b[2J",)}]
)
def test_an_archive_of_fixes_that_no_tag_can_have(odd: dict[str, object], tmp_path: Path) -> None:
    columns = {
        "time_us": 20_600 * DAY_US,
        "lat_e7": 530_000_000,
        "lon_e7": 0,
        "accuracy_cm": 500,
        "source": 1,
        "devices": ("a",),
        **odd,
    }
    devices = columns.pop("devices")
    fixes = Fixes.of(devices, device=np.zeros(1), **{name: np.array([value]) for name, value in columns.items()})
    export(tmp_path / "a", lambda spill: by_day([fixes], spill))
    with pytest.raises(InputError):
        read_trail(tmp_path / "a")
    (day,) = (tmp_path / "a").rglob("*.parquet")
    with pytest.raises(InputError):
        read_trail(day)


def test_a_parquet_file_with_a_column_whose_name_is_no_text(tmp_path: Path) -> None:
    fixes = decode("tags/T1/fixes", json.dumps(FIX).encode(), RECEIVED_S).fixes
    write_parquet(fixes, tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(InputError):
        from_stdin(read_trail, data.replace(b"accuracy_m", b"accu\xf0acy_m"))
