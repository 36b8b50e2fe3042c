"""From data to checkpoints: everything that happens inside the process of a run.

May import ``cache``, ``cropping``, ``runs``, ``reporting``, ``recipes`` and what is below them;
nothing that starts runs for others.
"""
