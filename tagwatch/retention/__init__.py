"""Retention: for how long what is kept of whom, what a legal hold keeps, and how data are erased by policy and on order."""
