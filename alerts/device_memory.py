"""What is kept of a device's past: enough to go on from, so that its old rows and events can leave memory.

A healthy tag's memory holds a few numbers; open findings add one span each. All of it is plain numbers and texts.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """One fix as an alert lists it: time [us], position [1e-7 degree], radius [cm], source [code]."""

    time_us: int
    lat_e7: int
    lon_e7: int
    accuracy_cm: int
    source: int


class Span(NamedTuple):
    """One finding from its beginning to its end (None: open); `n` openings joined into it, `last_us` the latest of them.

    decided_us is when it could first be said, `words` what was told with the openings, `place` the last fix before it.
    """

    began_us: int
    ended_us: int | None
    last_us: int
    decided_us: int
    n: int = 1
    words: tuple[str, ...] = ()
    place: Place | None = None


class Cluster(NamedTuple):
    """Doubtful fixes less than the merge gap apart: first and last [us], how many, and those shown with their sort key."""

    first_us: int
    last_us: int
    n: int
    shown: tuple[tuple[int, Place], ...]


class Tampering(NamedTuple):
    """Tamper events of one kind: first and last [us], how many, in how many bursts, and the last fix before the first."""

    first_us: int
    last_us: int
    n: int
    n_times: int
    place: Place | None


class Battery(NamedTuple):
    """`level` last known [%], clipped above where all is well, -1 unknown; `row_level` the last one of a fix, -1 where an
    event came since; `read_us` of the last reading; `peak` since charging began, -1 where not charging."""

    level: int = -1
    row_level: int = -1
    read_us: int = -(2**62)
    peak: int = -1
    low: tuple[Span, ...] = ()
    critical: tuple[Span, ...] = ()
    dead: tuple[Span, ...] = ()
    no_charge: tuple[Span, ...] = ()


class Gap(NamedTuple):
    """A silence between two contacts [us], and the newest fix that was known when it began."""

    began_us: int
    ended_us: int
    place: Place | None


class Contact(NamedTuple):
    """When contact was first expected and last had [us] (None: never); silences that were too long; lost connections."""

    base_us: int | None = None
    last_us: int | None = None
    gaps: tuple[Gap, ...] = ()
    lost_us: tuple[int, ...] = ()


class Position(NamedTuple):
    """The last fix with weight; up to three packed satellite counts (time, count) that led to it; when power last came on;
    in motion."""

    last: Place | None = None
    satellites: bytes = b""
    powered_us: int = -(2**62)
    moving: bool = False
    no_fix: tuple[Span, ...] = ()
    jamming: tuple[Span, ...] = ()
    faults: tuple[Span, ...] = ()


class DeviceMemory(NamedTuple):
    """Everything that the device rules need to know of what came before the rows of a scene."""

    strap: Tampering | None = None
    case: Tampering | None = None
    battery: Battery = Battery()
    contact: Contact = Contact()
    position: Position = Position()
    implausible: tuple[Cluster, ...] = ()
    clock: tuple[Cluster, ...] = ()


NOTHING = DeviceMemory()
