"""The forms of the console's administrators: what is typed into an entry of the configuration, and back."""
