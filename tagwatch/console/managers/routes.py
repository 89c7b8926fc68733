"""Offender managers: their own wearers, nights kept and broken, trails, the case conference."""

from __future__ import annotations

from tagwatch.console.managers import conference, trail_files, trail_page, wearer_list, wearer_page

routers = (wearer_list.router, trail_files.router, trail_page.router, wearer_page.router, conference.router)
"""The trail's routes before the wearer's: an identifier may hold anything."""
