"""Alerts: rules over episodes, the ledger and its history, the outbox and its notifiers."""
