"""Crimes in the console: found, shown with what changed, and imported after a look at what is in the file."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import socket
from collections.abc import Callable

import pytest

from crime_match.crimes.store import crimes
from engine.database import connect
from tagwatch.access import audit
from tagwatch.console.investigators.imports import MOST_BYTES
from tests.integration.console.conftest import Client, add_account
from tests.integration.console.investigators_scene import NASTY, settle

_SEARCHES = (
    "", "force=Essex", "words=SHED", "words=back+door", "from=02/03/2026", "to=2026-03-01", "state=new", "state=stale",
    "batch=KNT20260301", "batch=none", "page=99",
)  # fmt: skip
SignIn = Callable[[str], Client]
HEADER = "force,reference,type,from,to,lat,lon,uncertainty_m,text\n"
GOOD = (
    "Kent,N1,BIAD,2026-02-27T21:00:00Z,2026-02-27T23:30:00Z,51.27123,0.52345,50,<b>door</b>\n"
    "Kent,R2,Burglary,2026-03-01T08:30:00Z,2026-03-01T08:45:00Z,51.31123,0.52345,0,moved\n"
)
BAD = "Kent,N2,RB,2026-03-31T10:00:00Z,2026-03-02T10:30:00Z,151.2,0.53,-1,=cmd()\n"
FOREIGN = "Essex,N9,RB,2026-02-28T10:00:00Z,2026-02-28T10:30:00Z,51.73123,0.47345,50,\n"
MOJ = "Kent,BIAD,Burglary,KNT20260301,M1,20260227210000,20260227233000,576164,155711,,,OSGB,door\n"


@pytest.fixture(autouse=True)
def scene(url: str) -> None:
    """The crimes of Kent and Essex, and an investigator of each (`kent`, `essex`)."""
    with connect(url) as connection:
        settle(connection)
        add_account(connection, "kent", ["investigator"], "Kent")
        add_account(connection, "essex", ["investigator"], "Essex")


def send(client: Client, name: str, data: bytes | str, **fields: str) -> str:
    """Send a file to be looked at; the path of what was found."""
    raw = data.encode() if isinstance(data, str) else data
    answer = client.post("/crimes/import", fields, files={"file": (name, raw)})
    assert answer.status_code == 303, re.findall(r'href="#\w+">([^<]+)', answer.text)
    return str(answer.headers["location"])


def plain(text: str) -> str:
    """A page's text without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_crimes_are_found_by_words_force_day_and_state(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    found = {
        query: sorted(
            re.findall(r'href="/crimes/one\?force=(\w+)&amp;reference=(\w+)"', client.get(f"/crimes?{query}").text)
        )
        for query in _SEARCHES
    }
    every = [("Essex", "R1"), ("Kent", "R1"), ("Kent", "R2")]
    assert found == {
        "": every, "force=Essex": every[:1], "words=SHED": every[2:], "words=back+door": every[1:2], "from=02/03/2026": [],
        "to=2026-03-01": every, "state=new": every, "state=stale": [], "batch=KNT20260301": every, "batch=none": [],
        "page=99": [],
    }  # fmt: skip
    wrong = client.get("/crimes?from=soon&words=shed")
    assert wrong.status_code == 422
    assert "a day such as 27/02/2026" in wrong.text
    assert 'value="shed"' in wrong.text


def test_crimes_of_another_force_are_not_there(signed_in: SignIn) -> None:
    client = signed_in("essex")
    page = plain(client.get("/crimes").text)
    assert "1 crime." in page
    assert "Kent" not in page.replace("Kent name", "")
    there, nowhere = (client.get(f"/crimes/one?force={f}&reference=R2") for f in ("Kent", "Nowhere"))
    assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text)
    assert there.status_code == 403
    assert client.get("/crimes?force=Kent").text.count("<tbody") == 0


