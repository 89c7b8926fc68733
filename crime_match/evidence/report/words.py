"""How numbers, times and foreign text are written for readers: plain, exact, and never as markup."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from crime_match.evidence.rows import local_text
from engine.times import parse_time

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_POINTS = (
    "north", "north-north-east", "north-east", "east-north-east", "east", "east-south-east", "south-east", "south-south-east",
    "south", "south-south-west", "south-west", "west-south-west", "west", "west-north-west", "north-west", "north-north-west",
)  # fmt: skip
SOURCES = {
    "gps": "satellites", "rf": "home unit", "lbs": "phone mast", "wifi": "wireless network", "unknown": "source not told",
}  # fmt: skip
"""Where a position came from, in words."""
_RANGES = (
    (0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x24F), (0x384, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE), (0x400, 0x45F),
    (0x490, 0x49B), (0x531, 0x556), (0x561, 0x587), (0x5D0, 0x5EA), (0x621, 0x63A), (0x641, 0x64A), (0x660, 0x669),
    (0x67E, 0x67E), (0x686, 0x686), (0x698, 0x698), (0x6A9, 0x6A9), (0x6AF, 0x6AF), (0x6CC, 0x6CC), (0x1E00, 0x1E99),
    (0x1EA0, 0x1EF9), (0x2010, 0x2015), (0x2018, 0x2022), (0x2026, 0x2026), (0x2030, 0x2030), (0x2032, 0x2033),
    (0x2039, 0x203A), (0x20AC, 0x20AC), (0x2122, 0x2122), (0x2190, 0x2193), (0x2212, 0x2212), (0x2264, 0x2265),
)  # fmt: skip
_FOREIGN = re.compile("[^" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES) + "]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff]")
_ISOLATE, _END = "\u2068", "\u2069"
_RUN = re.compile(r"[^\s\u200b]{25,}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NAMES_A_TAG = re.compile("not ruled out: (?:strap tamper|power|fault|clock)")
_PLAIN = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        ("no fix in the window carries weight", "no position of the window is usable"),
        ("the exclusion circles of", "the wide circles, used to rule out, of"),
        ("bounds where", "limits where"), ("bounds the wearer", "limits where the wearer could have been"),
        ("one activation covers", "one fitting of a tag covers"), ("either was left out in turn", "each was left out in turn"),
        (r"\bfixes\b", "positions"), (r"\bfix\b", "position"),
    )
)  # fmt: skip
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z")


def shown(text: str, most: int = 2_000) -> str:
    """Any text as it is shown: composed, white space as single spaces, each character that the fonts lack or that turns the
    direction of writing as its number, [U+202E]; what is longer than `most` characters is cut and says so. Long runs may break,
    but for hashes. What has letters that are written from right to left is isolated, so that it turns nothing beside it."""
    if _HASH.fullmatch(text):
        return text
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    more = len(plain) - most
    if more > 0:
        plain = plain[:most].rstrip()
    numbered = _FOREIGN.sub(lambda found: f"[U+{ord(found.group()):04X}]", plain)
    broken = _RUN.sub(lambda found: _breakable(found.group()), numbered)
    if more > 0:
        broken = f"{broken}…" if most < 100 else f"{broken} … (and {number(more)} more characters)"
    return f"{_ISOLATE}{broken}{_END}" if _RIGHT_TO_LEFT.search(broken) else broken


def is_changed(text: str) -> bool:
    """Whether `shown` stands for a character by its number."""
    return bool(_FOREIGN.search(" ".join(unicodedata.normalize("NFC", text).split())))


def _breakable(run: str) -> str:
    """A zero-width space after every 20 characters."""
    return "\u200b".join(run[k : k + 20] for k in range(0, len(run), 20))


def day_time(time_us: int, timezone: str) -> str:
    """16 June 2026 at 00:25:01 BST: the same instant as `local_text`, in words."""
    date, clock, zone = local_text(time_us, timezone).split(" ", 2)
    return f"{_day(date)} at {clock} {zone}"


def from_to(start_us: int, end_us: int, timezone: str) -> str:
    """Both instants; the date once where it is one day: 16 June 2026, 00:25:01 BST to 00:35:02 BST."""
    (date, *start), (last, *end) = (local_text(t, timezone).split(" ", 2) for t in (start_us, end_us))
    if date == last:
        return f"{_day(date)}, {' '.join(start)} to {' '.join(end)}"
    return f"{_day(date)}, {' '.join(start)} to {_day(last)}, {' '.join(end)}"


def _day(date: str) -> str:
    year, month, day = date.split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"


def local_moment(iso: str, timezone: str) -> str:
    """An instant of the match as `local_text` writes it."""
    return local_text(parse_time(iso), timezone)


def plainly(reason: str) -> str:
    """A reason of the match in the report's own words; what names a tag keeps all but how it begins."""
    told = reason.replace("not excluded:", "not ruled out:", 1)
    if _NAMES_A_TAG.match(told):
        return told
    for pattern, words in _PLAIN:
        told = pattern.sub(words, told)
    return told


def sentence(reason: str, timezone: str, most: int = 1_000) -> str:
    """A reason of the match as a sentence: instants in local time, a capital, a full stop."""
    told = _ISO.sub(lambda found: local_moment(found.group(), timezone), reason)
    return shown(told[:1].upper() + told[1:], most) + "."


def lasting(seconds: float) -> str:
    """A length of time: 10 minutes 58 seconds, 3 hours 5 minutes. Parts of a second are cut."""
    whole = int(seconds)
    parts = [(whole // 3600, "hour"), (whole // 60 % 60, "minute"), (whole % 60, "second")]
    told = [count(n, word) for n, word in parts if n]
    return " ".join(told) or "0 seconds"


def count(n: int, one: str, many: str = "") -> str:
    """1 position, 11 positions."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def number(n: int) -> str:
    """1,204."""
    return f"{n:,}"


def metres(value: float) -> str:
    """64 m, 3.9 m, 2,318 m; from ten kilometres on as 93.9 km."""
    if value >= 10_000:
        return f"{value / 1000:,.1f} km"
    return f"{value:,.0f} m" if value >= 100 or value == round(value) else f"{value:.1f} m"


def speed(mps: float) -> str:
    """145.69 m/s (524 km/h, 326 mph)."""
    return f"{mps:,.2f}".rstrip("0").rstrip(".") + f" m/s ({mps * 3.6:,.0f} km/h, {mps * 3.6 / 1.609344:,.0f} mph)"


def percent(share: float) -> str:
    """89.4 %, cut to a tenth, so that what falls short of all is never written as all of it."""
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def bearing(degrees: float) -> str:
    """South (186°)."""
    return f"{_POINTS[round(degrees / 22.5) % 16]} ({degrees:.0f}°)"


def listed(parts: list[str], most: int = 3) -> str:
    """a, b and c; of more than `most` the first and how many more."""
    if len(parts) > most:
        return f"{', '.join(parts[:most])} and {number(len(parts) - most)} more"
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def gaps(times_us: list[int], start_us: int, end_us: int, longest_s: float) -> list[tuple[int, int]]:
    """Stretches between neighbouring instants, the ends of the window among them, that are longer than `longest_s`."""
    edges = [start_us, *times_us, end_us]
    return [(a, b) for a, b in pairwise(edges) if b - a > longest_s * 1e6]


def are(n: int) -> str:
    """1 position is, 2 positions are."""
    return "is" if n == 1 else "are"
