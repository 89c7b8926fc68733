"""Small files that become large, and large ones without an end: each is refused, or read, in bounded memory and work.

No test looks at a clock: where work grew with the square of the input, the inputs here would take minutes or hours.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crime_match.crimes.files import background_of, read_crimes
from engine.errors import InputError
from geofence.zone import read_zones
from ingest import file_bytes
from ingest.activation_files import read_activations
from ingest.file_bytes import gunzipped, read_file
from ingest.payload import Decoded, decode
from ingest.trail_files import read_trail
from ingest.wearer_files import read_wearers
from tagwatch.configuration import read_json
from tagwatch.evidence import verify_pack
from tests.fuzz.laws import from_stdin

MB = 1_000_000
FIX = {"time": "2026-11-22T10:00:00Z", "lat": 53, "lon": -0.5}
HEADER = b"device,time,lat,lon\n"


@contextmanager
def at_most(n_bytes: int) -> Iterator[None]:
    """What Python takes within stays below so many bytes."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n_bytes, f"{peak:,} bytes"


def taken(payload: bytes, topic: str = "tags/T1/fixes") -> Decoded:
    return decode(topic, payload, 1_795_342_800)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000, b'{"a":' * 100_000, b"\x91" * 100_000, b"\x81\xa1a" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b'{"time":' + b"1" * MB + b',"lat":1,"lon":1}',
        b'{"time":1795342800,"lat":1e999999,"lon":0.' + b"1" * MB + b"}", b'{"seq":' + b"9" * 5_000 + b"}",
    ],
    ids=lambda payload: repr(payload[:12]),
)  # fmt: skip
def test_payloads_that_nest_or_claim_much(payload: bytes) -> None:
    with at_most(40 * MB):
        found = taken(payload)
        assert len(found.quarantined) == 1
        taken(payload, "tags/T1/events")
        taken(payload, "owntracks/a/b")


def test_a_key_that_comes_twice_among_sixty_thousand() -> None:
    many = json.dumps(dict.fromkeys(map(str, range(60_000)), 0))[:-1].encode() + b',"59999":1}'
    assert "comes twice" in taken(many).quarantined[0].reason
    assert "comes twice" in taken(b"[" + many + b"]").quarantined[0].reason


@pytest.mark.parametrize("topic", ["tags/T1/fixes", "tags/T1/events"])
def test_a_list_of_which_each_entry_is_refused(topic: str) -> None:
    """Each refusal cut the whole list again; a blank before it was stripped for each entry."""
    n = 8_000
    wrong = [{**FIX, "lat": 95, "event": "none"}] * n
    for payload in (json.dumps(wrong).encode(), b" " + json.dumps(wrong).encode(), b" [" + b"0," * n + b"0]"):
        found = taken(payload, topic)
        assert len(found.quarantined) >= n
        assert found.quarantined[-1].payload in (json.dumps(wrong[0]).encode(), b"0")


def test_a_gzip_file_that_becomes_a_thousand_times_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_bytes, "ALWAYS_BYTES", 4 * MB)
    bomb = gzip.compress(bytes(file_bytes.ALWAYS_BYTES + MB), 9)
    assert len(bomb) < MB
    with pytest.raises(InputError, match="becomes too large"):
        gunzipped("bomb", bomb)
    with pytest.raises(InputError, match="becomes too large"):
        gunzipped("bomb", gzip.compress(bytes(MB)) * 8)  # the same in many members
    with pytest.raises(InputError, match="becomes too large"):
        from_stdin(read_crimes, bomb)


@pytest.mark.parametrize("tail", [b"", b"\0" * 9])
def test_gzip_as_it_should_be(tail: bytes) -> None:
    data = bytes(range(256)) * 3_000
    assert gunzipped("x", gzip.compress(data[:7]) + gzip.compress(b"") + gzip.compress(data[7:]) + tail) == data
    for damaged in (
        gzip.compress(data)[:-1],
        gzip.compress(data) + b"x",
        gzip.compress(data)[:5],
        gzip.compress(data)[:-8] + bytes(8),
    ):
        with pytest.raises(InputError, match="damaged gzip"):
            gunzipped("x", damaged)


