"""Short texts: times, lengths of time, terms, opening hours, addresses of brokers and receivers, moments and places of forms."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Hashable
from zoneinfo import ZoneInfo

import httpx
import msgspec
import numpy as np
import pyarrow as pa

from alerts.delivery import Delivery, DeliveryError
from alerts.duty_hours import next_duty_us, on_duty, read_hours
from alerts.webhook import WebhookNotifier
from crime_match.crimes.moj_batch import batch_date, parse_stamp
from crime_match.crimes.national_grid import read_reference, to_wgs84
from engine.times import EARLIEST_US, LATEST_US, parse_time, to_iso
from geofence.schedule import read_clock, read_date, read_interval, time_zone
from ingest.broker_url import parse_url
from ingest.time_texts import parse_column, parse_texts, parse_values
from tagwatch.cli.asking import pad_us, verdicts_of
from tagwatch.console.api.answers import cursor, read_cursor
from tagwatch.console.investigators.moments import read_moment
from tagwatch.console.investigators.places import read_angle, read_place
from tagwatch.retention.terms import read_term
from tests.fuzz import odd
from tests.fuzz.target import Target, require

_LONDON = ZoneInfo("Europe/London")
_NOW_US = 1_795_342_800_000_000


def _text(read: Callable[[str], Hashable]) -> Callable[[bytes], Hashable]:
    """A reader of texts as one of bytes; what is no UTF-8 becomes lone surrogates, as a command line's arguments do."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _time(text: str) -> Hashable:
    time_us = parse_time(text, _LONDON)
    require(EARLIEST_US <= time_us < LATEST_US, "a time out of bounds")
    require(parse_time(to_iso(time_us)) == time_us, "a time written and read again differs")
    return len(text), text[-1:].isdigit()


def _columns(text: str) -> Hashable:
    """Many times at once are what they are one by one."""
    texts = list(text.encode("utf-8", "replace").decode().split("|"))[:64]
    for tz in (None, _LONDON):
        one, errors = parse_texts(texts, tz, "time")
        many = parse_column(pa.array(texts, pa.string()), tz)
        inside = (one >= EARLIEST_US) & (one < LATEST_US)
        require(many is None or not len(errors) or _all_odd(many, errors), "a column takes what a text alone does not")
        require(many is None or bool((many == one)[inside].all()), "a column's times are others than the texts'")
    _times, errors = parse_values(texts)
    return len(texts) > 1, len(errors) > 0


def _all_odd(many: np.ndarray, errors: dict[int, object]) -> bool:
    """What a column reads and a text alone refuses lies outside the years that a tag can have: it is refused later."""
    return all(not EARLIEST_US <= int(many[k]) < LATEST_US for k in errors)


def _hours(text: str) -> Hashable:
    hours = read_hours(text, "Europe/London")
    on_duty(hours, _NOW_US)
    require(next_duty_us(hours, _NOW_US) >= _NOW_US, "duty that begins in the past")
    return hours is None or min(len(hours.weekly), 4)


def _broker(text: str) -> Hashable:
    url = parse_url(text)
    require(bool(url.host) and 0 < url.port < 65_536, "an address without host or port")
    return url.tls, bool(url.user), bool(url.password)


def _term(text: str) -> Hashable:
    term = read_term(text)
    require(read_term(str(term)) == term, "a term written and read again differs")
    term.cut_us(_NOW_US, _NOW_US)
    return term.days is None, term.after_end


def _pad(text: str) -> Hashable:
    require(0 <= pad_us(text) <= 86_400_000_000, "a length of time out of bounds")
    return text[-1:]


def _small(text: str) -> Hashable:
    """Clock times, dates, zones, intervals, stamps, batch ids, verdicts: all by their own readers."""
    kind, _, rest = text.partition(":")
    match kind:
        case "clock":
            require(0 <= read_clock(rest, "start") <= 1440, "a time of day out of bounds")
        case "date":
            read_date(rest, "valid_from")
        case "zone":
            time_zone(rest)
        case "interval":
            start, _, end = rest.partition("|")
            require(
                read_interval(start, end, _LONDON)[0] < read_interval(start, end, _LONDON)[1],
                "an interval that ends before",
            )
        case "stamp":
            found = parse_stamp(rest)
            require(found is None or EARLIEST_US <= found < LATEST_US, "a stamp out of bounds")
        case "batch":
            batch_date(rest)
        case "grid":
            square = read_reference(rest)
            to_wgs84(square.easting_m, square.northing_m)
        case _:
            verdicts_of(rest)
            return "verdicts"
    return kind


def _moment(text: str) -> Hashable:
    require(EARLIEST_US <= read_moment(text, _LONDON, "from") < LATEST_US, "a moment out of bounds")
    return len(text)


