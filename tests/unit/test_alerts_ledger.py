"""The ledger's history laws by hand-made contents: raise, amend, clear, retract, join, split, and identifiers that stay."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from alerts.alert import Alert, from_json, to_json
from alerts.ledger import Ledger, Version


def minute(k: int | None) -> str | None:
    return None if k is None else f"2026-01-05T{12 + k // 60:02d}:{k % 60:02d}:00.000Z"


def alert(began: int, ended: int | None, rule: str = "zone.exclusion", **more: Any) -> Alert:
    values: dict[str, Any] = {
        "wearer": "w", "device": "tag", "rule": rule, "subject": "z", "grade": "critical",
        "condition": "active" if ended is None else "cleared", "began": minute(began), "began_after": None,
        "ended": minute(ended), "posterior": 0.97, "minutes": 1.0, "n_fixes": 2, "fixes": [],
        "why": {"decided_at": minute(began), "unknown_since": None},
    }  # fmt: skip
    return Alert(**(values | more))


def shifted(one: Alert) -> Alert:
    return msgspec.structs.replace(one, began=one.began.replace(".000Z", ".000123Z"))


def told(versions: list[Version]) -> list[tuple[str, int, str]]:
    return [(v.id[:4], v.version, v.reason) for v in versions]


def ids(ledger: Ledger) -> list[str]:
    return [entry.id for entry in ledger.entries()]


def test_raise_prolong_and_clear() -> None:
    ledger = Ledger()
    (raised,) = ledger.apply("w", [alert(10, None)], 1)
    assert (raised.version, raised.reason, raised.retracted) == (1, "raised", False)
    assert ledger.apply("w", [alert(10, None, n_fixes=9, minutes=8.0)], 2) == []
    assert ledger.content()[0].n_fixes == 9  # the content is the newest all the same
    (cleared,) = ledger.apply("w", [alert(10, 20)], 3)
    assert (cleared.id, cleared.version, cleared.reason) == (raised.id, 2, "cleared")
    (again,) = ledger.apply("w", [alert(10, None)], 4)
    assert (again.id, again.reason) == (raised.id, "active again")


def test_late_data_amend_under_the_same_identifier_and_say_what_changed() -> None:
    ledger = Ledger()
    (raised,) = ledger.apply("w", [alert(10, None)], 1)
    (amended,) = ledger.apply("w", [alert(7, None, posterior=0.99)], 2)
    assert (amended.id, amended.reason) == (raised.id, "amended: began, posterior")
    (unknown,) = ledger.apply("w", [alert(7, None, posterior=0.99, why={"unknown_since": minute(30)})], 3)
    assert (unknown.version, unknown.reason) == (3, "amended: unknown since")


def test_an_alert_that_late_data_do_not_bear_out_is_retracted() -> None:
    ledger = Ledger()
    (raised,) = ledger.apply("w", [alert(10, 20)], 1)
    (gone,) = ledger.apply("w", [], 2)
    assert (gone.id, gone.version, gone.retracted) == (raised.id, 2, True)
    assert gone.reason.startswith("retracted: ")
    assert ledger.content() == []
    (back,) = ledger.apply("w", [alert(10, 20)], 3)
    assert back.reason == "raised"
    assert back.id == f"{raised.id}-2"  # an identifier is never given twice


def test_joined_alerts_go_on_under_the_one_that_was_raised_first() -> None:
    ledger = Ledger()
    (later,) = ledger.apply("w", [alert(50, 60)], 1)
    (earlier,) = [v for v in ledger.apply("w", [alert(10, 20), alert(50, 60)], 2) if v.reason == "raised"]
    made = ledger.apply("w", [alert(10, 60)], 3)
    assert ids(ledger) == [later.id]  # raised first, although it lies later
    assert [(v.id, v.reason) for v in made] == [(earlier.id, f"joined into {later.id}"), (later.id, "amended: began")]
    assert made[0].retracted


def test_of_a_split_alert_the_earlier_part_keeps_the_identifier() -> None:
    ledger = Ledger()
    (whole,) = ledger.apply("w", [alert(10, 60)], 1)
    made = ledger.apply("w", [alert(10, 20), alert(55, 60)], 2)
    assert [(v.id == whole.id, v.reason) for v in made] == [(True, "amended: ended"), (False, "raised")]
    assert ids(ledger)[0] == whole.id


def test_an_alert_that_late_data_cut_goes_on_although_its_beginning_was_joined_to_another() -> None:
    """The breach that is going on keeps its identifier: nobody gets a second call for it."""
    ledger = Ledger()
    one, two = ledger.apply("w", [alert(10, 20), alert(40, None)], 1)
    new = [alert(10, 45), alert(55, None)]
    made = ledger.apply("w", new, 2)
    assert ids(ledger) == [one.id, two.id]
    assert ledger.content() == new
    assert [v.reason for v in made] == ["amended: ended", "amended: began"]


def test_the_absences_of_a_curfew_are_one_family_and_other_rules_are_not() -> None:
    ledger = Ledger()
    (raised,) = ledger.apply("w", [alert(10, None, "curfew.start")], 1)
    (amended,) = ledger.apply("w", [alert(10, 40, "curfew.late")], 2)
    assert (amended.id, amended.alert.rule) == (raised.id, "curfew.late")
    made = ledger.apply("w", [alert(10, 40, "curfew.unverified")], 3)
    assert {v.reason.partition(":")[0] for v in made} == {"retracted", "raised"}
    made = ledger.apply("w", [alert(10, 40, "curfew.unverified", subject="other")], 4)
    assert len({v.id for v in made}) == 2


def test_wearers_do_not_touch_each_other() -> None:
    ledger = Ledger()
    ledger.apply("w", [alert(10, None)], 1)
    (other,) = ledger.apply("v", [alert(10, None, wearer="v")], 2)
    assert other.id not in {entry.id for entry in ledger.entries("w")}
    assert ledger.apply("v", [], 3)[0].retracted
    assert [a.wearer for a in ledger.content()] == ["w"]


def test_a_restored_ledger_goes_on_where_it_stopped() -> None:
    ledger, restored = Ledger(), Ledger()
    ledger.apply("w", [alert(10, 20)], 1)
    ledger.apply("w", [], 2)
    ledger.apply("w", [alert(10, 20), alert(60, None)], 3)
    for entry in ledger.entries():
        restored.restore(entry)
    for one in (ledger, restored):
        made = one.apply("w", [alert(10, 20), alert(58, None)], 4)
        assert [v.version for v in made] == [2]
        assert one.apply("w", [alert(10, 20)], 5)[0].retracted
    assert told(ledger.apply("w", [], 6)) == told(restored.apply("w", [], 6))
    one, two = (x.apply("w", [alert(10, 20)], 7)[0].id for x in (ledger, restored))
    assert one == two
    assert one.endswith("-3")


def test_a_reserved_identifier_is_not_given_again() -> None:
    first, later = Ledger(), Ledger()
    (raised,) = first.apply("w", [alert(10, 20)], 1)
    later.reserve("w", raised.id, 2)
    assert later.apply("w", [alert(10, 20)], 1)[0].id == f"{raised.id}-2"


def test_lateness_counts_from_the_fix_that_decided() -> None:
    ledger = Ledger()
    (raised,) = ledger.apply("w", [alert(0, None)], 1_767_614_400_000_000 + 90_500_000)
    assert raised.late_s == 90.5


def test_times_are_in_order_also_below_a_millisecond() -> None:
    """`…00.000Z` is before `…00.000123Z` although its text sorts after it."""
    one, two = alert(0, None), shifted(alert(0, None, subject="a"))
    assert sorted([two, one], key=lambda a: a.sort_key) == [one, two]
    ledger = Ledger()
    ledger.apply("w", [alert(-60, 0)], 1)
    made = ledger.apply("w", [shifted(alert(0, None))], 2)
    assert len({v.id for v in made}) == 2  # they do not meet


def test_json_has_the_keys_of_the_contract_in_their_order() -> None:
    text = to_json(alert(0, None))
    assert list(json.loads(text)) == [
        "wearer", "device", "rule", "subject", "grade", "condition", "began", "began_after", "ended", "posterior", "minutes",
        "n_fixes", "fixes", "why",
    ]  # fmt: skip
    assert to_json(from_json(text)) == text
    assert b"\n" not in text
