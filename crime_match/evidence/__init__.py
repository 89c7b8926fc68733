"""The evidence pack: what a match says of one wearer and one crime, as documents that a court can check and re-run."""
