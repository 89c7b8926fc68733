import pytest

from engine.errors import InputError
from ingest.backlog import Backlog, Sent
from ingest.broker_url import parse_url


def sent(top: int, n: int = 1) -> Sent:
    return Sent("tags/a/fixes", b"x", n, top, 1774747800_000000 + top * 1_000_000)


def filled(*tops: int) -> Backlog:
    backlog = Backlog()
    for top in tops:
        backlog.add("a", sent(top), [top])
    return backlog


def test_a_notice_covers_by_seq_or_by_time() -> None:
    backlog = filled(1, 2, 3, 4)
    assert backlog.cover("a", b'{"seq": 2}') == 2
    assert backlog.cover("a", b'{"until": "2026-03-29T01:30:03Z"}') == 1
    assert backlog.n_entries == 1
    assert backlog.devices() == ["a"]
    assert backlog.cover("b", b'{"seq": 9}') == 0


@pytest.mark.parametrize(
    "notice", [b"", b"[]", b'{"seq": "9"}', b'{"seq": true}', b'{"until": "x"}', b"\xff", b'{"seq": null}', b"{}"]
)
def test_what_is_no_notice_covers_nothing(notice: bytes) -> None:
    assert filled(1, 2).cover("a", notice) == 0


def test_what_is_not_covered_is_sent_again_later_and_later() -> None:
    backlog = filled(1)
    assert [len(list(backlog.overdue(now, 60.0))) for now in (0.0, 59.0, 60.0, 61.0, 179.0, 180.0, 300.0)] == [
        0,
        0,
        1,
        0,
        0,
        1,
        0,
    ]


def test_a_message_waits_for_its_predecessors() -> None:
    backlog = filled(2, 3)  # 1 comes late: no notice can cover 2 and 3 before
    assert list(backlog.overdue(0.0, 60.0)) == []
    assert list(backlog.overdue(100.0, 60.0)) == []
    backlog.add("a", sent(1), [1])
    assert list(backlog.overdue(101.0, 60.0)) == []
    assert len(list(backlog.overdue(161.0, 60.0))) == 3


def test_nothing_is_sent_again_while_notices_come() -> None:
    backlog = filled(1, 2, 3)
    assert list(backlog.overdue(0.0, 60.0)) == []
    backlog.cover("a", b'{"seq": 1}')
    assert list(backlog.overdue(61.0, 60.0)) == []
    assert len(list(backlog.overdue(121.0, 60.0))) == 2


def test_addresses() -> None:
    assert parse_url("mqtt://host") == ("host", 1883, "", "", False)
    assert parse_url("mqtts://u:p%40ss@[::1]:99/") == ("::1", 99, "u", "p@ss", True)


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "mqtt://", "mqtt://u:secret@host:x", "mqtt://u:secret@host:99999", "mqtt://h/t"]
)
def test_wrong_addresses_are_refused_without_the_password(url: str) -> None:
    with pytest.raises(InputError, match="broker") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)
