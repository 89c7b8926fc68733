"""Operators: the queue, alerts, shift handover, the supervisor's figures."""
