"""Signatures of a pack: inside the PDF and beside the manifest, the same bytes each time; nothing here opens a connection."""
