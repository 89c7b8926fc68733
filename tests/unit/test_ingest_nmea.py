import gzip
import io
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import ABSENT, SOURCES
from engine.times import DAY_US, EARLIEST_US, LATEST_US, parse_time
from ingest.fault import Fault, Faults
from ingest.nmea_trail import Log, read_log
from ingest.trail_files import read_trail

RMC = "GPRMC,030719.000,A,3747.0873,S,17518.8938,E,0.69,181.39,311214,,,A"
GGA = "GPGGA,030719.000,3747.0873,S,17518.8938,E,1,08,1.1,59.9,M,23.7,M,,0000"


def framed(text: str) -> str:
    checksum = 0
    for octet in text.encode():
        checksum ^= octet
    return f"${text}*{checksum:02X}"


def log_of(*texts: str) -> bytes:
    """Sentences with their checksum; a text that is no sentence (it has a `$`, `#` or `!`, or no comma) stays as it is."""
    lines = [framed(text) if re.match(r"[A-Z]{5},", text) else text for text in texts]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n"


def read(*texts: str) -> tuple[Log, list[Fault]]:
    told: list[Fault] = []
    return read_log(log_of(*texts), Faults("tag.nmea", told.append), "tag"), told


def sentence(kind: str, **changes: str) -> str:
    """RMC or GGA with some fields changed."""
    names = {"RMC": ["name", "time", "status", "lat", "ns", "lon", "ew", "speed", "course", "date", "mv", "mvew", "mode"],
             "GGA": ["name", "time", "lat", "ns", "lon", "ew", "quality", "satellites", "hdop", "alt", "unit", "sep", "sepunit", "age", "station"]}[kind]  # fmt: skip
    fields = dict(zip(names, (RMC if kind == "RMC" else GGA).split(","), strict=True)) | changes
    return ",".join(fields.values())


def test_rmc_and_gga_of_one_instant_make_one_fix() -> None:
    log, told = read(GGA, RMC, "GPGSV,3,1,12,17,72,207,32")
    fixes = log.fixes
    assert (len(fixes), fixes.devices, told) == (1, ("tag",), [])
    assert fixes.time_us[0] == parse_time("2014-12-31T03:07:19Z")
    # 37 degrees and 47.0873 minutes south, 175 degrees and 18.8938 minutes east
    assert (fixes.lat_e7[0], fixes.lon_e7[0]) == (-377847883, 1753148967)
    assert (fixes.speed_cms[0], fixes.course_cdeg[0]) == (35, 18139)
    assert (fixes.hdop_c[0], fixes.satellites[0], fixes.altitude_cm[0]) == (110, 8, 5990)
    assert fixes.source[0] == SOURCES["gps"]
    assert fixes.accuracy_cm[0] == ABSENT  # a dilution is no radius
    assert fixes.received_s[0] == fixes.time_us[0] // 1_000_000
    assert (log.skipped, log.n_void) == (Counter(GPGSV=1), 0)


def test_void_sentences_are_no_fixes() -> None:
    log, told = read(
        sentence("RMC", status="V"), sentence("RMC", mode="N"), sentence("RMC", mode="E"), sentence("RMC", mode="S"),
        sentence("GGA", quality="0"), sentence("GGA", quality="6"), "GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,,,,M,,M,,",
    )  # fmt: skip
    assert (len(log.fixes), told, log.n_void) == (0, [], 8)


@pytest.mark.parametrize(
    "pair",
    [
        (sentence("RMC", status="V"), GGA),
        (RMC, sentence("GGA", quality="0")),
        (RMC, sentence("GGA", quality="8")),
    ],
)
def test_one_of_two_that_says_no_fix_is_believed(pair: tuple[str, str]) -> None:
    other = sentence("RMC", time="030720.000")
    log, _ = read(*pair, other)
    assert log.fixes.time_us.tolist() == [parse_time("2014-12-31T03:07:20Z")]


