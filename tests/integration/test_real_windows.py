"""Real burglaries with from-to windows, hours to months, laid over real trails that are moved to their city: what our rules
accept, and the verdicts of all that they do, a sample of them judged anew by the law in plain words.

No place has both trails and timed burglaries. A trail keeps its shape and its pace: it is moved in space by bearing and
distance about its city's middle, and in time as a whole.
"""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyproj import Geod

from crime_match.batch.matcher import Matcher
from crime_match.crimes.files import read_crimes
from crime_match.near import match_of
from crime_match.question import Parameters
from crime_match.reach import reach_of
from crime_match.verdicts import VERDICTS
from engine.activations import Activation
from engine.fixes import concat
from engine.times import DAY_US
from tagwatch.matching import match_crimes, presence_about, trails_of
from tests.integration.law_of_verdicts import verdict
from tests.integration.moved_trails import buses, laid, moved, phones, rows_of, tracks

WGS84 = Geod(ellps="WGS84")
HEADER = "force,reference,type,from,to,lat,lon\n"
PHONES = Activation("", "", -(2**62), percentile=0.68)
BLOCKS_US = {"Washington": 10 * DAY_US, "Atlanta": 60 * DAY_US}
"""The trails are laid anew over the crimes of each so many days: ten days of phones; drives, the same way every day."""
LONGEST_S = 31 * 86_400
N_JUDGED, N_LOOKED_AT, N_NEAREST = 30, 600, 20


@pytest.fixture(scope="module")
def washington(shared_data):
    rows = rows_of(shared_data / "crimes_windows" / "dc_burglaries_2016h1.csv")
    return [(str(k), row["start_utc"], row["end_utc"], row["lat"], row["lon"]) for k, row in enumerate(rows)]


@pytest.fixture(scope="module")
def atlanta(shared_data):
    """Wall times of Georgia, without a zone, as a force would write them."""
    rows = rows_of(shared_data / "crimes_windows" / "atlanta_burglaries_2021_2023.csv")

    def wall(text):
        return datetime.strptime(text, "%m/%d/%Y %H:%M").isoformat()  # noqa: DTZ007  the zone is given to the reader

    return [
        (
            row["IncidentNumber"],
            wall(row["OccurredFromDate"]),
            wall(row["OccurredToDate"]),
            row["Latitude"],
            row["Longitude"],
        )
        for row in rows
    ]


def read(tmp_path, rows, zone=None):
    path = tmp_path / "crimes.csv"
    path.write_text(HEADER + "".join(f"city,{ref},burglary,{a},{b},{lat},{lon}\n" for ref, a, b, lat, lon in rows))
    return read_crimes(path, zone=zone)


def seconds(row, zone=UTC):
    """The window's length by the clock on the wall of a person with a calendar; None where an end is missing."""
    ends = [text and datetime.fromisoformat(text.replace("Z", "+00:00")) for text in row[1:3]]
    if not all(ends):
        return None
    start, end = (end if end.tzinfo else end.replace(tzinfo=zone) for end in ends)
    return end.timestamp() - start.timestamp()


def test_what_our_rules_accept_of_washington(tmp_path, washington):
    """37 have no end and 7 last over 31 days; nothing else is wrong with the 1,025."""
    found = read(tmp_path, washington)
    assert (found.n_rows, len(found.crimes)) == (1025, 981)
    assert Counter(fault.code for fault in found.faults) == {
        "INVALID_TO_DATE_FORMAT": 37, "CRIME_DATE_TIME_EXCEEDS_WINDOW": 7,
    }  # fmt: skip
    refused = {fault.row - 1: fault.code for fault in found.faults}
    for k, row in enumerate(washington):
        length_s = seconds(row)
        expected = length_s is not None and 0 <= length_s <= LONGEST_S
        assert (k not in refused) is expected, row
    assert {crime.reference for crime in found.crimes} == {row[0] for k, row in enumerate(washington) if k not in refused}


