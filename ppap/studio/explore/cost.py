"""What pages ask before and while a batch is loaded: what it would cost, and to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppap.studio.answers import answering
from ppap.studio.costs import duration
from ppap.studio.loading import Loader
from ppap.studio.requests import MAX_IMAGES, RequestError, mapping, read_request

MOST_ASKED = 12


class Costing:
    """The part of Explore's server that knows costs and cancels."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.cost, self.cancel]

    @answering
    def cost(self, request: Any) -> dict[str, Any]:
        """What ``images`` images cost at each of ``sizes``, with a request's features."""
        request = mapping(request)
        sizes = request.get("sizes")
        if not isinstance(sizes, list) or not 1 <= len(sizes) <= MOST_ASKED:
            raise RequestError(f"The sizes must be a list of 1 to {MOST_ASKED} numbers.")
        return {"costs": [self.of({**request, "size": size}) for size in sizes]}

    @answering
    def cancel(self, job: Any) -> dict[str, Any]:
        """Stop loading; what is shown stays."""
        self.loader.cancel(job)
        return {}

    def of(self, request: Any) -> dict[str, Any]:
        """The cost of a batch as plain values, and why it would be refused, if it would."""
        images = request.get("images")
        whole = isinstance(images, int) and not isinstance(images, bool)
        if not whole or not 1 <= images <= MAX_IMAGES:
            raise RequestError(f"The images must be a whole number from 1 to {MAX_IMAGES}.")
        # Neither which images nor where they are matters.
        plain = {k: v for k, v in request.items() if k not in ("images", "files")}
        wanted = read_request({**plain, "source": "samples"})
        found = self.loader.costs.of(wanted, images)
        refused = ""
        try:
            self.loader.costs.check(wanted, images)
        except RequestError as error:
            refused = str(error)
        short = count_of(found.patches) if found.seconds is None else brief(found.seconds)
        return {**found._asdict(), "text": str(found), "short": short, "refused": refused}


def brief(seconds: float) -> str:
    """Seconds as they fit on a button."""
    return "<1 s" if seconds < 1 else duration(seconds)


def count_of(patches: int) -> str:
    """``784``, ``6.3k``, ``50k``: what fits on a button."""
    if patches < 1000:
        return str(patches)
    return f"{patches / 1000:.1f}k" if patches < 9950 else f"{round(patches / 1000)}k"
