"""Handling: what people, time and the ledger do to an alert; the queue, floods, outages and the alarm figures."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alarm_figures import Raised, figures
from alerts.alert import GRADE_ORDER, Alert
from alerts.floods import Flood, Thresholds, find_floods, group
from alerts.handling import SYSTEM, Action, Handling, HandlingError, Limits, apply, fold, unhandled
from alerts.handling_checks import About, check
from alerts.handling_events import by_joining, by_ledger, by_time, due, notice, worse
from alerts.ledger import Version
from alerts.queue import Row, is_stale, queue, section_of, to_dict
from engine.errors import InputError
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tagwatch.settings import Handling as HandlingPart
from tagwatch.settings import Settings

NOW_US = 1_800_000_000 * SECOND_US
LIMITS = Limits()
ABOUT = About("zone.exclusion", "active")
SHELF = {"role": "senior operator", "reason": "works there", "until_us": NOW_US + HOUR_US}


def action(kind: str, at_us: int = NOW_US, **told: object) -> Action:
    return Action(**{"kind": kind, "actor": "ann", "role": "operator", "at_us": at_us, **told})  # type: ignore[arg-type]


def after(*actions: Action) -> Handling:
    return fold(NOW_US, actions)


def alert(grade: str = "high", condition: str = "active", rule: str = "zone.inclusion") -> Alert:
    began = "2027-01-15T08:00:00.000Z"
    ended = None if condition == "active" else "2027-01-15T09:00:00.000Z"
    return Alert("W1", "T1", rule, "Z1", grade, condition, began, None, ended, 0.97, 3.0, 0, [], {})


def version(content: Alert, reason: str = "amended", retracted: bool = False) -> Version:
    return Version("a1", 2, reason, content, NOW_US, 0.0, retracted)


# What people do


def test_an_alert_goes_from_new_to_closed_and_remembers_who() -> None:
    acknowledged = after(action("acknowledge"))
    assert (acknowledged.state, acknowledged.by, acknowledged.waiting_since_us) == ("acknowledged", "ann", None)
    closed = apply(acknowledged, action("close", NOW_US + 5, actor="ben", outcome="breach"))
    assert (closed.state, closed.by, closed.outcome, closed.since_us, closed.version) == (
        "closed",
        "ben",
        "breach",
        NOW_US + 5,
        2,
    )


def test_notes_contacts_and_assignments_change_no_state() -> None:
    waiting = after(
        action("note", note="called"), action("contact", whom="wearer", channel="phone", said="on the bus"), action("assign", whom="ben")
    )  # fmt: skip
    assert (waiting.state, waiting.assigned, waiting.version) == ("new", "ben", 3)
    assert (waiting.since_us, waiting.waiting_since_us) == (NOW_US, NOW_US)


def test_to_escalate_keeps_the_time_waited() -> None:
    escalated = after(action("escalate", NOW_US + 7, whom="administrator"))
    assert (escalated.state, escalated.since_us, escalated.waiting_since_us) == ("escalated", NOW_US + 7, NOW_US)
    from_hand = after(action("acknowledge"), action("escalate", NOW_US + 9, whom="administrator"))
    assert from_hand.waiting_since_us == NOW_US + 9


REFUSED = [
    ([], action("close"), ABOUT, "without outcome"),
    ([], action("close", outcome="whatever"), ABOUT, "expected one of breach"),
    ([], action("close", outcome="breach"), About("tag.strap", "active"), "without note"),
    ([], action("close", outcome="breach", note="  "), About("tag.strap", "active"), "without note"),
    ([], action("note"), ABOUT, "without note"),
    ([], action("assign", whom=" "), ABOUT, "without whom"),
    ([], action("contact", whom="wearer", channel="phone"), ABOUT, "without said"),
    ([], action("contact", said="no answer", channel="phone"), ABOUT, "without whom"),
    (
        [],
        action("shelve", **{**SHELF, "role": "operator"}),
        ABOUT,
        "may not shelve: expected senior operator or administrator",
    ),
    ([], action("shelve", **{**SHELF, "reason": ""}), ABOUT, "without reason"),
    ([], action("shelve", **{**SHELF, "until_us": None}), ABOUT, "without until"),
    ([], action("shelve", **{**SHELF, "until_us": NOW_US}), ABOUT, "not after now"),
    ([], action("shelve", **{**SHELF, "until_us": NOW_US + 8 * HOUR_US + 1}), ABOUT, "at most 480"),
    ([], action("shelve", **SHELF), About("tag.strap", "active"), "never shelved"),
    ([], action("acknowledge", role="auditor"), ABOUT, "may not acknowledge"),
    ([], action("acknowledge", role="offender manager"), ABOUT, "may not acknowledge"),
    ([], action("acknowledge", actor=" "), ABOUT, "needs an actor"),
    ([], action("acknowledge", actor=SYSTEM), ABOUT, "a person is not 'tagwatch'"),
    ([], action("acknowledge"), About("zone.exclusion", "retracted"), "was retracted"),
    ([], action("note", note="a\0b"), ABOUT, "without NUL"),
    ([], action("note", note="x" * 4001), ABOUT, "at most 4000"),
    ([], action("change", reason="x"), ABOUT, "nothing that people do"),
    ([], action("unshelve", reason="x"), ABOUT, "cannot unshelve: it is new"),
    ([], action("reopen", reason="x"), ABOUT, "cannot reopen: it is new"),
    (
        [action("acknowledge")],
        action("acknowledge", actor="ben"),
        ABOUT,
        "it is acknowledged since 2027-01-15T08:00:00.000Z by ann",
    ),
    ([action("shelve", **SHELF)], action("acknowledge"), ABOUT, "it is shelved since"),
    *(
        ([action("close", outcome="breach")], action(kind, whom="x", reason="x", outcome="breach"), ABOUT, "it is closed")
        for kind in ("acknowledge", "assign", "escalate", "unshelve", "close")
    ),
]


@pytest.mark.parametrize(("before", "wanted", "about", "words"), REFUSED)
def test_what_may_not_be_done_is_refused_in_clear_words(
    before: list[Action], wanted: Action, about: About, words: str
) -> None:
    with pytest.raises(HandlingError) as fault:
        check(after(*before), wanted, about, LIMITS)
    assert words in str(fault.value)


def test_what_may_be_done() -> None:
    retracted = About("zone.exclusion", "retracted")
    for before, wanted, about in (
        ([], action("shelve", **{**SHELF, "until_us": NOW_US + 8 * HOUR_US}), ABOUT),
        ([], action("close", outcome="breach"), ABOUT),
        ([], action("close", outcome="equipment", note="strap seen whole"), About("tag.strap", "active")),
        ([], action("note", note="for the file"), retracted),
        ([], action("contact", role="offender manager", whom="wearer", channel="visit", said="at home"), ABOUT),
        ([action("close", outcome="breach")], action("reopen", reason="wrong alert"), ABOUT),
        ([action("close", outcome="breach")], action("note", note="late word"), ABOUT),
        ([action("shelve", **SHELF)], action("close", outcome="authorised"), ABOUT),
        ([action("escalate", whom="administrator")], action("acknowledge"), ABOUT),
    ):
        check(after(*before), wanted, about, LIMITS)


# What time does


def test_an_unacknowledged_alert_climbs_the_ladder_and_stops_at_its_end() -> None:
    handling, told = unhandled(NOW_US), []
    for minute in range(61):
        found = by_time(handling, "critical", LIMITS, NOW_US + minute * MINUTE_US)
        if found:
            handling = apply(handling, found)
            told.append((minute, found.kind, found.whom, found.actor))
    assert told == [(5, "escalate", "senior operator", SYSTEM), (10, "escalate", "administrator", SYSTEM)]
    assert (handling.state, handling.waiting_since_us) == ("escalated", NOW_US)


@pytest.mark.parametrize(("grade", "minutes"), [("critical", 5), ("high", 15), ("medium", None), ("low", None)])
def test_how_soon_it_escalates_is_by_grade(grade: str, minutes: int | None) -> None:
    assert due(unhandled(NOW_US), grade, LIMITS) == (minutes and (NOW_US + minutes * MINUTE_US, "escalate"))
    held = unhandled(NOW_US)
    if minutes:
        assert by_time(held, grade, LIMITS, NOW_US + minutes * MINUTE_US - 1) is None


def test_an_acknowledged_one_without_an_outcome_comes_back_and_climbs_anew() -> None:
    held = after(action("acknowledge"), action("note", NOW_US + HOUR_US, note="still looking"))
    assert due(held, "low", LIMITS) == (NOW_US + 2 * HOUR_US, "return")
    back = by_time(held, "low", LIMITS, NOW_US + 2 * HOUR_US)
    assert back is not None
    assert back.reason == "acknowledged by ann, no outcome for 120 min"
    again = apply(held, back)
    assert (again.state, again.waiting_since_us) == ("new", NOW_US + 2 * HOUR_US)
    assert due(again, "critical", LIMITS) == (NOW_US + 2 * HOUR_US + 5 * MINUTE_US, "escalate")


def test_a_shelf_ends_by_itself() -> None:
    held = after(action("shelve", **SHELF))
    assert by_time(held, "critical", LIMITS, NOW_US + HOUR_US - 1) is None
    back = by_time(held, "critical", LIMITS, NOW_US + HOUR_US)
    assert back is not None
    assert apply(held, back) == msgspec.structs.replace(
        unhandled(NOW_US + HOUR_US), version=2, by="ann", why="the shelf ended (by ann: works there)"
    )


def test_closed_is_left_alone_by_time() -> None:
    assert due(after(action("close", outcome="breach")), "critical", LIMITS) is None


# What the ledger does


def test_only_a_higher_grade_and_a_condition_that_is_back_are_worse() -> None:
    for before in GRADE_ORDER:
        for now in GRADE_ORDER:
            assert bool(worse(alert(before), alert(now))) == (GRADE_ORDER.index(now) > GRADE_ORDER.index(before))
    assert worse(alert(condition="cleared"), alert()) == "active again"
    assert worse(alert(), alert(condition="cleared")) == ""
    once, twice = (msgspec.structs.replace(alert(rule="tag.strap"), why={"n_events": n}) for n in (1, 2))
    assert (worse(once, twice), worse(twice, once)) == ("tampered with again", "")
    assert worse(alert("high", "cleared"), alert("critical")) == "grade high to critical, active again"


@pytest.mark.parametrize(
    "done", [action("acknowledge"), action("shelve", **SHELF), action("close", outcome="breach")], ids=lambda a: a.kind
)
def test_what_became_worse_comes_back_and_what_did_not_stays_in_hand(done: Action) -> None:
    held = after(done)
    assert by_ledger(held, alert(), version(alert(condition="cleared")), NOW_US) is None
    change = by_ledger(held, alert(), version(alert("critical")), NOW_US + 9)
    assert change is not None
    back = apply(held, change)
    assert (back.state, back.waiting_since_us, back.by) == ("new", NOW_US + 9, "ann")
    assert back.why == f"changed since {held.state}: grade high to critical"
    assert (back.until_us, back.outcome) == (None, "")


def test_what_waits_already_goes_on_waiting() -> None:
    for held in (unhandled(NOW_US), after(action("escalate", whom="administrator"))):
        assert by_ledger(held, alert(), version(alert("critical")), NOW_US) is None


def test_a_retraction_is_told_to_whoever_had_the_alert() -> None:
    gone = version(alert(), "retracted: the data received since then do not bear it out", True)
    assert by_ledger(unhandled(NOW_US), alert(), gone, NOW_US) is None
    held = after(action("acknowledge"))
    found = by_ledger(held, alert(), gone, NOW_US)
    assert found is not None
    assert apply(held, found) == msgspec.structs.replace(held, version=2)
    told = notice(held, found)
    assert told is not None
    assert (told.kind, told.person, told.text) == ("retracted", "ann", gone.reason)
    joined = by_ledger(held, alert(), version(alert(), "joined into b2", True), NOW_US)
    assert joined is not None
    assert joined.reason == "retracted: joined into b2"


def test_the_joined_alert_asks_of_people_what_either_asked() -> None:
    acknowledged, waiting = after(action("acknowledge", NOW_US + 3)), unhandled(NOW_US + 5)
    taken = by_joining(acknowledged, waiting, "b2", NOW_US + 9)
    assert taken is not None
    both = apply(acknowledged, taken)
    assert (both.state, both.since_us, both.waiting_since_us, both.version) == ("new", NOW_US + 5, NOW_US + 5, 2)
    assert both.why == "took over b2 (new)"
    assert by_joining(waiting, unhandled(NOW_US + 6), "b2", NOW_US + 9) is None
    other = after(action("assign", NOW_US + 1, whom="cy"), action("close", NOW_US + 2, outcome="breach"))
    kept = by_joining(waiting, other, "b2", NOW_US + 9)
    assert kept is not None
    assert (apply(waiting, kept).state, apply(waiting, kept).assigned) == ("new", "cy")
    earlier = by_joining(
        after(action("shelve", **SHELF)), after(action("shelve", **{**SHELF, "until_us": NOW_US + 9})), "b2", NOW_US
    )
    assert earlier is not None
    assert apply(after(action("shelve", **SHELF)), earlier).until_us == NOW_US + 9


def test_who_is_told() -> None:
    new = unhandled(NOW_US)
    assert notice(new, action("note", note="x")) is None
    assert notice(new, action("unshelve", reason="x")) is None
    to_role = notice(new, action("escalate", whom="administrator", reason="no answer"))
    assert to_role is not None
    assert to_role == ("escalated", "administrator", "", "no answer")
    assert notice(new, action("assign", whom="cy")) == ("assigned", "operator", "cy", "")
    held = after(action("acknowledge"), action("assign", whom="cy"))
    assert notice(held, action("return", actor=SYSTEM, reason="late")) == ("returned", "operator", "cy", "late")


# The queue


def row(name: str, grade: str = "high", handling: Handling | None = None, **told: object) -> Row:
    given = {"version": 1, "wearer": name, "rule": "zone.inclusion", "subject": "Z1", "condition": "active",
             "began_us": NOW_US, "raised_us": NOW_US, **told}  # fmt: skip
    held = handling or unhandled(given["raised_us"])  # type: ignore[arg-type]
    return Row(id=name, grade=grade, handling=held, **given)  # type: ignore[arg-type]


def shown(rows: list[Row], thresholds: Thresholds | None = None, now_us: int = NOW_US) -> list[str]:
    lines = queue(rows, [r.raised_us for r in rows], thresholds or Thresholds(), now_us)
    return [line.head.kind if line.head else line.rows[0].id for line in lines]


def test_the_order_is_section_grade_and_time_waited() -> None:
    rows = [
        row("late", "medium", raised_us=NOW_US - 5),
        row("early", "medium", raised_us=NOW_US - 9, condition="cleared"),
        row("worst", "critical", raised_us=NOW_US - 1),
        row("held", "critical", after(action("acknowledge"))),
        row("shelf", "critical", after(action("shelve", **SHELF))),
        row("done", "critical", after(action("close", outcome="breach")), condition="cleared"),
        row("goes on", "low", after(action("close", outcome="breach"))),
        row("strap", "critical", after(action("close", outcome="breach")), rule="tag.strap"),
        row("gone", "critical", condition="retracted"),
    ]
    assert shown(rows) == ["worst", "early", "late", "held", "shelf", "goes on"]
    assert [section_of(r) for r in rows] == [*["waiting"] * 3, "in_hand", "shelved", None, "closed_active", None, None]


def test_an_escalation_does_not_lose_its_place() -> None:
    escalated = apply(unhandled(NOW_US - 99), action("escalate", NOW_US, whom="administrator"))
    assert shown([row("b", raised_us=NOW_US - 50), row("a", handling=escalated)]) == ["a", "b"]


def test_stale_is_active_for_more_than_a_day() -> None:
    old = row("old", raised_us=NOW_US - DAY_US - 1)
    assert is_stale(old, NOW_US)
    assert not is_stale(old._replace(condition="cleared"), NOW_US)
    assert not is_stale(row("day", raised_us=NOW_US - DAY_US), NOW_US)
    assert to_dict(queue([old], [], Thresholds(), NOW_US)[0], NOW_US)["stale"] is True


def test_an_outage_is_one_line_that_shows_every_wearer() -> None:
    def silent(k: int, lat: float, lon: float, **told: object) -> Row:
        return row(f"s{k}", rule="tag.no_contact", began_us=NOW_US + k * MINUTE_US, place=(lat, lon), **told)

    near = [silent(k, 53.2 + k / 100, -0.5) for k in range(6)]
    far = [silent(k, 50.0 + k, 2.0) for k in range(6, 11)]
    alone = [silent(40, 53.2, -0.5), silent(41, 53.2, -0.5, grade="critical")._replace(began_us=NOW_US)]
    strap = [row("strap", rule="tag.strap", grade="critical")]
    lines = queue([*near, *far, *alone, *strap], [], Thresholds(), NOW_US + HOUR_US)
    heads = {line.head.kind: {r.id for r in line.rows} for line in lines if line.head}
    assert heads == {"mast": {r.id for r in near}, "gateway": {r.id for r in far}}
    told = to_dict(next(line for line in lines if line.head), NOW_US + HOUR_US)
    assert (told["n_alerts"], len(told["alerts"])) == (6, 6)
    assert "6 wearers lost contact within 5 min" in told["text"]
    assert sum(len(line.rows) for line in lines) == len([*near, *far, *alone, *strap])
    unanswered = [r._replace(handling=apply(r.handling, action("escalate", actor=SYSTEM, whom="x"))) for r in near]
    assert [line.head and line.head.kind for line in queue(unanswered, [], Thresholds(), NOW_US)] == ["mast"]
    noted = [r._replace(handling=apply(r.handling, action("note", note="x"))) for r in near]
    assert len(queue(noted, [], Thresholds(), NOW_US)) == 6
    apart = queue(near, [], Thresholds(), NOW_US, grouped=False)
    assert [line.rows for line in apart] == [(r,) for r in near]


RULES = ("zone.exclusion", "tag.strap", "tag.case", "zone.inclusion", "tag.battery_low", "tag.no_contact")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(RULES), st.sampled_from(GRADE_ORDER), st.integers(0, 40), st.integers(0, 9), st.integers(0, 3),
        st.sampled_from(["active", "cleared", "retracted"]),
    ),
    max_size=60,
)  # fmt: skip
STATES = (
    None, after(action("acknowledge")), after(action("close", outcome="breach")), after(action("escalate", whom="x")),
)  # fmt: skip


@given(ROWS)
def test_what_goes_into_the_queue_can_be_seen(given_rows: list[tuple[str, str, int, int, int, str]]) -> None:
    rows = [
        row(f"r{k}", grade, STATES[state], rule=rule, raised_us=NOW_US + at * MINUTE_US, began_us=NOW_US + at * MINUTE_US,
            wearer=f"W{wearer}", condition=condition, place=(53.0 + wearer % 3, 0.0))
        for k, (rule, grade, at, wearer, state, condition) in enumerate(given_rows)
    ]  # fmt: skip
    lines = queue(rows, [r.raised_us for r in rows], Thresholds(begin_over=6, end_under=3), NOW_US + HOUR_US)
    seen = [r.id for line in lines for r in line.rows]
    assert sorted(seen) == sorted(r.id for r in rows if section_of(r))
    for line in lines:
        if line.head:
            assert set(line.head.ids) == {r.id for r in line.rows}
            assert all(
                r.rule not in ("zone.exclusion", "tag.strap", "tag.case") and r.grade != "critical" for r in line.rows
            )
            assert all(r.untouched for r in line.rows)
        else:
            assert len(line.rows) == 1


@given(st.lists(st.integers(0, 240), max_size=80), st.integers(1, 2))
def test_floods_begin_over_ten_and_end_under_five(minutes: list[int], n_operators: int) -> None:
    """The oracle looks at every minute: with times on whole minutes nothing changes between them."""
    thresholds = Thresholds(n_operators, begin_over=6, end_under=3)
    found, began, last_end = [], None, 0
    for minute in range(300):
        window = sorted(m for m in minutes if minute - 10 < m <= minute)
        if began is None and len(window) > 6 * n_operators:
            began, peak = min(m for m in window if m >= last_end), 0
        if began is not None:
            peak = max(peak, len(window))
            if len(window) < 3 * n_operators:
                inside = [m for m in minutes if began <= m < minute]
                found.append((began, minute, len(inside), peak))
                began, last_end = None, minute
    ours = find_floods([m * MINUTE_US for m in minutes], thresholds, 300 * MINUTE_US)
    told = [(f.began_us // MINUTE_US, (f.ended_us or 0) // MINUTE_US, f.n_alerts, f.peak) for f in ours]
    assert [t[:2] for t in told] == [f[:2] for f in found]
    assert [t[3] for t in told] == [f[3] for f in found]
    assert sum(t[2] for t in told) <= len(minutes)


def test_a_flood_goes_under_heads_by_rule() -> None:
    rows = [
        row(f"r{k:02}", "low", rule="tag.battery_low" if k % 2 else "tag.fault", raised_us=NOW_US + k * SECOND_US)
        for k in range(14)
    ]
    rows.append(row("zone", "critical", rule="zone.exclusion", raised_us=NOW_US))
    rows.append(row("two", "low", rule="tag.clock", raised_us=NOW_US))
    floods = find_floods([r.raised_us for r in rows], Thresholds(), NOW_US + MINUTE_US)
    assert floods == [Flood(NOW_US, None, 16, 16)]
    heads = group(rows, floods, Thresholds())
    assert {h.text: len(h.ids) for h in heads} == {"7 tag.fault in a flood": 7, "7 tag.battery_low in a flood": 7}
    assert group(rows, [], Thresholds()) == []


# The figures


def test_the_figures_of_an_hour() -> None:
    """Twelve alerts in the first ten minutes, one in the fourth; counted by hand."""
    raised = [
        Raised(NOW_US + k * 30 * SECOND_US, "W1" if k < 9 else f"W{k}", "tag.battery_low", "T1", "low", False, None)
        for k in range(12)
    ]
    raised += [Raised(NOW_US + 35 * MINUTE_US, "W2", "zone.exclusion", "Z1", "critical", True, NOW_US + 36 * MINUTE_US)]
    standing = [row("old", raised_us=NOW_US - 2 * DAY_US), row("held", handling=after(action("shelve", **SHELF)))]
    found = figures(raised, standing, NOW_US, NOW_US + HOUR_US, NOW_US + HOUR_US, Thresholds())
    assert (found.n_alerts, found.n_retracted, found.n_intervals, found.n_intervals_over) == (13, 1, 6, 1)
    assert (found.average, found.peak, found.share_over) == (2.167, 12.0, 0.1667)
    assert [(f.n_alerts, f.peak) for f in found.floods] == [(12, 12)]
    assert found.floods[0].ended == "2027-01-15T08:13:30.000Z"  # when the eighth, of 08:03:30, left the window
    assert (found.standing, found.stale, found.shelved) == (2, 1, 1)
    assert (found.n_answered, found.answer_median_s, found.answer_p95_s) == (1, 60.0, 60.0)
    assert found.by_grade == {"critical": 1, "high": 0, "medium": 0, "low": 12}
    assert (found.most_frequent[0].wearer, found.most_frequent[0].n_alerts) == ("W1", 9)
    assert found.most_frequent_share == 1.0
    assert msgspec.json.decode(found.to_json())["from"] == "2027-01-15T08:00:00.000Z"
    shared = figures(raised, standing, NOW_US, NOW_US + HOUR_US, NOW_US, Thresholds(n_operators=2))
    assert (shared.average, shared.peak, shared.n_intervals_over, shared.floods) == (1.083, 6.0, 0, [])


def test_figures_of_nothing() -> None:
    found = figures([], [], NOW_US, NOW_US + 1, NOW_US, Thresholds())
    assert (found.n_alerts, found.average, found.answer_median_s, found.most_frequent_share) == (0, 0.0, None, 0.0)
    with pytest.raises(InputError, match="the period is empty"):
        figures([], [], NOW_US, NOW_US, NOW_US, Thresholds())


def test_the_settings_are_the_limits() -> None:
    assert Settings().handling_limits == LIMITS
    assert Settings().flood_thresholds == Thresholds()
    part = HandlingPart(escalate_critical_minutes=0, escalate_medium_minutes=0.5, operators=3)
    told = Settings(handling=part)
    assert told.handling_limits.escalate_after_us == {"medium": 30 * SECOND_US, "high": 15 * MINUTE_US}
    assert told.flood_thresholds.n_operators == 3
