"""What loading would cost, for scripts."""

# No "from __future__ import annotations" here: gradio reads the type of a result from the
# function's signature as it is, and would find a text.

from typing import Any

from ppap.studio.explore.cost import Costing
from ppap.studio.explore.server import Server
from ppap.studio.publishing import refusing


class CostEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self._costing = Costing(server.loader)

    def estimate_cost(
        self,
        images: int = 8,
        size: int = 448,
        backbone: str = "embedded",
        checkpoint: str = "",
        run: str = "",
        output: str = "",
    ) -> dict[str, Any]:
        """Estimate what a batch would cost to load, for squares and whole images alike.

        Args:
            images: how many, 1 to 64.
            size: in pixels, 64 to 2048.
            backbone: as for load_batch.
            checkpoint: as for load_batch.
            run: as for load_batch.
            output: as for load_batch.

        Returns:
            The size (rounded to whole patches), about how many patches, seconds (null until this
            backbone has been used) and bytes of memory; refused: why it would not be loaded and
            what would fit, or empty.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        if not output:
            del given["output"]
        with refusing():
            found = self._costing.of(given)
        return {name: found[name] for name in ("size", "patches", "seconds", "bytes", "refused")}
