"""Grids of settings that are trained: the plan, feeding it to the queue, and the table.

May import ``launching`` and what is below it; no command.
"""
