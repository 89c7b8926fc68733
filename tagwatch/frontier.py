"""How far each device's own sequence is durable: what `stored` notices say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


class Frontier:
    """How far each device's sequence is durable without a gap, from the first number ever seen of it."""

    def __init__(self, known: Mapping[str, tuple[int, set[int]]]) -> None:
        self._known = dict(known)

    def note(self, device: str, seqs: Sequence[int]) -> int:
        """Take numbers that are durable with this batch; returns the highest up to which all are known to be.

        A number at or below the frontier is a repeat, or a tag that counts from the start again: then only the unbroken run
        from that number on is claimed, because to claim too little costs a repeat and too much a fix.
        """
        lowest, here = min(seqs), set(seqs)
        until, beyond = self._known.get(device, (lowest - 1, set()))
        again = lowest <= until
        beyond = beyond | {n for n in here if n > until}
        while until + 1 in beyond:
            until += 1
            beyond.discard(until)
        self._known[device] = (until, beyond)
        if not again:
            return until
        while lowest + 1 in here:
            lowest += 1
        return lowest

    def of(self, devices: Iterable[str]) -> dict[str, tuple[int, set[int]]]:
        """What is known of these devices, to be kept."""
        return {device: self._known[device] for device in devices}
