"""Hints of crime files: each where it should be, none where nothing is odd, and never a change of the data."""

from zoneinfo import ZoneInfo

import pytest

from crime_match.crimes.files import read_crimes

LONDON = ZoneInfo("Europe/London")
HEADER = "force,reference,type,from,to,lat,lon,uncertainty_m,text"


@pytest.fixture
def hints(tmp_path):
    def hints_of(*lines, zone=None):
        path = tmp_path / "crimes.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        file = read_crimes(path, zone=zone)
        return [(hint.row, hint.code, hint.field) for hint in file.hints]

    return hints_of


def moj(reference, from_, to, place=",,51.50741,-0.12775", text="", batch="MPS20250126"):
    return f"Metropolitan,BIAD,x,{batch},{reference},{from_},{to},{place},WGS84,{text}"


def own(reference, from_, to, place="53.23071,-0.53933,"):
    return f"F,{reference},b,{from_},{to},{place},"


SUMMER = "MPS20250702"


def test_a_plain_winter_batch_has_no_hint(hints):
    assert hints(*(moj(f"C{k}", "20250125083000", "20250125103000", text="broken at 08:30") for k in range(9))) == []


def test_windows_of_no_length_and_of_more_than_twelve_hours(hints):
    assert hints(moj("C1", "20250125083000", "20250125083000")) == [(1, "ZERO_LENGTH_WINDOW", "dateTo")]
    file = hints(HEADER, own(1, "2026-03-01T10:00Z", "2026-03-01T22:00Z"), own(2, "2026-03-01T10:00Z", "2026-03-01T22:01Z"))
    assert file == [(2, "WINDOW_OVER_12_HOURS", "to")]


# ---- an hour off


def test_summer_is_one_hint_for_the_whole_file(hints):
    rows = [moj(f"C{k}", "20250701083000", "20250701103000", batch=SUMMER) for k in range(4)]
    assert hints(*rows) == [(1, "SUMMER_TIME", "dateFrom")]
    mixed = [moj("C1", "20250329083000", "20250329103000", batch="MPS20250331"),
             moj("C2", "20250330083000", "20250330103000", batch="MPS20250331")]  # fmt: skip
    assert hints(*mixed) == [(2, "SUMMER_TIME", "dateFrom")]


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("20250702230000", None),  # midnight in London, as UTC
        ("20250702233000", "LOOKS_LIKE_LOCAL_TIME"),
        ("20250703000000", "LOOKS_LIKE_LOCAL_TIME"),  # midnight in London, as local time
        ("20250703000001", "ENDS_AFTER_BATCH_DATE"),
    ],
)
def test_a_window_that_ends_after_the_day_of_its_batch_in_summer(hints, to, code):
    found = hints(moj("C1", "20250702200000", to, batch=SUMMER))
    assert [hint for hint in found if hint[1] != "SUMMER_TIME"] == ([(1, code, "dateTo")] if code else [])


def test_in_winter_there_is_no_such_hour(hints):
    assert hints(moj("C1", "20250126200000", "20250127000000")) == []
    assert hints(moj("C1", "20250126200000", "20250127003000")) == [(1, "ENDS_AFTER_BATCH_DATE", "dateTo")]


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("Between 22:10 and 23:40 hours", True),
        ("Between 23:10 and 00:40", False),
        ("Left at 10:10pm", True),
        ("at 2210hrs", True),
        ("at 22:10 or 23:10", False),
        ("at 2210 High Street", False),
        ("nothing of the kind", False),
        ("phone 07700 92:10:22", False),
    ],
)
def test_the_text_tells_the_hour_as_it_stands_in_the_columns(hints, text, is_local):
    found = hints(moj("C1", "20250701221000", "20250701234000", text=text, batch=SUMMER))
    assert ((1, "LOOKS_LIKE_LOCAL_TIME", "dateFrom") in found) == is_local
    assert hints(moj("C1", "20250125221000", "20250125234000", text=text)) == []  # in winter both are one


