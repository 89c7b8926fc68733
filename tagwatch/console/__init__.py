"""The console: the web page of the monitoring centre, and the API under it."""

from tagwatch.console.app import create_app
from tagwatch.console.server import serve

__all__ = ["create_app", "serve"]
