"""Backups of the database and the raw log, their verification and restoring, and recovery from the raw log alone."""
