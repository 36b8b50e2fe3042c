"""A run's folder: what is in it, how it was started, where it stands, and watching it.

May import ``config`` and the library; nothing that trains or starts runs.
"""
