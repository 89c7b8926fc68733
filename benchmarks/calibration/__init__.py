"""Calibration: what is said with a probability, beside how often it is true."""
