"""Runs for scripts: which steps Explore can show."""

# No "from __future__ import annotations" here: see ``endpoints.py``.

from typing import Any

from ppap.studio.explore.server import Server
from ppap.studio.publishing import refusing


class RunEndpoints:
    """What scripts may ask about runs; each method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def run_steps(self, run: str) -> dict[str, Any]:
        """List the checkpoints that a run has kept, whose features load_batch can load.

        Args:
            run: the name of a run that has a checkpoint.

        Returns:
            The steps, each with its other names (reported, best, last), the run's total number of
            steps, and its setting keep.
        """
        with refusing():
            return self.server.stages.steps(run)