def test_what_our_rules_accept_of_atlanta(tmp_path, atlanta):
    """11 of 516 last over 31 days, one of them a year by a wrong year; 70 windows are one instant; wall times need a zone."""
    zone = ZoneInfo("America/New_York")
    found = read(tmp_path, atlanta, zone)
    assert (found.n_rows, len(found.crimes)) == (516, 505)
    assert Counter(fault.code for fault in found.faults) == {"CRIME_DATE_TIME_EXCEEDS_WINDOW": 11}
    assert sum(crime.from_us == crime.to_us for crime in found.crimes) == 70
    lengths = {row[0]: seconds(row, zone) for row in atlanta}
    for crime in found.crimes:
        assert (crime.to_us - crime.from_us) / 1e6 == lengths[crime.reference]
    assert not read(tmp_path, atlanta).crimes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda a, b: (b, a), "CRIME_DATE_TIME_TO_AFTER_FROM"),
        (lambda a, b: ("1025" + a[4:], b), "INVALID_FROM_DATE_FORMAT"),
        (lambda a, b: ("2015" + a[4:], b), "CRIME_DATE_TIME_EXCEEDS_WINDOW"),
        (lambda a, b: ("2025" + a[4:], b), "CRIME_DATE_TIME_TO_AFTER_FROM"),
        (lambda a, b: (a, "1016" + b[4:]), "INVALID_TO_DATE_FORMAT"),
        (lambda a, b: ("", b), "INVALID_FROM_DATE_FORMAT"),
        (lambda a, b: (a[:5] + "02-30" + a[10:], b), "INVALID_FROM_DATE_FORMAT"),
    ],
)
def test_typing_errors_put_into_real_rows_are_refused_and_the_others_stay(tmp_path, washington, change, code):
    rows = [row for row in washington if (seconds(row) or 0) > 0][:60]
    wrong = set(range(0, 60, 7))
    typed = [
        (ref, *change(a, b), *place) if k in wrong else (ref, a, b, *place) for k, (ref, a, b, *place) in enumerate(rows)
    ]
    found = read(tmp_path, typed)
    assert {fault.row - 1 for fault in found.faults} == wrong
    assert {fault.code for fault in found.faults} == {code}
    plain = {crime.reference: crime for crime in read(tmp_path, rows).crimes}
    assert found.crimes == [plain[ref] for k, (ref, *_) in enumerate(rows) if k not in wrong]


def blocks(crimes, fixes, city):
    """For each block with crimes: trails laid there, and the crimes whose windows start in it."""
    middle = np.median([crime.lat for crime in crimes]), np.median([crime.lon for crime in crimes])
    here = concat(moved(some, *middle) for some in fixes)
    by_block = {}
    for crime in crimes:
        by_block.setdefault(crime.from_us // BLOCKS_US[city], []).append(crime)
    for block, mine in sorted(by_block.items()):
        yield (
            trails_of(laid(here, block * BLOCKS_US[city], BLOCKS_US[city], every_day=city == "Atlanta"), plan=PHONES),
            mine,
        )


@pytest.fixture(scope="module")
def answers(shared_data, washington, atlanta, tmp_path_factory):
    """All accepted crimes of each city over its trails: (trails, questions, verdicts of all pairs, counts) of each block."""
    folder = tmp_path_factory.mktemp("windows")
    cities = {
        "Washington": (read(folder, washington).crimes, [phones(shared_data)]),
        "Atlanta": (read(folder, atlanta, ZoneInfo("America/New_York")).crimes, [tracks(shared_data), buses(shared_data)]),
    }
    found = {}
    for city, (crimes, fixes) in cities.items():
        found[city] = []
        for trails, mine in blocks(crimes, fixes, city):
            questions = [Parameters().ask(crime) for crime in mine]
            answer = Matcher(trails).answer(questions)
            table = np.full((len(mine), len(trails)), VERDICTS.index("excluded"))
            table[answer.crime, answer.wearer] = answer.verdict
            found[city].append((trails, mine, questions, table, answer.counts()))
    return found


def test_moved_trails_keep_their_steps(shared_data):
    here = buses(shared_data)
    there = moved(here, 33.75, -84.4)

    def steps(fixes):
        lon, lat = fixes.lon_e7 / 1e7, fixes.lat_e7 / 1e7
        return WGS84.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]

    assert np.abs(steps(here) - steps(there)).max() < 0.1
    assert len(phones(shared_data)) == 49_866
    assert len(tracks(shared_data)) > 7_000


