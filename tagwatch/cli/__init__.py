"""The command line: one file a group of commands; each command imports what it needs when it runs."""

from tagwatch.cli.main import main

__all__ = ["main"]
