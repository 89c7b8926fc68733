"""How surprising is a placement? Routine, chance, series, company."""
