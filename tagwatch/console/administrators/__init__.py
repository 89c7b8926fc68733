"""Administrators and auditors: configuration, accounts, the audit log."""
