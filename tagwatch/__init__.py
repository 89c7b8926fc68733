"""The face: command line, settings, service, demo, simulator and console."""
