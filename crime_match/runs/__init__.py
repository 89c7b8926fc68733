"""Match runs: named by what went in, written in several forms, kept, and stale when a crime has changed."""
