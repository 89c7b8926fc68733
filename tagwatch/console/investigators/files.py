"""Files that are downloaded, as answers of the server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from fastapi.responses import Response


def csv_of(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    """A table as CSV with a header; cells that a spreadsheet could take for a formula are the caller's to guard."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue().encode()


def download(content: bytes, name: str, media_type: str) -> Response:
    """A file that the browser saves under this name."""
    return Response(content, media_type=media_type, headers=as_file(name))


def as_file(name: str) -> dict[str, str]:
    """The header that makes a browser save an answer (RFC 6266)."""
    return {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
