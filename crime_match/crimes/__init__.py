"""Crimes: what a force reports, read from its files, checked, and kept by version."""
