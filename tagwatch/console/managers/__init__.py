"""Offender managers: their own wearers, nights kept and broken, the case conference."""