def test_all_accepted_crimes_are_matched_and_all_wearers_counted(answers):
    matched = {city: sum(len(mine) for _, mine, *_ in found) for city, found in answers.items()}
    assert matched == {"Washington": 981, "Atlanta": 505}
    everything = Counter()
    for found in answers.values():
        for trails, mine, _, table, counts in found:
            assert counts.shape == (len(mine), 4)
            assert (counts.sum(axis=1) == len(trails)).all()
            for k in range(4):
                assert ((table == k).sum(axis=1) == counts[:, k]).all()
                everything[VERDICTS[k]] += int(counts[:, k].sum())
    assert min(everything[name] for name in VERDICTS) > 50, everything


def test_both_plans_and_a_second_run_say_the_same(answers):
    for found in answers.values():
        for trails, _, questions, table, _ in found[:: max(1, len(found) // 6)]:
            for plan in ("index", "scan"):
                answer = Matcher(trails).answer(questions, plan)
                again = np.full_like(table, VERDICTS.index("excluded"))
                again[answer.crime, answer.wearer] = answer.verdict
                assert np.array_equal(again, table)


def test_records_of_a_block_are_the_same_bytes_and_agree_with_the_counts(answers):
    trails, mine, _, table, counts = answers["Washington"][3]
    short = [k for k, crime in enumerate(mine) if crime.to_us - crime.from_us < DAY_US // 2][:12]
    mine, table, counts = [mine[k] for k in short], table[short], counts[short]

    def records():
        return list(match_crimes(trails, mine, Parameters(), only=("placed", "possible")))

    first, second = records(), records()
    assert [[m.to_json() for m in one.matches] for one in first] == [[m.to_json() for m in one.matches] for one in second]
    for one, row, told in zip(first, table, counts, strict=True):
        assert list(one.counts.values()) == told.tolist()
        assert {m.wearer: m.verdict for m in one.matches} == {
            trails.wearers[w]: VERDICTS[v] for w, v in enumerate(row.tolist()) if VERDICTS[v] in ("placed", "possible")
        }


def pairs(answers, city, wanted):
    return [(block, *map(int, pair)) for block in answers[city] for pair in np.argwhere(block[3] == VERDICTS.index(wanted))]


def judge(sample, expected):
    """Hold these pairs against the law in plain words; few may hang on rounding or on many contradictions."""
    unsure = 0
    for (trails, _, questions, *_), c, w in sample:
        said = verdict(trails[w], questions[c])
        assert said in (None, expected), (questions[c], trails.wearers[w])
        assert match_of(questions[c], trails[w], presence_about).verdict == expected
        unsure += said is None
    assert 4 * unsure <= len(sample)


@pytest.mark.parametrize("city", ["Washington", "Atlanta"])
@pytest.mark.parametrize("expected", VERDICTS)
def test_a_sample_of_verdicts_is_what_the_law_says(answers, city, expected):
    everywhere = pairs(answers, city, expected)
    assert len(everywhere) > 20
    chosen = np.random.default_rng(5).choice(len(everywhere), min(N_JUDGED, len(everywhere)), replace=False)
    judge([everywhere[k] for k in chosen], expected)


@pytest.mark.parametrize("city", ["Washington", "Atlanta"])
@pytest.mark.parametrize("expected", ["possible", "excluded"])
def test_the_nearest_verdicts_are_what_the_law_says(answers, city, expected):
    """Of many pairs those whose lowest speed is nearest to the maximum, on their side of it."""
    everywhere = pairs(answers, city, expected)
    chosen = np.random.default_rng(6).choice(len(everywhere), min(N_LOOKED_AT, len(everywhere)), replace=False)
    speeds = {
        k: reach_of(everywhere[k][0][2][everywhere[k][1]], everywhere[k][0][0][everywhere[k][2]]).needed_mps for k in chosen
    }
    nearest = sorted(chosen, key=lambda k: abs(speeds[k] - Parameters().max_speed_mps))[:N_NEAREST]
    judge([everywhere[k] for k in nearest], expected)
