"""Slow work that somebody asked for: done in the background one after the other, watched on a page, fetched when it is done.

Jobs live as long as the server: what they record (runs, imports) is in the database, their files are made again when asked for.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from engine.errors import TagwatchError
from tagwatch.console.caller import Caller, NotAllowed

MOST_WAITING, MOST_KEPT = 8, 200
log = structlog.get_logger("tagwatch.console")
Progress = Callable[[float, str], None]
"""Tells how far a job is: a share of 0 to 1, and what it does now."""


class Result(NamedTuple):
    """What a job made: a file to fetch (its name, media type and content), or a page to go to."""

    name: str = ""
    media_type: str = ""
    content: bytes = b""
    page: str = ""
    note: str = ""


_NOTHING = Result()
Work = Callable[[Progress], Result]


@dataclass
class Job:
    """One piece of work; `state` is waiting, running, done or failed."""

    id: str
    owner: int
    kind: str
    title: str
    action: str
    subject: str
    state: str = "waiting"
    share: float = 0.0
    text: str = ""
    result: Result = _NOTHING
    path: Path | None = None

    def told(self) -> dict[str, object]:
        """How it stands, as JSON."""
        where = f"/jobs/{self.id}/file" if self.path else self.result.page
        return {"id": self.id, "state": self.state, "share": self.share, "text": self.text, "result": where}


@dataclass
class Jobs:
    """The jobs of a console."""

    _held: dict[str, Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "console job"))
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def start(
        self, caller: Caller, kind: str, title: str, work: Work, *, action: str = "", subject: str = ""
    ) -> Job:  # fmt: skip
        """Take up work for a caller. action, subject: what fetching its file is called in the audit log."""
        job = Job(secrets.token_urlsafe(16), caller.account.id, kind, title, action or f"{kind} downloaded", subject)
        with self._lock:
            waiting = sum(one.state in ("waiting", "running") and one.owner == job.owner for one in self._held.values())
            if waiting >= MOST_WAITING:
                raise NotAllowed(f"{waiting} of your jobs are not done yet: wait for one of them")
            self._forget()
            self._held[job.id] = job
        self._workers.submit(self._do, job, work)
        return job

    def find(self, caller: Caller, identifier: str) -> Job | None:
        """A caller's own job."""
        job = self._held.get(identifier)
        return job if job is not None and job.owner == caller.account.id else None

    def close(self) -> None:
        """Wait for the job under way, drop the rest, delete their files."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._folder:
            self._folder.cleanup()

    def _do(self, job: Job, work: Work) -> None:
        job.state = "running"

        def progress(share: float, text: str) -> None:
            job.share, job.text = min(max(share, 0.0), 1.0), text

        try:
            result = work(progress)
            if result.name:
                job.path = self._keep(job.id, result.content)
            job.result = result._replace(content=b"")
            job.share, job.text, job.state = 1.0, result.note, "done"
        except TagwatchError as fault:
            job.text, job.state = str(fault), "failed"
        except Exception as fault:  # the page tells that it failed; what exactly is in the log, without names or places
            log.error("job failed", kind=job.kind, fault=fault)
            job.text, job.state = (
                "It failed for a reason that is not yours; it was noted for who runs this system.",
                "failed",
            )

    def _keep(self, name: str, content: bytes) -> Path:
        if self._folder is None:  # one worker: nobody else makes it meanwhile
            self._folder = tempfile.TemporaryDirectory(prefix="tagwatch-jobs-")
        path = Path(self._folder.name) / name
        path.write_bytes(content)
        return path

    def _forget(self) -> None:
        over = [job for job in self._held.values() if job.state in ("done", "failed")]
        for job in over[: max(0, len(over) - MOST_KEPT)]:
            if job.path:
                job.path.unlink(missing_ok=True)
            del self._held[job.id]