def test_of_several_gga_the_one_with_most_satellites() -> None:
    few, many = sentence("GGA", name="GLGGA", satellites="02"), sentence("GGA", satellites="09")
    void = sentence("GGA", name="GAGGA", quality="0", satellites="00")
    log, _ = read(few, many, void, sentence("RMC", name="GNRMC"))
    assert log.fixes.satellites.tolist() == [9]


def test_gga_alone_are_fixes_of_the_day_next_to_them() -> None:
    log, _ = read(RMC, sentence("GGA", time="030719.100"), sentence("GGA", time="030719.200"))
    assert [us % 1_000_000 // 1000 for us in log.fixes.time_us.tolist()] == [0, 100, 200]
    assert log.fixes.speed_cms.tolist() == [35, ABSENT, ABSENT]


def test_midnight() -> None:
    before, after = sentence("RMC", time="235959.000"), sentence("RMC", time="000000.000", date="010115")
    late, early = sentence("GGA", time="235959.900"), sentence("GGA", time="000000.100")
    log, told = read(early, before, late, after, late)
    at = [parse_time(text) for text in ("2015-01-01T00:00:00.1Z", "2014-12-31T23:59:59Z", "2014-12-31T23:59:59.9Z",
                                        "2015-01-01T00:00:00Z")]  # fmt: skip
    assert (log.fixes.time_us.tolist(), told) == (at, [])  # the same place twice in an instant is one fix


def test_a_log_that_is_cut_and_goes_on_another_day() -> None:
    next_day = sentence("RMC", time="233000.000", date="010115")
    log, _ = read(RMC, sentence("GGA", time="233000.000"), next_day)
    assert log.fixes.time_us.tolist() == [parse_time("2014-12-31T03:07:19Z"), parse_time("2015-01-01T23:30:00Z")]
    assert log.fixes.satellites.tolist() == [ABSENT, 8]


def test_gga_far_from_any_date_is_a_fault() -> None:
    log, told = read(RMC, sentence("GGA", time="050719.000"))
    assert (len(log.fixes), [(fault.line, fault.field, fault.code) for fault in told]) == (1, [(2, "date", "bad_time")])


def test_dates_from_zda_where_there_is_no_rmc() -> None:
    log, _ = read(GGA, "GPZDA,030719.000,31,12,2014,00,00")
    assert log.fixes.time_us.tolist() == [parse_time("2014-12-31T03:07:19Z")]


def test_a_log_without_a_date_says_so() -> None:
    with pytest.raises(InputError, match="no sentence gives a date.*RMC"):
        read(GGA)


def test_a_log_without_places_says_what_it_has() -> None:
    with pytest.raises(InputError, match=r"no RMC and no GGA sentence \(it has: 2 GPGSV, 1 AIS"):
        read("GPGSV,1,1,00,,,", "GPGSV,1,1,00,,,", "!AIVDM,1,1,,A,13aEOK?P00PD2wVMdLDRhgvL289?,0*26")


def test_leap_second() -> None:
    log, _ = read(sentence("RMC", time="235960.00", date="311216"))
    assert log.fixes.time_us.tolist() == [parse_time("2017-01-01T00:00:00Z")]


def test_what_stands_around_sentences_is_passed_over() -> None:
    log, told = read(
        "# Name: $GPRMC,not a sentence", "", f"2014-12-31 03:07:19.123 {framed(RMC)}", rf"\s:a,c:141*2A\{framed(GGA)}",
        "$PASHR,no checksum is asked of these", "$PMTK001,604,3*32", "!AIVDM,1,1,,A,13aEOK?P00PD2wVMdLDRhgvL289?,0*26",
        "GPTXT,01,01,02,hello",
    )  # fmt: skip
    assert (len(log.fixes), told) == (1, [])
    assert log.skipped == Counter(PASHR=1, PMTK001=1, AIS=1, GPTXT=1)


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "II", "IN"])
def test_any_talker(talker: str) -> None:
    assert len(read(sentence("RMC", name=f"{talker}RMC"))[0].fixes) == 1


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (framed(RMC)[:-1] + "0", "bad_checksum", "sentence"),
        (framed(RMC).replace("3747", "3748"), "bad_checksum", "sentence"),
        (framed("GPGSV,1,1,00")[:-2] + "00", "bad_checksum", "sentence"),
        (framed(RMC)[:40], "no_checksum", "sentence"),
        (framed(RMC)[:40] + framed(GGA), "no_checksum", "sentence"),
        ("lost its dollar: GPRMC,", "wrong_line", "sentence"),
        (framed(sentence("RMC", time="250719.000")), "bad_time", "time"),
        (framed(sentence("RMC", time="030760.000")), "bad_time", "time"),
        (framed(sentence("RMC", time="")), "missing", "time"),
        (framed(sentence("RMC", date="310214")), "bad_time", "date"),
        (framed(sentence("RMC", date="060180")), "bad_time", "date"),
        (framed(sentence("RMC", date="")), "missing", "date"),
        (framed(sentence("RMC", status="")), "missing", "status"),
        (framed(sentence("RMC", lat="3760.0000")), "bad_value", "lat"),
        (framed(sentence("RMC", lat="9100.0000")), "out_of_range", "lat"),
        (framed(sentence("RMC", lat="-747.0873")), "bad_value", "lat"),
        (framed(sentence("RMC", lat="")), "bad_value", "lat"),
        (framed(sentence("RMC", lat="", ns="")), "missing", "lat"),
        (framed(sentence("RMC", ns="E")), "bad_value", "lat"),
        (framed(sentence("RMC", lon="1518.8938")), "bad_value", "lon"),
        (framed(sentence("RMC", lon="18000.0001")), "out_of_range", "lon"),
        (framed(sentence("RMC", speed="fast")), "bad_value", "speed"),
        (framed(sentence("RMC", speed="-1")), "out_of_range", "speed_mps"),
        (framed(sentence("RMC", course="nan")), "bad_value", "course"),
        (framed(sentence("RMC", course="361")), "out_of_range", "course_deg"),
        (framed(sentence("GGA", quality="x")), "bad_value", "quality"),
        (framed(sentence("GGA", hdop="1e1")), "bad_value", "hdop"),
        (framed(sentence("GGA", unit="F")), "bad_value", "altitude"),
        (framed(sentence("GGA", satellites="7.5", time="030720.000")), "out_of_range", "satellites"),
    ],
)
def test_each_fault_names_its_line_field_and_value(line: str, code: str, field: str) -> None:
    log, told = read("# a comment", line, sentence("RMC", time="030721.000"))
    assert [(fault.line, fault.code, fault.field) for fault in told] == [(2, code, field)]
    assert told[0].expected
    assert parse_time("2014-12-31T03:07:21Z") in log.fixes.time_us.tolist()


