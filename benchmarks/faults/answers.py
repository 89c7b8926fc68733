"""What arrives twice, and answers that do not arrive: the receiver's, and a tag's messages once more."""

from __future__ import annotations

import base64
from collections import deque
from pathlib import Path

from benchmarks.faults.fault import Fault
from benchmarks.faults.stand import Stand
from ingest.mqtt_link import Link
from ingest.raw_log import day_files
from ingest.raw_record import Record, read_line


class AnswersLost(Fault):
    """The receiver takes deliveries and cuts the connection before it answers, or answers 500."""

    name = "answers of the receiver lost"
    shares = True
    how = "for 5 s half of the deliveries are taken and not answered, or answered 500"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        stand.hook.faults = 0.5
        stand.hold(5.0, 2.0)
        stand.hook.faults = 0.0


class SentAgain(Fault):
    """What was sent already comes a second time, to the byte."""

    name = "messages sent again"
    how = "another client sends the newest 1,000 messages of the raw log once more, as a broker does that forgot them"
    shares = True
    peer = False  # it keeps no raw log, and its primary key is enough against this

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        newest = _newest(stand.folder / "raw-log", 1_000)
        with stand.network.within("tags"):
            link = Link(stand.broker.url, "again", "3.1.1", persistent=False)
            link.connect(10.0)
            for record in newest:
                link.client.publish(record.topic, base64.b64decode(record.payload or ""), 1).wait_for_publish(10.0)
            link.close()


def _newest(folder: Path, most: int) -> list[Record]:
    lines: deque[bytes] = deque(maxlen=most)
    for path in day_files(folder):
        with path.open("rb") as file:
            lines.extend(file)
    return [record for line in lines if isinstance(record := read_line(line), Record)]


FAULTS: list[Fault] = [AnswersLost(), SentAgain()]
