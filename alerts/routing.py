"""Who is told of an alert, and when: the centre at once and of everything, the wearer's team by grade, role and duty hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from alerts.duty_hours import next_duty_us, on_duty
from alerts.teams import Member, Team

ROLE_ORDER = ("support_officer", "probation_manager", "police_manager", "")
"""From the role that is shown least of a wearer to the centre (no role), which is shown all."""


class Recipient(NamedTuple):
    """A channel that is told, not before `from_us`; `role` says what it is shown, `timezone` in which time."""

    channel: str
    from_us: int
    role: str = ""
    timezone: str = "UTC"


class Routing(NamedTuple):
    """The channels of the centre, the teams by id, the team of each wearer, and the kinds of channel that are served.

    A member's channel of a kind that nobody serves (mail without settings for mail) is passed over: what is kept for years
    and then sent at once warns nobody.
    """

    centre: tuple[str, ...]
    teams: Mapping[str, Team] = {}
    team_of: Mapping[str, str] = {}
    kinds: Collection[str] = ("mail", "mqtt")

    def recipients(self, grade: str, wearer: str, at_us: int, told: Collection[str] = ()) -> list[Recipient]:
        """Who is told of a version of an alert made at this instant; `told` are the channels of its earlier versions."""
        return self._served(recipients(grade, self._team(wearer), self.centre, at_us, told))

    def on_duty(self, grade: str, wearer: str, at_us: int) -> list[Recipient]:
        """Who is told of what waits for nobody, such as an escalation: the centre, and whoever is on duty for the grade."""
        return self._served([r for r in recipients(grade, self._team(wearer), self.centre, at_us) if r.from_us <= at_us])

    def unserved(self) -> list[str]:
        """One sentence, without names, for everything here that leads nowhere: channels not served, teams not known."""
        counts = Counter(
            (team.id, kind_of(channel))
            for team in self.teams.values()
            for member in team.members
            for channel in member.channels
        )
        sentences = [
            f"team {team}: {n} channels by {kind} are not served: there are no settings for them"
            for (team, kind), n in sorted(counts.items())
            if kind not in self.kinds
        ]
        lost = sorted({team for team in self.team_of.values() if team and team not in self.teams})
        return sentences + [f"team {team}: wearers are in it, but it was never imported" for team in lost]

    def _team(self, wearer: str) -> Team | None:
        return self.teams.get(self.team_of.get(wearer, ""))

    def _served(self, found: list[Recipient]) -> list[Recipient]:
        return [r for r in found if r.channel in self.centre or kind_of(r.channel) in self.kinds]


def recipients(
    grade: str, team: Team | None, centre: Sequence[str], at_us: int, told: Collection[str] = ()
) -> list[Recipient]:
    """Who is told of something of this grade at an instant [us UTC].

    The centre always, at once. A member who asks for the grade, or who was told of the alert before (a retraction must reach
    whoever the alert reached), at the next moment of his duty hours. Where a critical finds nobody on duty who asks for it,
    whoever else of the team is on duty is told. Who has left the team is told no more.
    """
    found = {channel: Recipient(channel, at_us) for channel in centre}
    if team is None:
        return list(found.values())
    for member in team.members:
        if grade in member.grades or _knows(member, told) or _stands_in(member, grade, team, at_us):
            for channel in member.channels:
                _add(found, Recipient(channel, next_duty_us(member.hours, at_us), member.role, team.timezone))
    return list(found.values())


def kind_of(channel: str) -> str:
    """The kind of a channel: `mail` of `mail:officer@example.org`."""
    return channel.partition(":")[0]


def _knows(member: Member, told: Collection[str]) -> bool:
    return any(channel in told for channel in member.channels)


def _stands_in(member: Member, grade: str, team: Team, at_us: int) -> bool:
    if grade != "critical" or not on_duty(member.hours, at_us):
        return False
    return not any(grade in other.grades and on_duty(other.hours, at_us) for other in team.members)


def _add(found: dict[str, Recipient], new: Recipient) -> None:
    """One delivery a channel: the sooner of both, with the fuller view of the two roles."""
    old = found.get(new.channel)
    if old is None:
        found[new.channel] = new
        return
    role = max(old.role, new.role, key=ROLE_ORDER.index)
    found[new.channel] = old._replace(from_us=min(old.from_us, new.from_us), role=role)
