"""The report, the draft statement and the method: what a pack says to people who read it."""
