"""gradio's application, with a folder of uploads for each user."""

from __future__ import annotations

from pathlib import Path

from gradio.routes import App, ORJSONResponse
from starlette.routing import BaseRoute

from ppap.studio.access.uploads import own_folder


class Application(App):
    """gradio's, in which everybody uploads into, and fetches from, a folder of their own.

    Args:
        routes: what it answers besides gradio's own.
    """

    _uploads: str

    def __init__(self, routes: list[BaseRoute]) -> None:
        super().__init__(routes=routes, default_response_class=ORJSONResponse)

    @property
    def uploaded_file_dir(self) -> str:
        """Where the files go of whoever asks right now."""
        return str(own_folder(Path(self._uploads)))

    @uploaded_file_dir.setter
    def uploaded_file_dir(self, folder: str) -> None:
        self._uploads = folder
