"""What is measured of a running service, and how Prometheus is told. No label is ever a person, a device, a place or a case."""