def test_a_text_of_the_forces_comes_out_as_it_is(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    for path in ("/crimes", "/crimes/one?force=Kent&reference=R1"):
        text = client.get(path).text
        assert NASTY in html.unescape(text)
        assert "<script>alert" not in text


def test_nothing_is_written_before_somebody_has_seen_what_is_in_the_file(signed_in: SignIn, url: str) -> None:
    client = signed_in("kent")
    path = send(client, "../week <9>.csv", HEADER + GOOD + BAD + FOREIGN)
    text = client.get(path).text
    told = plain(text)
    assert "CSV: 4 rows, 2 can be imported, 2 will be left out. Nothing is stored yet." in told
    assert "Kent R2: location, text (becomes version 2)" in told
    assert "week <9>.csv" in told
    faults = list(csv.DictReader(io.StringIO(client.get(f"{path}/faults.csv").text)))
    assert {(f["row"], f["field"]) for f in faults} >= {("3", "lat"), ("3", "uncertainty_m"), ("4", "force")}
    assert [f["value"] for f in faults if f["code"] == "FORCE_NOT_YOURS"] == ["Essex"]
    assert "expected one of your own" in text
    with connect(url) as connection:
        assert len(crimes(connection)) == 3
    done = client.post(path)
    assert done.status_code == 303
    after = plain(client.get(done.headers["location"]).text)
    assert "week <9>.csv: 1 new, 1 changed, 0 as before. 2 rows were left out." in after
    with connect(url) as connection:
        assert [(v.crime.reference, v.version) for v in crimes(connection) if v.crime.force == "Kent"] == [
            ("N1", 1), ("R1", 1), ("R2", 2),
        ]  # fmt: skip
        entry = audit.rows(connection, action="crimes imported")[0]
    assert json.loads(entry.detail) == {
        "batch": 2, "changed": 1, "file": "week <9>.csv", "new": 1, "refused": 2, "same": 0,
    }  # fmt: skip
    assert client.post(path).status_code == 403
    versions = plain(client.get("/crimes/one?force=Kent&reference=R2").text)
    assert "Text: was shed is moved" in versions


def test_the_forms_of_file_are_told_by_content(signed_in: SignIn) -> None:
    client = signed_in("kent")
    assert "Police batch: 1 row, 1 can be imported" in plain(client.get(send(client, "a.csv", MOJ)).text)
    assert "CSV: 2 rows" in plain(client.get(send(client, "a.txt.gz", gzip.compress((HEADER + GOOD).encode()))).text)
    local = HEADER + "Kent,N3,RB,2026-02-28T10:00:00,2026-02-28T10:30:00,51.73123,0.47345,50,\n"
    assert "0 can be imported" in plain(client.get(send(client, "a.csv", local)).text)
    assert "1 can be imported" in plain(client.get(send(client, "a.csv", local, timezone="Europe/London")).text)


_NO_CRIMES = (
    ("", b"", "choose a file"),
    ("a.csv", b"", "empty file"),
    ("a.csv", b"not,crimes\n1,2\n", "not a file of crimes"),
    ("a.csv", b"\xff\xfe\x00a\x00", "UTF-16"),
    ("a.gz", b"\x1f\x8bnot gzip", "damaged gzip"),
    ("a.gz", gzip.compress(b"\0" * (4 * MOST_BYTES + 2)), "too large unpacked"),
    ("a.csv", b"x" * (MOST_BYTES + 1), "too large"),
    ("a.zip", b"PK\x03\x04" + b"\0" * 100, "police.uk"),
)  # fmt: skip


def test_what_is_no_file_of_crimes_is_refused(signed_in: SignIn) -> None:
    client = signed_in("kent")
    for name, data, told in _NO_CRIMES:
        answer = client.post("/crimes/import", files={"file": (name, data)} if name else None)
        assert answer.status_code == 422, told
        assert told in plain(answer.text)
        assert '<a href="#file">' in answer.text


def test_far_too_much_is_refused_before_it_is_read(signed_in: SignIn) -> None:
    client = signed_in("kent")
    with socket.create_connection((client.http.base_url.host, client.http.base_url.port or 80)) as sent:
        sent.sendall(b"POST /crimes/import HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999999\r\n\r\n")
        assert sent.recv(100).startswith(b"HTTP/1.1 413 ")
    parts = (part for part in (b"--x", b"y"))
    assert client.http.post("/crimes/import", content=parts).status_code == 411


def test_what_was_looked_at_belongs_to_who_sent_it(signed_in: SignIn) -> None:
    path = send(signed_in("kent"), "a.csv", HEADER + GOOD)
    other = signed_in("essex")
    nowhere = other.get("/crimes/import/AAAAAAAAAAAAAAAAAAAAAA")
    assert (other.get(path).status_code, other.get(path).text) == (nowhere.status_code, nowhere.text)
    assert other.post(path).status_code == 403
    assert other.get(f"{path}/faults.csv").status_code == 403
    assert signed_in("operator").get("/crimes").status_code == 403
