"""Disclosure: everything held about a person, or for a case, as one file that others can read."""
