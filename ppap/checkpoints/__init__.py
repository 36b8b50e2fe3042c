"""Checkpoint files: our own, those of the published implementation, and opening either."""
