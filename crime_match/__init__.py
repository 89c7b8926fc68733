"""The crime match: who was near a place in a window, and who can be ruled out."""
