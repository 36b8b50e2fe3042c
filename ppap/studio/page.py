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
from ppap.studio.ablating import Ablating
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.endpoints import add_endpoints
from ppap.studio.evaluate_endpoints import add_evaluate_endpoints
from ppap.studio.evaluating import Evaluating
from ppap.studio.loading import Loader
from ppap.studio.requests import RequestError
from ppap.studio.segment_endpoints import add_segment_endpoints
from ppap.studio.segmenting import Segmenting
from ppap.studio.server import Server
from ppap.studio.sources import Sources
from ppap.studio.store import BatchGone, BatchStore
from ppap.studio.studies import KINDS, Studies
from ppap.studio.study_endpoints import add_study_endpoints
from ppap.studio.studying import Studying
from ppap.studio.training import Training
from ppap.studio.training_endpoints import add_training_endpoints
from trainers.runner import Runner

ASSETS = Path(__file__).parent.parent.parent / "assets" / "studio"
RUNS = Path(__file__).parent.parent.parent / "runs"
QUEUE_SECONDS = 0.02
MOUNT = """
import(new URL('studio/static/SCRIPT', document.baseURI))
  .then((page) => page.mount(element, server, upload))
  .catch((error) => console.error(error));
"""
# Links of our own: gradio rewrites the selectors of styles that it is handed.
STYLES = ("studio.css", "segment.css", "evaluate.css", "train.css", "study.css")
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


def add_tab(id: str, title: str, script: str, calls: list[Callable[[Any], Any]]) -> None:
    """A tab that its own script fills when it is first looked at."""
    with gr.Tab(title, id=id):
        gr.HTML(
            html_template=f'<div class="ppap" id="{id}"><p>Loading the studio…</p></div>',
            js_on_load=MOUNT.replace("SCRIPT", script),
            apply_default_css=False,
            server_functions=[plain(call) for call in calls],
        )


class Studio:
    """Everything that one running studio holds."""

    def __init__(
        self,
        *,
        backbone: str = "embedded",
        folders: list[Path] | None = None,
        local: bool = True,
        runs: Path = RUNS,
        trains: bool | None = None,
    ) -> None:
        """Build a studio.

        Args:
            backbone: the one that pages begin with.
            folders: offered to pages.
            local: whether no other machine can reach it; then pages may look into any folder.
            runs: the folder of all runs.
            trains: whether pages may start and change runs; by default if it is local.
        """
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
        trains = local if trains is None else trains
        self.checkpoints, self.crf = Checkpoints(runs, sources), CrfProcesses()
        self.segmenting = Segmenting(
            self.loader, self.checkpoints, self.crf, backbone=backbone, trains=trains
        )
        self.evaluating = Evaluating(
            self.checkpoints,
            self.crf,
            folders=[str(folder) for folder in folders],
            allowed=trains,
        )
        self.studying = Studying(
            Studies(runs),
            sources,
            folders=[str(folder) for folder in folders],
            backbone=backbone,
            allowed=trains,
        )
        self.training = Training(Runner(runs), sources, allowed=trains)
        self.ablating = Ablating(self.training.runner, sources, allowed=trains)
        self.blocks = self._build()

    def _build(self) -> gr.Blocks:
        with gr.Blocks(title="PPAP Studio", fill_width=True) as blocks:
            gr.HTML(MASTHEAD, apply_default_css=False)
            with gr.Tabs():
                add_tab("explore", "Explore", "studio.js", self.server.calls())
                add_tab(
                    "study", "Study", "study.js", [*self.studying.calls(), *self.ablating.calls()]
                )
                add_tab("train", "Train", "train.js", self.training.calls())
                add_tab("evaluate", "Evaluate", "evaluate.js", self.evaluating.calls())
                add_tab("segment", "Segment", "segment.js", self.segmenting.calls())
            add_endpoints(blocks, self.server)
            add_study_endpoints(blocks, self.studying, self.ablating)
            add_training_endpoints(blocks, self.training)
            add_evaluate_endpoints(blocks, self.evaluating)
            add_segment_endpoints(blocks, self.segmenting)
        blocks.queue(max_size=64)
        # gradio looks into its queue a thousand times a second, which alone is 5 % of a core. Only
        # scripts' endpoints go through it.
        blocks._queue.sleep_when_free = QUEUE_SECONDS
        return blocks

    def routes(self) -> list[Any]:
        """What the page fetches besides gradio's own files."""
        return [
            Mount("/studio/static", StaticFiles(directory=ASSETS)),
            Route("/studio/plotly.min.js", self._plotly),
            Route("/studio/batch/{key}.jpg", self._picture),
            Route("/studio/run/{name}/{step:int}/{image:int}.png", self._prediction),
            Route("/studio/report", self._report),
            Route("/studio/study/{key}/{name}", self._study),
            Route("/studio/segment/{key}.zip", self._segment_zip),
            Route("/studio/segment/{key}/{image:int}/{kind}", self._segment),
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

    def _prediction(self, request: Request) -> Response:
        """What a run predicted of an image at a step."""
        found = self.training.picture(**request.path_params)
        if found is None:
            return Response("There is no such picture.", 404)
        return FileResponse(found, media_type="image/png", headers={"Cache-Control": "no-cache"})

    def _report(self, request: Request) -> Response:
        """A report as a page that stands alone, or as JSON."""
        query = request.query_params
        try:
            if query.get("json"):
                report = self.evaluating.reports.folder_of(query.get("key", "")) / "report.json"
                return FileResponse(report, media_type="application/json", filename=report.name)
            page = self.evaluating.reports.page(query.get("key", ""))
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        return FileResponse(page, media_type="text/html")

    def _study(self, request: Request) -> Response:
        """A study's figure, table or page."""
        try:
            file = self.studying.studies.file(**request.path_params)
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        name = None if request.query_params.get("show") else f"{file.parent.name}-{file.name}"
        return FileResponse(file, media_type=KINDS[file.suffix], filename=name)

    def _segment(self, request: Request) -> Response:
        """A photo, or a label map as one byte a pixel."""
        image, kind = request.path_params["image"], request.path_params["kind"]
        headers = {"Cache-Control": "private, max-age=3600"}
        try:
            result = self.segmenting.store.result(request.path_params["key"])
            if kind == "photo":
                photo = result.photo(image)
                return Response(photo, media_type="image/jpeg", headers=headers)
            data = result.drawing(image, kind).data
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        # zlib's format is what HTTP calls deflate: browsers unpack it themselves.
        headers["Content-Encoding"] = "deflate"
        return Response(data, media_type="application/octet-stream", headers=headers)

    def _segment_zip(self, request: Request) -> Response:
        try:
            taken = self.segmenting.taken(request.path_params["key"])
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        return FileResponse(taken.file, media_type="application/zip", filename=taken.name)

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
            head="".join(
                f'<link rel="stylesheet" href="studio/static/{style}">' for style in STYLES
            ),
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
            self.training.runner.runs()  # starts what waits since before
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
        self.segmenting.close()
        self.evaluating.close()
        self.studying.close()
        self.crf.close()
        self.maps.close()
        self.blocks.close(verbose=False)
