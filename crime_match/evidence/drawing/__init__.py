"""The drawings of an evidence pack as SVG: maps, charts and their key, to the eye what the tables are to the letter."""
