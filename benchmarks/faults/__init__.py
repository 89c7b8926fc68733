"""The fault table: each fault is produced for real, and what it lost, doubled and took is counted (docs/reliability.md)."""
