"""Training and evaluation from the command line: what runs for hours."""
