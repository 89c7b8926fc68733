"""The simulator: a seeded town, its wearers, what their tags report, and the truth behind it."""
