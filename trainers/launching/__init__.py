"""Runs that are started for others: orders, estimates, the queue on disk, keepers.

May import ``training`` and ``runs`` and what is below them; no command.
"""