def test_the_nights_on_which_the_clocks_change(hints):
    spring = hints(moj("C1", "20250330013000", "20250330033000", batch="MPS20250330"))
    assert (1, "DAYLIGHT_SAVING_CHANGE", "dateFrom") in spring
    autumn = hints(moj("C1", "20251026003000", "20251026013000", batch="MPS20251026"))
    assert (1, "DAYLIGHT_SAVING_CHANGE", "dateTo") in autumn
    for time in ("20250330005959", "20250330020000", "20250323013000"):
        assert "DAYLIGHT_SAVING_CHANGE" not in str(hints(moj("C1", time, time, batch="MPS20250330")))


def test_one_crime_twice_an_hour_apart(hints):
    rows = [
        moj("C1", "20250701083000", "20250701103000", batch=SUMMER),
        moj("C2", "20250701093000", "20250701113000", batch=SUMMER),
        moj("C3", "20250701103000", "20250701133000", batch=SUMMER),
        moj("C4", "20250701093000", "20250701113000", ",,51.50742,-0.12775", batch=SUMMER),
    ]
    assert [hint for hint in hints(*rows) if hint[1] == "AN_HOUR_APART"] == [(2, "AN_HOUR_APART", "dateFrom")]


def test_local_times_of_our_own_csv(hints):
    lines = [HEADER, own(1, "2026-10-25T01:30", "2026-10-25T02:00"), own(2, "2026-03-29T00:30", "2026-03-29T01:30:00.5")]
    assert hints(*lines, zone=LONDON) == [(1, "DAYLIGHT_SAVING_CHANGE", "from"), (2, "DAYLIGHT_SAVING_CHANGE", "to")]


@pytest.mark.parametrize(
    ("time", "place", "zone", "is_off"),
    [
        ("2026-01-15T10:00:00+01:00", "53.23071,-0.53933,", None, True),
        ("2026-07-15T10:00:00+01:00", "53.23071,-0.53933,", None, False),
        ("2026-07-15T10:00:00+02:00", "53.23071,-0.53933,", None, True),
        ("2026-07-15T10:00:00Z", "53.23071,-0.53933,", None, False),
        ("2026-07-15T10:00:00+00:00", "53.23071,-0.53933,", None, False),
        ("2026-01-15T10:00:00-04:00", "33.75,-84.39123,", None, False),
        ("2026-01-15T10:00:00-04:00", "33.75,-84.39123,", ZoneInfo("America/New_York"), True),
        ("1768471200", "53.23071,-0.53933,", None, False),
    ],
)
def test_an_offset_of_the_other_season(hints, time, place, zone, is_off):
    found = hints(
        HEADER, own(1, time, "2026-01-15T11:00:00Z" if time < "2026-03" else "2026-07-15T11:00:00Z", place), zone=zone
    )
    assert ((1, "OFFSET_OF_ANOTHER_SEASON", "from") in found) == is_off


# ---- day and month


@pytest.mark.parametrize(
    ("from_", "to", "field"),
    [
        ("20250301083000", "20250301103000", "dateFrom"),  # 3 January written as 1 March: after the batch
        ("20250103083000", "20250301103000", "dateTo"),
        ("20250301083000", "20250103103000", "dateFrom"),  # ends before it begins
        ("20252501083000", "20252501103000", "dateFrom"),  # no date at all
        ("20250401220000", "20250501060000", "dateFrom"),  # a night becomes a month
    ],
)
def test_day_and_month_exchanged(hints, from_, to, field):
    assert [hint for hint in hints(moj("C1", from_, to)) if hint[1] == "DAY_MONTH_SWAPPED"] == [
        (1, "DAY_MONTH_SWAPPED", field)
    ]


def test_day_and_month_as_they_should_be(hints):
    for from_, to in (
        ("20250125083000", "20250125103000"),
        ("20250101083000", "20250101103000"),
        ("20241230083000", "20241230103000"),
        ("20250106083000", "20250106103000"),  # the other reading, 1 June, is after the batch
    ):
        assert hints(moj("C1", from_, to)) == []


def test_long_before_the_batch_but_not_when_exchanged(hints):
    """10 March in a batch of 5 October: exchanged it is 3 October."""
    assert (1, "DAY_MONTH_SWAPPED", "dateFrom") in hints(moj("C1", "20250310083000", "20250310103000", batch="MPS20251005"))