def _place(text: str) -> Hashable:
    kind, _, rest = text.partition(":")
    if kind in ("lat", "lon"):
        require(abs(read_angle(rest, kind)) <= (90 if kind == "lat" else 180), "an angle out of bounds")
        return kind
    place = read_place(text)
    require(all(map(math.isfinite, place[:3])), "a place that is no number")
    return place.form


def _cursor(text: str) -> Hashable:
    """The cursors of all the API's lists: none can hold what the database would stumble over."""
    found: Hashable = None
    for kinds in ((str,), (int,), (int, str), (str, str), (int, int, int, str)):
        try:
            key = read_cursor(text, *kinds)
        except ValueError as refused:
            if kinds == (int, int, int, str) and found is None:
                raise refused
            continue
        require(key is None or read_cursor(cursor(key), *kinds) == key, "a cursor written and read again differs")
        found = kinds
    return str(found)


_SECRET = "whsec_" + base64.b64encode(b"a secret of the fuzzer's").decode()
_DELIVERY = Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(b'{"wearer":"W1"}'))


def _answer(data: bytes) -> Hashable:
    """What a receiver answers: status, Retry-After and a body, as it likes."""
    status, _, rest = data.partition(b"|")
    waits, _, body = rest.partition(b"|")
    code = 200 + int.from_bytes(status[:2], "big") % 400
    headers = [(b"retry-after", waits.replace(b"\r", b" ").replace(b"\n", b" "))]
    transport = httpx.MockTransport(lambda request: httpx.Response(code, headers=headers, content=body))
    with httpx.Client(transport=transport) as client:
        notifier = WebhookNotifier("https://receiver.example/hook", _SECRET, lambda: _NOW_US, client)
        try:
            notifier.send(_DELIVERY)
        except DeliveryError as fault:
            require(fault.wait_s >= 0.0, "a wait of less than nothing")
            return "refused", fault.wait_s > 0
    return "taken"


def _of(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode("utf-8", "surrogatepass") for text in texts]


_DAYS = (b"Mo", b"-Fr", b",We", b" off", b"24/7", b"; ", b"08:00-18:00", b"22:00-06:00", b"PH", b"24:00")

TARGETS = (
    Target("times", _text(_time), _of(*odd.TIMES, "1780000000.5", "5"), most_bytes=200, share=2.0),
    Target("time_columns", _text(_columns), _of("|".join(odd.TIMES[:3]), "1780000000|1780000000.5", "2026-11-22T10:00:00Z|x"), most_bytes=400),
    Target("opening_hours", _text(_hours), _of("Mo-Fr 08:00-18:00; Sa 09:00-12:00", "24/7", "Fr-Mo 22:00-06:00", "Mo-Fr 08:00-12:00,13:00-17:00; We off"),
           (), _DAYS, most_bytes=400),
    Target("broker_urls", _text(_broker), _of("mqtt://h:1883", "mqtts://user:p%40ss@h.example", "mqtt://[::1]:1883/"), (),
           (b"mqtt://", b"mqtts://", b"@", b":", b"[", b"]", b"%", b"/", b"?", b"#"), most_bytes=300),
    Target("terms", _text(_term), _of("kept", "30", "90 days", "365 days after the end"), (), (b" days", b" after the end"), most_bytes=100),
    Target("lengths_of_time", _text(_pad), _of("10m", "90s", "1h", "5"), most_bytes=60),
    Target("small_texts", _text(_small), _of("clock:08:00", "date:2026-03-29", "zone:Europe/London", "interval:2026-03-29T01:30|2026-03-30T01:00+02:00",
           "stamp:20250125083000", "batch:MPS20250126-1", "grid:SK 97 71", "verdicts:placed,possible"), most_bytes=200, share=2.0),
    Target("form_moments", _text(_moment), _of("27/02/2026 19:30", "2026-02-27T19:30Z", "2026-03-29 01:30"), most_bytes=100),
    Target("form_places", _text(_place), _of("53.2307, -0.5406", "53°13'50\"N 0°32'26\"W", "SK 97 71", "497500, 371500", "lat:53.5N", "lon:0 32 26 W"), (),
           ("°".encode(), b"'", b'"', b"N", b"W", b",", b" "), most_bytes=120),
    Target("cursors", _text(_cursor), lambda: [cursor(key).encode() for key in (("a",), (5,), (5, "x"), (1, 2, 3, "w"))], most_bytes=200),
    Target("webhook_answers", _answer, lambda: [b"\x00\xe5|120|busy", b"\x00\xe5|Wed, 21 Oct 2026 07:28:00 GMT|", b"\x00\x00||ok", b"\x00\xd2|x|gone"],
           (), (b"\x00\xe5|", b"|", b" GMT", b"-0000"), most_bytes=300, share=0.2),
)  # fmt: skip