def test_without_a_taker_the_first_fault_is_raised(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(log_of(RMC, framed(RMC)[:-2] + "00", "nonsense"))
    with pytest.raises(InputError, match=r"a\.log, line 2: sentence is '.GPRMC.*wrong checksum.*1 more fault"):
        read_trail(tmp_path / "a.log")


@pytest.mark.parametrize(
    "before", [b"", b"\xef\xbb\xbf", b"\r\n\n", b"\xb5\x62\x01\x07binary\x00", b"# comment\n", b"1417,"]
)
def test_told_by_its_content(tmp_path: Path, before: bytes) -> None:
    data = before + log_of(RMC, GGA)
    (tmp_path / "walk.log").write_bytes(data)
    (tmp_path / "walk.log.gz").write_bytes(gzip.compress(data))
    for name in ("walk.log", "walk.log.gz"):
        fixes = read_trail(tmp_path / name)
        assert (len(fixes), fixes.devices) == (1, ("walk",))


def test_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log_of(RMC))))
    assert read_trail("-").devices == ("standard input",)


def test_a_csv_that_holds_sentences_stays_a_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'device,time,lat,lon,note\nx,2026-03-29T01:30:00Z,1,2,"{framed(RMC)}"\n')
    assert read_trail(tmp_path / "a.csv").devices == ("x",)


