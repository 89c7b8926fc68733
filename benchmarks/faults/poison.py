"""A poison message: one at which the service's own code fails, every time. A real defect is planted in the service process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess, until
from engine import database
from ingest.quarantine import POISON

_MARK = "poison"
_DEFECT = '''"""Loaded at the start of the service's process: the defect."""
import sys, importlib.abc, importlib.util

class _Planter(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "{module}":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
{plant}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, _Planter())
'''
_DECODE = """            whole = module.decode_batch
            def decode_batch(messages):
                messages = list(messages)
                if any(b"poison" in m.payload for m in messages):
                    raise ZeroDivisionError("a defect")
                return whole(messages)
            module.decode_batch = decode_batch"""
_STORE = """            import os
            whole = module.FixStore.write_events
            def write_events(self, events):
                whole(self, events)
                if any(event.device == "poison" for event in events):
                    {deed}
            module.FixStore.write_events = write_events"""


class Poisoned(Fault):
    """A message of a tag of its own, sent once a try, at which the service fails while it decodes, stores, or dies."""

    peer = False
    setting = Setting(slice_s=6.0)

    def __init__(self, name: str, how: str, module: str, plant: str, *, dies: bool = False) -> None:
        self.name, self.how, self._dies = name, how, dies
        self._code = _DEFECT.replace("{module}", module).replace("{plant}", plant)

    @contextmanager
    def around(self, folder: Path) -> Iterator[None]:
        """See `Fault`: the defect is loaded with the service's process."""
        (folder / "defect").mkdir()
        (folder / "defect" / "sitecustomize.py").write_text(self._code)
        from benchmarks.victims import ROOT

        self.setting = replace(type(self).setting, environment={"PYTHONPATH": f"{folder}/defect:{ROOT}"})
        self._n = 0
        yield

    def produce(self, stand: Stand) -> None:
        """See `Fault`: over when it is in quarantine."""
        import paho.mqtt.publish as once

        self._n += 1
        payload = {"time": "2026-03-28T19:00:00Z", "event": "heartbeat", "value": _MARK, "seq": self._n}
        host, port = stand.broker.url.removeprefix("mqtt://").split(":")
        once.single(f"tags/{_MARK}/events", json.dumps(payload), qos=1, hostname=host, port=int(port))
        stand.n_quarantined += 1
        until(lambda: self._is_found(stand), 120.0, "the poison in quarantine")
        stand.note("lives of the service", getattr(stand.service, "n_lives", 0))

    def _is_found(self, stand: Stand) -> bool:
        if self._dies and isinstance(stand.service, ServiceProcess) and not stand.service.running:
            stand.start(stand.service)  # as systemd does
        with database.connect(stand.url) as connection:
            row = connection.execute("SELECT count(*) FROM quarantine WHERE reason = %s", [POISON]).fetchone()
        return row is not None and row[0] == self._n

    def check(self, stand: Stand) -> None:
        """The message is kept as sent, and what was raised is told without what it said."""
        assert isinstance(stand.service, ServiceProcess)
        with database.connect(stand.url) as connection:
            rows = connection.execute("SELECT topic, payload FROM quarantine").fetchall()
        assert {topic for topic, _ in rows} == {f"tags/{_MARK}/events"}
        assert sorted(json.loads(bytes(payload))["seq"] for _, payload in rows) == list(range(1, self._n + 1))
        if not self._dies:
            assert stand.service.n_lives == 1, "the service had to be started again"


_FAILS = _STORE.replace("{deed}", 'raise ValueError("a defect")')
_DIES = _STORE.replace("{deed}", "os._exit(139)")

FAULTS: list[Fault] = [
    Poisoned("poison, decoding fails", "a defect planted in decoding: an exception at one message, whenever it comes",
             "ingest.payload", _DECODE),
    Poisoned("poison, storing fails", "a defect planted in the store: an exception at one tag's events, after writing them",
             "engine.store.fixes", _FAILS),
    Poisoned("poison, the process dies", "a defect planted in the store: one tag's events end the process; started again",
             "engine.store.fixes", _DIES, dies=True),
]  # fmt: skip
