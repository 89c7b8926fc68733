"""The log: one line an event, from a closed list of events, with nothing in it that tells of a person or a place."""
