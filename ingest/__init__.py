"""Bytes into fixes and events: trail files, payloads, MQTT, the raw log."""
