"""Matching against planted truth: what the verdicts say of wearers whose true ways are known."""
