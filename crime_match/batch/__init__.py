"""Many crimes at once: the same verdicts by two plans, one exact kernel a pair."""
