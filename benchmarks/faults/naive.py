"""The naive peer: a service as a good engineer writes it in a day. `python -m benchmarks.faults.naive CONFIG` runs it.

It takes each fix as it comes, keeps it in PostgreSQL under a primary key, asks shapely in which forbidden zones it lies, and
posts an entry to the webhook, three times before it gives up. The libraries are used as their first pages show it. Where it
fails it ends, and a supervisor starts it again after a second; then it takes up from the database who was inside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.victims import ROOT, OwnProcess, until

_SCHEMA = """
CREATE TABLE IF NOT EXISTS naive_fix (device text, time text, lat float, lon float, PRIMARY KEY (device, time));
CREATE TABLE IF NOT EXISTS naive_inside (device text, zone text, inside boolean, PRIMARY KEY (device, zone))
"""
METRES_A_DEGREE = 111_195.0


class Zones:
    """Forbidden discs as shapely polygons, who was inside which, and the entries that a fix makes."""

    def __init__(self, features: list[dict[str, Any]]) -> None:
        from shapely import affinity
        from shapely.geometry import Point

        self._discs: dict[str, tuple[Any, set[str] | None]] = {}
        for feature in features:
            told = feature["properties"]
            if told["kind"] != "exclusion":
                continue
            lon, lat = feature["geometry"]["coordinates"]
            wearers = None if told["wearers"] == "*" else set(told["wearers"])
            disc = Point(lon, lat).buffer(told["radius_m"] / METRES_A_DEGREE, 32)
            self._discs[told["id"]] = (affinity.scale(disc, 1.0 / _cosine(lat), 1.0), wearers)
        self.inside: dict[tuple[str, str], bool] = {}

    def entries(self, device: str, lat: float, lon: float) -> Iterator[tuple[str, bool, bool]]:
        """(zone, whether inside, whether that is news) for every zone that concerns the device."""
        from shapely.geometry import Point

        for name, (disc, wearers) in self._discs.items():
            if wearers is None or f"w{device[1:]}" in wearers:
                is_in = bool(disc.contains(Point(lon, lat)))
                yield name, is_in, is_in != self.inside.get((device, name), False)
                self.inside[device, name] = is_in


class Naive:
    """The service."""

    def __init__(self, config: dict[str, Any]) -> None:
        import httpx
        import paho.mqtt.client as paho
        import psycopg
        from paho.mqtt.enums import CallbackAPIVersion

        self._url, self._zones = config["webhook"], Zones(config["zones"])
        self._http = httpx.Client(timeout=5.0)
        self._connection = psycopg.connect(config["database"], autocommit=True)
        self._connection.execute(_SCHEMA)
        for device, zone, inside in self._connection.execute("SELECT device, zone, inside FROM naive_inside"):
            self._zones.inside[device, zone] = inside
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("tags/+/fixes", qos=1)
        self._client.on_message = self._take
        self._client.connect(config["host"], config["port"])

    def run(self) -> None:
        """Serve for ever; whatever goes wrong ends it."""
        print("ready", file=sys.stderr, flush=True)
        self._client.loop_forever()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        device = message.topic.split("/")[1]
        told = json.loads(message.payload)
        for fix in told if isinstance(told, list) else [told]:
            self._keep(device, fix)

    def _keep(self, device: str, fix: dict[str, Any]) -> None:
        is_new = self._connection.execute(
            "INSERT INTO naive_fix VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1",
            [device, fix["time"], fix["lat"], fix["lon"]],
        ).fetchone()
        if is_new is None:
            return  # it was here before
        for zone, is_in, is_news in self._zones.entries(device, fix["lat"], fix["lon"]):
            if is_news:
                self._connection.execute(
                    "INSERT INTO naive_inside VALUES (%s, %s, %s) ON CONFLICT (device, zone) DO UPDATE SET inside = %s",
                    [device, zone, is_in, is_in],
                )
                if is_in:
                    self._post({"device": device, "zone": zone, "time": fix["time"]})

    def _post(self, alert: dict[str, Any]) -> None:
        import httpx

        for pause_s in (1.0, 1.0, 0.0):
            try:
                self._http.post(self._url, json=alert, headers={"webhook-id": "none"}).raise_for_status()
                return
            except httpx.HTTPError as fault:
                print(f"not posted: {fault}", file=sys.stderr, flush=True)
                time.sleep(pause_s)


class NaiveProcess(OwnProcess):
    """The naive service as a `Victim`, under a supervisor that starts it again a second after it ended by itself."""

    name = "naive service"

    def __init__(self, folder: Path, config: dict[str, Any], within: Any) -> None:
        self._config = folder / "naive.json"
        self._config.write_text(json.dumps(config), "utf-8")
        self._log = folder / "service-naive.log"
        self._log.touch()
        self._environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None
        self._within = within
        self._lock, self._is_wanted = threading.Lock(), False
        self.n_failures = 0
        threading.Thread(target=self._supervise, daemon=True).start()

    def start(self) -> None:
        """See `Victim`."""
        with self._lock:
            self._is_wanted = True
            self._launch()

    def kill(self) -> None:
        """See `Victim`."""
        self._end("kill")

    def stop(self) -> int:
        """See `Victim`."""
        return self._end("terminate")

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Return once it has subscribed for the first time."""
        until(lambda: b"ready" in self._log.read_bytes(), timeout_s, "the naive service")
        time.sleep(0.5)

    def _end(self, how: str) -> int:
        with self._lock:
            self._is_wanted = False
            if self._process is None:
                return 0
            getattr(self._process, how)()
            return self._process.wait(30.0)

    def _launch(self) -> None:
        command = [sys.executable, "-m", "benchmarks.faults.naive", str(self._config)]
        with self._log.open("ab") as log, self._within("service"):
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=self._environment)

    def _supervise(self) -> None:
        while True:
            time.sleep(1.0)
            with self._lock:
                if self._is_wanted and not self.running:
                    self.n_failures += 1
                    self._launch()


@contextmanager
def opened(path: Path) -> Iterator[Naive]:
    """The service by its configuration file."""
    yield Naive(json.loads(path.read_text("utf-8")))


def _cosine(lat_deg: float) -> float:
    import math

    return math.cos(math.radians(lat_deg))


if __name__ == "__main__":
    with opened(Path(sys.argv[1])) as service:
        service.run()
