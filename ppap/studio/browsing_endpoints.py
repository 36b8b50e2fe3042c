"""The server's folders for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see ppap.studio.explore.endpoints.

from typing import Any

import gradio as gr

from ppap.studio.browsing import Browsing
from ppap.studio.publishing import publish, said


def add_browsing_endpoints(blocks: gr.Blocks, browsing: Browsing) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = BrowsingEndpoints(browsing)
    for function in (endpoints.browse, endpoints.look_at_folder):
        publish(blocks, function)


class BrowsingEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, browsing: Browsing) -> None:
        self.browsing = browsing

    def browse(
        self, path: str = "", want: str = "folder", filter: str = "", start: int = 0
    ) -> dict[str, Any]:
        """List a folder of the server, as far as the studio may show it.

        Args:
            path: the folder; empty for the places to start from.
            want: "folder", "checkpoint", "backbone" or "features": which files are listed as well.
            filter: text that names must contain; case does not matter.
            start: how many entries to skip; 200 are returned at a time.

        Returns:
            Under "entries": name, kind and path ("where") of each; "total": how many match;
            "pictures": images directly in the folder; "up": the folder above; "said": what was
            left out. Without a path, "places".
        """
        given = {"path": path, "want": want, "filter": filter, "start": start}
        return without_files(said(self.browsing.browse_folder(given)))

    def look_at_folder(self, path: str) -> dict[str, Any]:
        """Say which data set a folder on the server looks like.

        Args:
            path: the folder.

        Returns:
            A sentence under "text", the images of every split, the number of classes, notes on the
            folder, and the first images as small JPEGs.
        """
        return without_files(said(self.browsing.looking.look_at_folder({"path": path})))


def without_files(value: Any) -> Any:
    """A reply in which no path is called "path": gradio's clients would fetch it as a file."""
    if isinstance(value, list):
        return [without_files(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {("where" if name == "path" else name): without_files(v) for name, v in value.items()}
