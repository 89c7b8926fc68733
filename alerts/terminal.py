"""Deliveries on a terminal: one line each."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from alerts.delivery import Delivery, printable
from engine.times import SECOND_US, Clock, system_clock, to_iso

STYLES = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "cyan"}


class TerminalNotifier:
    """One readable line a version, in colour where the stream is a terminal; times are of the clock, UTC."""

    def __init__(self, stream: TextIO, clock: Clock = system_clock) -> None:
        self._stream, self._clock = stream, clock
        self._console = Console(file=stream, highlight=False, soft_wrap=True) if stream.isatty() else None

    def send(self, delivery: Delivery) -> None:
        """Print the line and flush it."""
        alert = delivery.content
        lead = f"{to_iso(self._clock() // SECOND_US * SECOND_US)[:19]}Z  "
        grade = f"{alert['grade'].upper():<8}"
        about = (
            f"  {alert['wearer']}  {alert['rule']}  {alert['subject']}  [{delivery.reason}]  {alert['why'].get('text', '')}"
        )
        lead, about = printable(lead), printable(about)
        if self._console is None:
            print(lead + grade + about, file=self._stream)
        else:
            self._console.print(Text.assemble(lead, (grade, STYLES.get(alert["grade"], "")), about))
        self._stream.flush()


class Unseen:
    """Takes what a terminal would show, where nobody looks at one."""

    def send(self, delivery: Delivery) -> None:
        """Nothing: the other channels and the queue tell it."""