class Endless(io.RawIOBase):
    """A stream that never ends."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def read(self, n: int = -1) -> bytes:
        assert 0 <= n <= MB, "all of an endless stream was asked for"
        self.n_bytes += n
        return b"x" * n


def test_a_standard_input_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Endless()
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream})())
    with at_most(5 * MB), pytest.raises(InputError, match="too large"):
        read_file("-", most=MB)
    assert stream.n_bytes < 2 * MB


def test_a_file_without_an_end() -> None:
    with at_most(5 * MB), pytest.raises(InputError, match="too large"):
        read_file("/dev/zero", most=MB)


@pytest.mark.parametrize(
    "data",
    [
        HEADER + b"T," + b"1" * 20 * MB, HEADER + b'"' + b"1" * 20 * MB, HEADER + b"," * 20 * MB, b"x" * 20 * MB,
        b",".join(b"c%d" % k for k in range(1_000_000)), b"$GPRMC," + b"1" * 20 * MB, b"2026-11-22T10:00:00Z\t*\t{" + b"1" * 20 * MB,
    ],
    ids=["number", "quote", "commas", "header", "columns", "nmea", "rec"],
)  # fmt: skip
def test_a_line_without_an_end(data: bytes) -> None:
    with at_most(60 * MB), pytest.raises(InputError, match="line without an end"):
        from_stdin(read_trail, data)
    for read in (read_activations, read_wearers, read_crimes):
        with pytest.raises(InputError):
            from_stdin(read, data)


def test_lines_as_long_as_they_may_be_are_read() -> None:
    row = b"T," + b"2026-11-22T10:00:00Z,53,-0.5," + b"x" * 100_000
    assert len(from_stdin(read_trail, b"device,time,lat,lon,note\n" + row + b"\n" + row)) == 2


_LAUGHS = b'<!ENTITY a "aaaaaaaaaa">' + b"".join(b'<!ENTITY %c "%s">' % (98 + k, b"&%c;" % (97 + k) * 10) for k in range(9))
_POINT = b'<trkseg><trkpt lat="1" lon="1"><time>2026-11-22T10:00:00Z</time></trkpt></trkseg>'


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE gpx [" + _LAUGHS + b"]><gpx><trk><name>&j;</name>" + _POINT + b"</trk></gpx>",
        b'<!DOCTYPE gpx [<!ENTITY a SYSTEM "file:///etc/hostname">]><gpx><trk><name>&a;</name>' + _POINT + b"</trk></gpx>",
        b'<!DOCTYPE gpx [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x"> %a;]><gpx><trk><name>&a;</name>' + _POINT + b"</trk></gpx>",
        b"<gpx>" + b"<a>" * 200_000, b"<gpx><trk><name>" + b"x" * 20 * MB + b"</name></trk></gpx>", b"<!--" * 16_000, b"<gpx " + b'a="1" ' * 100_000,
    ],
    ids=["laughs", "file", "network", "deep", "long", "comments", "attributes"],
)  # fmt: skip
def test_xml_that_would_fetch_or_grow(data: bytes) -> None:
    with pytest.raises(InputError):
        from_stdin(read_trail, data)


def _zone(coordinates: object, kind: str = "Polygon") -> dict[str, object]:
    told = {"id": "Z", "kind": "exclusion", "wearers": "*"}
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": told, "geometry": {"type": kind, "coordinates": coordinates}}],
    }


def test_json_of_configuration_that_nests() -> None:
    for text in (b"[" * 100_000, b'{"a":' * 100_000):
        with pytest.raises(InputError):
            from_stdin(read_json, text)
    for depth in (5, 900):
        with pytest.raises(InputError):
            read_zones(_zone(json.loads("[" * depth + "]" * depth)))


def test_polygons_up_to_a_million_vertices() -> None:
    angle = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    ring = np.round(np.column_stack([np.cos(angle), 51 + np.sin(angle)]), 7).tolist()
    (zone,) = read_zones(_zone([[*ring, ring[0]]]))
    assert len(zone.place.exterior.coords) == 100_001
    for coordinates, kind in (([[[0, 51]] * 1_000_001], "Polygon"), ([[[[0, 51]] * 100_001]] * 10, "MultiPolygon")):
        with at_most(5 * MB), pytest.raises(InputError, match="vertices"):
            read_zones(_zone(coordinates, kind))


def test_a_parquet_file_of_a_few_bytes_and_a_billion_rows() -> None:
    """Runs of one value take no room: what is read would."""
    n = 2_000_000
    table = pa.table(
        {
            "device": pa.array(["a"] * n).dictionary_encode(),
            "time": np.full(n, 1_795_342_800),
            "lat": np.full(n, 1.0),
            "lon": np.full(n, 1.0),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    assert len(out.getvalue()) < 60_000
    with at_most(20 * MB), pytest.raises(InputError, match="hold"):
        from_stdin(read_trail, out.getvalue())


def test_a_parquet_file_of_many_columns() -> None:
    table = pa.table({f"c{k}": [1] for k in range(3_000)} | {"device": ["a"]})
    out = io.BytesIO()
    pq.write_table(table, out)
    with pytest.raises(InputError, match="no column"):
        from_stdin(read_trail, out.getvalue())


def test_a_zip_of_crimes_that_becomes_large_or_lies_upon_itself() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"2019-09/2019-09-{k}-street.csv", bytes(30 * MB))
    with at_most(20 * MB), pytest.raises(InputError, match="say that they have"):
        background_of("bomb.zip", out.getvalue())
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("2019-09/2019-09-a-street.csv", b"x" * 5_000)
    data = small.getvalue()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, n = data[at:end], 200
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = n.to_bytes(2, "little")
    tail[12:16] = (n * len(entry)).to_bytes(4, "little")
    with pytest.raises(InputError, match="say that they have"):
        background_of("bomb.zip", data[:at] + entry * n + bytes(tail))


def test_an_evidence_pack_with_members_upon_each_other() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", bytes(50 * MB))
    with at_most(20 * MB):
        assert not verify_pack(out.getvalue()).holds
        assert not verify_pack(b"PK\3\4" * 500_000).holds


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\u202eb", "\ufeff", "x" * 129, "a\nb", "a\x1b[2J"])
def test_device_names_that_steer_a_screen_are_refused(name: str) -> None:
    row = json.dumps({**FIX, "device": name}).encode()
    text = HEADER + f'"{name}",2026-11-22T10:00:00Z,53,-0.5\n'.encode()
    with pytest.raises(InputError):
        from_stdin(read_trail, text)
    assert taken(row).fixes.devices == ("T1",)  # the topic names the device, never the payload


def test_names_that_look_alike_are_two_devices() -> None:
    text = HEADER + "A,2026-11-22T10:00:00Z,53,-0.5\nА,2026-11-22T10:00:00Z,53,-0.5\n".encode()
    assert len(from_stdin(read_trail, b"\xef\xbb\xbf" + text).devices) == 2
