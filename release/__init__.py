"""What goes into a release: the locks, what is known of their parts, the bill of materials, the audit, the same bytes twice."""
