"""Laws: what is written is read again, numbers are exact, and no payload and no file raises what it should not."""

import io
import json
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import ABSENT, NAMES, OPTIONAL, POSITION, SOURCES, Fixes
from engine.times import EARLIEST_US, LATEST_US
from ingest.csv_rows import read_rows
from ingest.csv_table import table_of
from ingest.csv_trail import COLUMNS, REQUIRED, read_csv, write_csv
from ingest.fault import Faults
from ingest.fix_checks import to_units
from ingest.message import Message
from ingest.parquet_trail import write_parquet
from ingest.payload import decode, decode_batch
from ingest.payload_text import fix_texts
from ingest.trail_files import read_trail

LEAST = {"lat_e7": -900_000_000, "lon_e7": -1_800_000_000, "altitude_cm": -2_000_000_000}
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12) | st.just('a "b", c')


@st.composite
def fix_batches(draw: st.DrawFn) -> Fixes:
    devices = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    n = draw(st.integers(1, 8))
    columns: dict[str, list[int]] = {
        "device": draw(st.lists(st.integers(0, len(devices) - 1), min_size=n, max_size=n)),
        "time_us": draw(st.lists(st.integers(EARLIEST_US, LATEST_US - 1), min_size=n, max_size=n)),
        "source": draw(st.lists(st.sampled_from(sorted(SOURCES.values())), min_size=n, max_size=n)),
        "received_s": draw(st.lists(st.integers(EARLIEST_US // 10**6, LATEST_US // 10**6 - 1), min_size=n, max_size=n)),
    }
    for column in (*POSITION, *OPTIONAL):
        most = int(column.most * column.scale)
        numbers = st.integers(LEAST.get(column.name, 0), most)
        values = numbers if column in POSITION else numbers | st.just(ABSENT)
        columns[column.name] = draw(st.lists(values, min_size=n, max_size=n))
    return Fixes.of(devices, **columns)


def same(one: Fixes, two: Fixes, *but: str) -> None:
    assert [one.devices[code] for code in one.device] == [two.devices[code] for code in two.device]
    for name in NAMES:
        if name not in ("device", *but):
            assert one.column(name).tolist() == two.column(name).tolist(), name


@given(fix_batches())
def test_csv_gives_back_what_was_written(fixes: Fixes) -> None:
    file = io.BytesIO()
    write_csv(fixes, file)
    same(fixes, read_csv(file.getvalue(), Faults("csv")))
    table = table_of(file.getvalue(), "csv", COLUMNS, REQUIRED)
    same(fixes, read_rows(table, Faults("csv"), COLUMNS)[0])


@given(fix_batches())
def test_parquet_gives_back_what_was_written(fixes: Fixes) -> None:
    with TemporaryDirectory() as folder:
        write_parquet(fixes, Path(folder) / "t.parquet")
        same(fixes, read_trail(Path(folder) / "t.parquet"))


@given(fix_batches())
def test_payloads_give_back_what_was_sent(fixes: Fixes) -> None:
    texts = fix_texts(fixes, np.arange(len(fixes)))
    singles = decode_batch([Message(0, "tags/x/fixes", text) for text in texts])
    lists = decode("tags/x/fixes", b"[" + b",".join(texts) + b"]", 0)
    packed = decode("tags/x/fixes", msgspec.msgpack.encode([json.loads(text) for text in texts]), 0)
    for out in (singles, lists, packed):
        late = [entry for entry in out.quarantined if entry.field != "received"]
        assert not late
        assert out.seqs == {"x": list(range(len(fixes)))}


@given(fix_batches(), st.integers(EARLIEST_US // 10**6, LATEST_US // 10**6 - 1))
def test_payloads_are_exact(fixes: Fixes, received_s: int) -> None:
    out = decode("tags/x/fixes", b"[" + b",".join(fix_texts(fixes)) + b"]", received_s)
    assert not out.quarantined
    for name in NAMES:
        if name not in ("device", "received_s"):
            assert out.fixes.column(name).tolist() == fixes.column(name).tolist(), name


@given(
    st.lists(st.tuples(st.integers(-(10**14), 10**14), st.integers(0, 14)), min_size=1),
    st.sampled_from([1, 100, 10**6, 10**7]),
)
def test_numbers_are_rounded_as_their_decimal_text(parts: list[tuple[int, int]], scale: int) -> None:
    texts = [str(Decimal(digits).scaleb(-places)) for digits, places in parts]
    texts = [text for text in texts if abs(float(text)) * scale < 2**51]
    wanted = [int((Decimal(text) * scale).to_integral_value(ROUND_HALF_EVEN)) for text in texts]
    assert to_units(np.array([float(text) for text in texts]), scale).tolist() == wanted


@given(st.integers(-1_800_000_000, 1_800_000_000), st.sampled_from([0, 5, -5]))
def test_halves_of_coordinates(e7: int, eighth: int) -> None:
    text = str((Decimal(e7) * 10 + eighth).scaleb(-8))
    wanted = int((Decimal(text) * 10**7).to_integral_value(ROUND_HALF_EVEN))
    assert to_units(np.array([float(text)]), 10**7).tolist() == [wanted]


@given(st.integers(EARLIEST_US, LATEST_US - 1))
def test_epoch_text_is_exact_to_the_microsecond(time_us: int) -> None:
    text = f"{time_us // 10**6}.{time_us % 10**6:06d}"
    body = f"device,time,lat,lon\na,{text},1,2\n".encode()
    assert read_csv(body, Faults("x")).time_us.tolist() == [time_us]
    assert decode(
        "tags/a/fixes", f'{{"time":{text},"lat":1,"lon":2}}'.encode(), EARLIEST_US // 10**6
    ).fixes.time_us.tolist() == [time_us]


cells = st.sampled_from(
    [
        "",
        "1",
        "-5.5",
        "nan",
        "1e3",
        "x",
        "2026-03-29T01:30:00Z",
        "1774747800.5",
        "gps",
        '"q"',
        '"a,b"',
        " 7 ",
        "\u00e9",
        "\x00",
        "91",
    ]
)


@given(st.lists(st.lists(cells, min_size=4, max_size=7), max_size=6))
def test_the_quick_and_the_slow_way_through_a_csv_agree(rows: list[list[str]]) -> None:
    text = "device,time,lat,lon,accuracy_m,source,received\n" + "".join(",".join(row) + "\n" for row in rows)
    quick, slow = [], []
    one = read_csv(text.encode(), Faults("x", quick.append))
    two, n_rows = read_rows(table_of(text.encode(), "x", COLUMNS, REQUIRED), Faults("x", slow.append), COLUMNS)
    same(one, two)
    assert quick == slow
    assert n_rows == len(two) + len({fault.row for fault in slow})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["2026-03-29T01:30:00Z", 1774747800, 1.5]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["time", "lat", "lon", "seq", "source", "event", "_type", "tst", "received", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
topics = st.sampled_from(
    ["tags/a/fixes", "tags/a/events", "owntracks/u/d", "owntracks/u/d/event", "tags//fixes", "x"]
) | st.text(max_size=20)


def pack(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return b""


@given(topics, st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()) | json_values.map(pack))
def test_no_payload_raises_and_none_is_lost(topic: str, payload: bytes) -> None:
    out = decode(topic, payload, 1774747900)
    empty_list = payload.strip() in (b"[]", b"\x90") or payload[:1] in (b"\xdc", b"\xdd")
    assert len(out.fixes) or out.events or out.quarantined or out.n_ignored or empty_list or b"[" in payload[:1]


@given(st.binary(max_size=200))
def test_no_file_raises_anything_but_an_input_error(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(data)
        try:
            read_trail(path)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
