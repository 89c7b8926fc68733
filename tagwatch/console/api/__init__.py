"""The API that other systems use, version 1."""
