"""Whether the service is well: its parts, its clock, and who is told (pages, systemd, Prometheus)."""
