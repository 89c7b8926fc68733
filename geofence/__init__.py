"""Zones, curfews and schedules; which place a wearer is in, fix by fix, with its probability."""