REAL = {
    "bu353s4": (25, 25, 0), "bundg_zeus_9": (149, 138, 0), "ch-4701": (28, 27, 0), "haicom-305N": (68, 68, 0),
    "mt3339": (30, 30, 0), "rst39": (41, 40, 0), "rx210": (40, 40, 0), "sirfstarv-nmea": (59, 59, 0),
    "skytraq-dgps": (96, 96, 0), "telit-he910": (187, 187, 0), "ublox-8": (72, 72, 1), "ublox-zed-f9p-nmea": (29, 29, 0),
}  # fmt: skip
"""By log: fixes, those with an HDOP, faults (ublox-8 ends within a sentence)."""


def plain_degrees(text: str, hemisphere: str) -> int:
    """Oracle: ddmm.mmmm by decimal arithmetic."""
    at = text.index(".") - 2
    value = (Decimal(text[:at]) + Decimal(text[at:]) / 60) * 10**7
    return int(value.to_integral_value(ROUND_HALF_EVEN)) * (-1 if hemisphere in "SW" else 1)


def plain_fixes(path: Path) -> dict[datetime, tuple[int, int]]:
    """Oracle: valid RMC by their time, read line by line."""
    found = {}
    for line in path.read_bytes().decode("latin-1").splitlines():
        fields = line[line.find("$") :].split("*")[0].split(",")
        if fields[0][3:] == "RMC" and fields[2:3] == ["A"] and "*" in line:
            at = datetime.strptime(fields[9] + fields[1][:6], "%d%m%y%H%M%S").replace(tzinfo=UTC)
            at += timedelta(seconds=float("0." + (fields[1][7:] or "0")))
            found[at] = (plain_degrees(fields[3], fields[4]), plain_degrees(fields[5], fields[6]))
    return found


def test_real_logs(shared_data: Path) -> None:
    results = {}
    for path in sorted((shared_data / "static_gnss/gpsd").glob("*.log")):
        told: list[Fault] = []
        fixes = read_trail(path, on_fault=told.append)
        results[path.stem] = (len(fixes), int(np.count_nonzero(fixes.hdop_c != ABSENT)), len(told))
        places = zip(fixes.time_us.tolist(), fixes.lat_e7.tolist(), fixes.lon_e7.tolist(), strict=True)
        read_at = {datetime.fromtimestamp(us / 1e6, UTC): (lat, lon) for us, lat, lon in places}
        plain = plain_fixes(path)
        assert plain
        assert {at: place for at, place in read_at.items() if at in plain} == plain
    assert results == REAL


def test_real_logs_read_alike_by_pynmeagps(shared_data: Path) -> None:
    pynmeagps = pytest.importorskip("pynmeagps")
    for path in sorted((shared_data / "static_gnss/gpsd").glob("*.log")):
        fixes = read_trail(path, on_fault=lambda fault: None)
        by_time = dict(zip(fixes.time_us.tolist(), range(len(fixes)), strict=True))
        n_seen = 0
        for line in path.read_bytes().split(b"\n"):
            if line[3:6] != b"RMC" or b"*" not in line:
                continue
            message = pynmeagps.NMEAReader.parse(line.strip())
            if message.status != "A":
                continue
            at = datetime.combine(message.date, message.time, UTC)
            k = by_time[round(at.timestamp() * 1e6)]
            n_seen += 1
            exact = [Decimal(str(value)) * 10**7 for value in (message.lat, message.lon)]
            place = [int(value.to_integral_value(ROUND_HALF_EVEN)) for value in exact]
            assert place == [fixes.lat_e7[k], fixes.lon_e7[k]]
            assert abs(message.spd * 0.514444 * 100 - fixes.speed_cms[k]) <= 0.51
        assert n_seen


