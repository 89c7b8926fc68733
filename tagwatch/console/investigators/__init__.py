"""Investigators: who was near, crimes, matches, trails, evidence."""
