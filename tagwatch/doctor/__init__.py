"""The doctor: a file an examination; each finds what is wrong with one part and says what to do."""