def written(time_us: int, lat_e7: int, lon_e7: int, values: tuple[int, int, int, int]) -> list[str]:
    """One fix as RMC and GGA, exactly: 1e-7 degree is 6e-6 of a minute."""
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
    clock = at.strftime("%H%M%S.%f")

    def angle(e7: int, width: int, hemispheres: str) -> str:
        degrees, rest = divmod(abs(e7), 10_000_000)
        minutes, part = divmod(rest * 60, 10_000_000)
        return f"{degrees:0{width}d}{minutes:02d}.{part:07d},{hemispheres[e7 < 0]}"

    place = f"{angle(lat_e7, 2, 'NS')},{angle(lon_e7, 3, 'EW')}"
    course, hdop, satellites, altitude = values
    return [
        f"GNRMC,{clock},A,{place},,{course / 100},{at:%d%m%y},,,A",
        f"GNGGA,{clock},{place},1,{satellites:02d},{hdop / 100},{altitude / 100},M,,M,,",
    ]


FIX = st.tuples(
    st.integers(EARLIEST_US, EARLIEST_US + 79 * 365 * DAY_US), st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    st.tuples(st.integers(0, 36000), st.integers(0, 9999), st.integers(0, 40), st.integers(-50_000, 900_000)),
)  # fmt: skip


@given(st.lists(FIX, min_size=1, max_size=6, unique_by=lambda fix: fix[0]))
def test_what_is_written_is_read_again(fixes: list) -> None:
    log, told = read(*(text for fix in fixes for text in written(*fix)))
    got = log.fixes
    assert not told
    assert got.time_us.tolist() == [fix[0] for fix in fixes]
    assert list(zip(got.lat_e7.tolist(), got.lon_e7.tolist(), strict=True)) == [fix[1:3] for fix in fixes]
    columns = (got.course_cdeg, got.hdop_c, got.satellites, got.altitude_cm)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [fix[3] for fix in fixes]


@given(st.integers(0, 89), st.integers(0, 59), st.text("0123456789", max_size=9), st.sampled_from("NS"))
def test_degrees_are_the_decimal_ones(degrees: int, minutes: int, part: str, hemisphere: str) -> None:
    text = f"{degrees:02d}{minutes:02d}.{part}"
    log, _ = read(sentence("RMC", lat=text, ns=hemisphere))
    assert log.fixes.lat_e7.tolist() == [plain_degrees(text, hemisphere)]


@given(st.decimals(0, 2000, places=3, allow_nan=False))
def test_speed_is_the_decimal_one(knots: Decimal) -> None:
    log, _ = read(sentence("RMC", speed=str(knots)))
    exact = (knots * 185200 / 3600).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert log.fixes.speed_cms.tolist() == [int(exact)]


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_head(tail: bytes) -> None:
    told: list[Fault] = []
    log = read_log(log_of(RMC) + tail, Faults("x", told.append), "tag")
    assert len(log.fixes) >= 1


@given(st.lists(st.sampled_from(["RMC", "GGA", "ZDA", "GSV"]).flatmap(
    lambda kind: st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$*,"), max_size=12)
                          | st.sampled_from(RMC.split(",") + GGA.split(",")), max_size=14).map(
        lambda fields: ",".join([f"GP{kind}", *fields]))), min_size=1, max_size=6))  # fmt: skip
def test_any_fields_with_a_right_checksum(texts: list[str]) -> None:
    told: list[Fault] = []
    try:
        log = read_log(log_of(*texts), Faults("x", told.append), "tag")
    except InputError:
        return
    assert np.all((log.fixes.time_us >= EARLIEST_US) & (log.fixes.time_us < LATEST_US))
    assert np.all(np.abs(log.fixes.lat_e7.astype(np.int64)) <= 900_000_000)
