"""The page as gradio sees it: a header, the tabs, the endpoints for scripts, and what is served."""

from __future__ import annotations

import html
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before gradio is imported, so that it looks nothing up outside, neither here nor in the page.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ppap.embedding import MapService
from ppap.studio.endpoints import add_endpoints
from ppap.studio.loading import Loader
from ppap.studio.server import Server
from ppap.studio.sources import Sources
from ppap.studio.store import BatchGone, BatchStore

ASSETS = Path(__file__).parent.parent.parent / "assets" / "studio"
MOUNT = """
import(new URL('studio/static/studio.js', document.baseURI))
  .then((studio) => studio.mount(element, server, upload))
  .catch((error) => console.error(error));
"""
MASTHEAD = """
<header class="masthead">
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" fill="#172033"/>
    <path d="M7 24C11 12 17 9 25 8" fill="none" stroke="#dc267f" stroke-width="2.5"/>
    <rect x="4.5" y="21.5" width="5" height="5" fill="none" stroke="#fff" stroke-width="2"/>
    <circle cx="15.4" cy="12.6" r="2.6" fill="#ffb000"/>
    <circle cx="25" cy="8" r="3.6" fill="#3d7bff" stroke="#fff" stroke-width="1.2"/>
  </svg>
  <h1>PPAP Studio</h1>
</header>
"""


def plain(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method as a function: gradio sets attributes on what the page may call."""

    def call(argument: Any = None) -> Any:
        return method(argument)

    call.__name__ = method.__name__
    return call


class Studio:
    """Everything that one running studio holds."""

    def __init__(
        self, *, backbone: str = "embedded", folders: list[Path] | None = None, local: bool = True
    ) -> None:
        folders = folders or []
        self.store = BatchStore()
        sources = Sources(folders, uploads=Path(get_upload_folder()), any_folder=local)
        self.loader = Loader(self.store, sources, backbone=backbone)
        self.maps = MapService()
        self.server = Server(
            self.store,
            self.loader,
            self.maps,
            backbone=backbone,
            folders=[str(folder) for folder in folders],
        )
        self.blocks = self._build()

    def _build(self) -> gr.Blocks:
        with gr.Blocks(title="PPAP Studio", fill_width=True) as blocks:
            gr.HTML(MASTHEAD, apply_default_css=False)
            with gr.Tabs(), gr.Tab("Explore", id="explore"):
                gr.HTML(
                    html_template='<div class="ppap" id="explore"><p>Loading the studio…</p></div>',
                    js_on_load=MOUNT,
                    apply_default_css=False,
                    server_functions=[plain(call) for call in self.server.calls()],
                )
            add_endpoints(blocks, self.server)
        blocks.queue(max_size=64)
        return blocks

    def routes(self) -> list[Any]:
        """What the page fetches besides gradio's own files."""
        return [
            Mount("/studio/static", StaticFiles(directory=ASSETS)),
            Route("/studio/plotly.min.js", self._plotly),
            Route("/studio/batch/{key}.jpg", self._picture),
        ]

    @staticmethod
    def _plotly(request: Request) -> Response:
        spec = importlib.util.find_spec("plotly")
        if spec is None or spec.origin is None:
            return Response("plotly is not installed", 404)
        script = Path(spec.origin).parent / "package_data" / "plotly.min.js"
        return FileResponse(script, media_type="text/javascript")

    def _picture(self, request: Request) -> Response:
        try:
            held = self.store.get(request.path_params["key"])
        except BatchGone as error:
            return Response(html.escape(str(error)), 404)
        data, _ = self.server.picture(held)
        # The id in the address is the key to the pictures: no shared cache may keep them.
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(data, media_type="image/jpeg", headers=headers)

    def serve(self, *, host: str, port: int) -> None:
        """Begin to serve and return; OSError where nothing can listen there."""
        font, font_mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
        self.blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            # It would praise public links.
            quiet=True,
            # Whatever the environment says: a tunnel would show this machine's folders to all.
            share=False,
            # Endpoints refuse with sentences; the text of anything else stays in the terminal.
            show_error=False,
            run_history=False,
            enable_monitoring=False,
            strict_cors=True,
            max_file_size="64mb",
            footer_links=["api"],
            # A link of our own: gradio rewrites the selectors of styles that it is handed.
            head='<link rel="stylesheet" href="studio/static/studio.css">',
            theme=gr.themes.Base(font=font, font_mono=font_mono),
            app_kwargs={"routes": self.routes()},
        )

    def launch(self, *, host: str, port: int) -> None:
        """Serve until interrupted; OSError as ``serve``.

        The samples are embedded and the worker for maps is warmed while the page loads.
        """
        try:
            self.serve(host=host, port=port)
            print(f"Open {self.blocks.local_url} in a browser. Ctrl+C ends it.", flush=True)
            job = self.loader.load({"source": "samples", "backbone": self.server.first_backbone})
            if job.error:
                print(job.error, flush=True)
            self.maps.warm()
            self.blocks.block_thread()
        finally:
            self.close()

    def close(self) -> None:
        """Stop serving, loading and laying out maps."""
        self.loader.close()
        self.maps.close()
        self.blocks.close(verbose=False)
