"""From a checkpoint and a data set to a report, for ``trainers.evaluate`` and the end of a run.

May import ``runs``, ``devices`` and what is below them; nothing that trains.
"""