def test_far_from_the_other_windows_of_the_file_but_not_when_exchanged(hints):
    lines = [HEADER, *(own(k, f"2026-03-{k:02d}T10:00Z", f"2026-03-{k:02d}T11:00Z") for k in range(1, 12))]
    swapped = own(99, "2026-11-03T10:00Z", "2026-11-03T11:00Z")
    assert hints(*lines) == []
    assert hints(*lines, swapped) == [(12, "DAY_MONTH_SWAPPED", "from")]
    assert hints(lines[0], lines[1], swapped) == []  # two windows are no file to compare with
    assert hints(*lines, own(99, "2026-11-13T10:00Z", "2026-11-13T11:00Z")) == []


# ---- places


def test_latitude_and_longitude_exchanged(hints):
    assert (1, "LAT_LON_SWAPPED", "latitude") in hints(moj("C1", "20250125083000", "20250125103000", ",,-0.12775,51.50741"))
    assert hints(HEADER, own(1, "2026-03-01T10:00Z", "2026-03-01T12:00Z", "-0.53933,53.23071,")) == [
        (1, "LAT_LON_SWAPPED", "lat")
    ]
    assert hints(HEADER, own(1, "2026-03-01T10:00Z", "2026-03-01T12:00Z", "-100.12345,40.12345,")) == [
        (1, "LAT_LON_SWAPPED", "lat")
    ]
    assert hints(HEADER, own(1, "2026-03-01T10:00Z", "2026-03-01T12:00Z", "-37.81234,144.96123,")) == []


def test_easting_and_northing_exchanged(hints):
    times = ("20250125083000", "20250125103000")
    assert (1, "GRID_SWAPPED", "easting") in hints(
        moj("C1", *times, "971401,597603,,")
    )  # no place of the format as written
    rows = [moj(f"C{k}", *times, f"4976{k:02d},3714{k:02d},,") for k in range(1, 9)]
    assert hints(*rows) == []
    assert hints(*rows, moj("C9", *times, "371401,497601,,")) == [(9, "GRID_SWAPPED", "easting")]
    assert hints(moj("C9", *times, "371401,497601,,")) == []  # alone nothing tells: both are in England


def test_a_place_far_from_the_others_is_not_by_itself_exchanged(hints):
    times = ("20250125083000", "20250125103000")
    rows = [moj(f"C{k}", *times, f"4976{k:02d},3714{k:02d},,") for k in range(1, 9)]
    assert hints(*rows, moj("C9", *times, "300001,100001,,")) == []


def test_a_rounded_place(hints):
    times = ("20250125083000", "20250125103000")
    assert hints(moj("C1", *times, "497600,371400,,")) == [(1, "COARSE_PLACE", "easting")]
    assert hints(moj("C1", *times, ",,51.5,-0.128")) == [(1, "COARSE_PLACE", "latitude")]
    assert hints(moj("C1", *times, ",,51.5000,-0.1280")) == []
    assert hints(HEADER, own(1, "2026-03-01T10:00Z", "2026-03-01T12:00Z", "53.23,-0.54,1000")) == []


# ---- references and headers


def test_references_that_differ_in_case_or_spaces_only(hints):
    times = ("20250125083000", "20250125103000")
    rows = [moj("CR 1/25", *times), moj("cr1/25", *times), moj("CR1/26", *times), moj("CR 1/25", *times)]
    assert hints(*rows) == [(2, "SIMILAR_REFERENCE", "crimeReference")]


def test_a_batch_with_a_header(hints):
    header = "Police Force,Crime Type,Description,Batch,Reference,Date From,Date To,E,N,Lat,Lon,Datum,Text"
    assert hints(header, moj("C1", "20250125083000", "20250125103000")) == [(1, "LOOKS_LIKE_HEADER", None)]


def test_hints_have_the_keys_of_faults(tmp_path):
    path = tmp_path / "crimes.csv"
    path.write_text(moj("C1", "20250125083000", "20250125083000"), encoding="utf-8")
    file = read_crimes(path)
    assert list(file.hints[0].record()) == ["row", "code", "field", "value", "message"]
    assert (len(file.crimes), file.faults) == (1, [])
