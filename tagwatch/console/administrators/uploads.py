"""Files that were uploaded, and rows as the files that the readers take: held in a folder of their own while they are read."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(data: bytes) -> Iterator[str]:
    """The path of a file with this content, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="tagwatch-upload-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield str(path)


def one_row(fields: Mapping[str, str]) -> bytes:
    """A CSV of one row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerow(fields.values())
    return text.getvalue().encode()
