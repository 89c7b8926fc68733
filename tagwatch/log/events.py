"""Every event that is logged, with its code, which never changes, and what to do. The runbook lists them: `python -m
tagwatch.log.events` prints them as a table. What is not here is logged as UNLISTED, without its words."""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    """A code, and what who runs the service does about it."""

    code: str
    advice: str


UNLISTED = Event("LOG-UNLISTED", "Report it: a line was written that this list does not know; its words are withheld.")
LIBRARY = "a library says something"
UNCAUGHT = "an exception was caught by nobody"

EVENTS = {
    "ready": Event("SVC-READY", "Nothing: the state was taken up, and messages are taken."),
    "starting again from what is stored": Event(
        "SVC-AGAIN",
        "See `trouble`: the database, the disk or the broker was lost. Nothing is lost; the service comes back by itself. Look"
        " after what was lost; where the line comes again and again without that, report the place that it names.",
    ),
    "taken again from the raw log": Event(
        "SVC-TAKEN-AGAIN", "Nothing: a crash cut off a transaction, and what the raw log had kept was taken again."
    ),
    "import taken over": Event("SVC-IMPORT", "Nothing: fixes were imported beside the service, which has read them."),
    "horizons moved": Event("SVC-HORIZON", "Nothing: time was closed by retention or an order, and memory follows it."),
    "configuration taken over": Event("SVC-CONFIGURATION", "Nothing: zones, curfews or activations were changed."),
    "nobody is told": Event(
        "SVC-NOBODY-TOLD",
        "Teams have channels that no settings serve, or were never imported: `tagwatch doctor` says how many, `tagwatch teams"
        " list` which.",
    ),
    "the service died while it took messages; they are tried in halves": Event(
        "SVC-DIED", "Look for the kernel's out-of-memory line (`journalctl -k`); then for SVC-POISON."
    ),
    "taking failed; messages are tried in halves": Event("SVC-HALVES", "Wait for SVC-POISON or SVC-READY."),
    "a message is poison; it goes to quarantine": Event(
        "SVC-POISON", "Report the place that `error` names; the message is in quarantine as it was sent, and nothing waits."
    ),
    "messages of many devices cannot be taken: this is no poison, they wait": Event(
        "SVC-NOT-POISON", "A fault of ours or of the database: messages wait and are not lost. Report the lines before."
    ),
    "broker away": Event(
        "MQT-AWAY",
        "See `reason`; look after the broker, the network, the certificate. Messages wait with the broker and the tags.",
    ),
    "the broker refuses a part of the subscription": Event(
        "MQT-REFUSED", "Its access rules keep `topics` from the service: tagwatch broker acl writes the right ones."
    ),
    "leads": Event("HA-LEADS", "Nothing: this instance serves from now on, in term `number`."),
    "leadership stumbled; it is tried again": Event("HA-STUMBLED", "See `fault`: no memory? Where it goes on, report it."),
    "stands by: another instance leads": Event("HA-STANDBY", "Nothing: it takes over where the other one fails."),
    "another instance has taken over": Event(
        "HA-DEPOSED",
        "This instance was silent for too long. Look why: load, a machine that was paused, the way to the database.",
    ),
    "the broker cannot be reached from here: another instance may lead": Event(
        "HA-NO-BROKER", "Look after the way from this machine to the broker; the other instance leads meanwhile."
    ),
    "store kept up": Event("UPK-DONE", "Nothing."),
    "upkeep failed; it is tried again": Event(
        "UPK-FAILED", "See `fault`; it is tried every ten minutes. Where it goes on: `tagwatch doctor`, part store."
    ),
    "retention waits": Event("RET-WAITS", "Nothing, unless it goes on: an order of erasure is being carried out."),
    "retention waits: is the clock right": Event(
        "RET-CLOCK",
        "No fix is younger than a week. Look at the clock; where it is right and nobody is monitored, tagwatch retention run.",
    ),
    "retention run": Event("RET-DONE", "Nothing; `tagwatch retention show` tells what is in force."),
    "a day of the raw log has no root": Event(
        "RAW-NO-ROOT", "Run `tagwatch doctor --thorough`: it names the fault. Is the key's password in the environment?"
    ),
    "courier waits for the database": Event("OUT-NO-DATABASE", "Look after the database; deliveries wait in it."),
    "courier stumbled and starts again": Event("OUT-STUMBLED", "Report `fault`; deliveries go on."),
    "receiver is away": Event(
        "OUT-AWAY", "Look after the receiver of this kind (webhook, mail server, broker); deliveries wait and are repeated."
    ),
    "the clock was set back: what waited by it is due": Event(
        "OUT-CLOCK", "Nothing: deliveries that were to wait by the old clock are tried at once. See CLK-STEP."
    ),
    "delivery given up": Event(
        "OUT-DEAD",
        "See `tagwatch outbox dead` for why; repair that, then `tagwatch outbox resend`. Tell the centre by phone.",
    ),
    "job failed": Event("WEB-JOB", "Report `fault`; who asked is told on the page."),
    "the feed is without its database": Event("WEB-NO-DATABASE", "Look after the database."),
    "a row could not be told": Event("WEB-ROW", "Report `fault`; one change was not shown live, a page shows it."),
    "the clock was set": Event(
        "CLK-STEP",
        "Find out who set the clock (`journalctl -u chrony`). Arrivals before and after are not comparable by `step_s`; alerts"
        " that rest on arrival may be late or early by it. Let the clock be slewed, not stepped.",
    ),
    "the clock is out of bound": Event(
        "CLK-OUT", "Is chrony or timesyncd running (`timedatectl`)? The service says it is not ready until it is right."
    ),
    "the clock is within its bound again": Event("CLK-IN", "Nothing; what was received meanwhile bears a wrong arrival."),
    "not ready": Event("HLT-NOT-READY", "`part` says what: /health/ready has a sentence on it. See the table of alarms."),
    "ready again": Event("HLT-READY", "Nothing."),
    "the service hangs": Event(
        "HLT-HANGS", "systemd or compose starts it again. Report the lines before; is the database waiting for a lock?"
    ),
    "figures of the database are not to be had": Event(
        "MET-NO-FIGURES",
        "Look after the database; where it is well, its counts took longer than two seconds: nothing is lost.",
    ),
    "metrics and health cannot be served": Event(
        "MET-PORT", "The port of `[metrics] listen` is taken, or the address is none of this machine: set another one."
    ),
    LIBRARY: Event("LIB", "Report it where it comes often; `logger` and `place` say who."),
    UNCAUGHT: Event("UNCAUGHT", "Report `fault`; the service was left or a thread ended, and is started again."),
}


def code_of(event: str) -> str:
    """The code of an event's words."""
    return EVENTS.get(event, UNLISTED).code


def table() -> str:
    """The events as Markdown."""
    rows = [f"| `{one.code}` | {words} | {one.advice} |" for words, one in EVENTS.items()]
    last = f"| `{UNLISTED.code}` | (withheld) | {UNLISTED.advice} |"
    return "\n".join(["| code | event | what to do |", "|---|---|---|", *rows, last])


if __name__ == "__main__":
    print(table())
