"""The fix store: tables of fixes and device events, and the summaries that lie over them."""
