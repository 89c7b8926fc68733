"""Leadership: which of several instances serves, and how the others take over."""
