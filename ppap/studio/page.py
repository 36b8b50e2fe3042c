"""The page as gradio sees it: a header, the tabs, the endpoints for scripts, and what is served."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from ppap.studio.temporary import FILES

# Before gradio is imported, so that it looks nothing up outside, neither here nor in the page.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from ppap.embedding.service import MapService
from ppap.places import ASSETS, runs_folder
from ppap.studio.access.application import Application
from ppap.studio.access.guard import TOKEN_PATH, Guard
from ppap.studio.access.listening import bind, gradio_listens
from ppap.studio.access.logins import MESSAGE, Logins
from ppap.studio.access.options import Access
from ppap.studio.access.sessions import WAITING, Sessions
from ppap.studio.browsing import Browsing
from ppap.studio.browsing_endpoints import add_browsing_endpoints
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.evaluate import routes as evaluate_routes
from ppap.studio.evaluate.endpoints import add_evaluate_endpoints
from ppap.studio.evaluate.server import Evaluating
from ppap.studio.explore import routes as explore_routes
from ppap.studio.explore.animating import Animating
from ppap.studio.explore.animation_endpoints import add_animation_endpoints
from ppap.studio.explore.endpoints import add_endpoints
from ppap.studio.explore.note_endpoints import add_note_endpoints
from ppap.studio.explore.notes import Notes
from ppap.studio.explore.noting import Noting
from ppap.studio.explore.server import Server
from ppap.studio.loading import Loader
from ppap.studio.segment import routes as segment_routes
from ppap.studio.segment.endpoints import add_segment_endpoints
from ppap.studio.segment.server import Segmenting
from ppap.studio.sources import Sources
from ppap.studio.stages import Stages
from ppap.studio.store import BatchStore
from ppap.studio.study import routes as study_routes
from ppap.studio.study.ablations import Ablating
from ppap.studio.study.endpoints import add_study_endpoints
from ppap.studio.study.server import Studying
from ppap.studio.study.studies import Studies
from ppap.studio.train import routes as train_routes
from ppap.studio.train.endpoints import add_training_endpoints
from ppap.studio.train.server import Training

QUEUE_SECONDS = 0.02
MOUNT = """
import(new URL('studio/static/PAGE/page.js', document.baseURI))
  .then((page) => page.mount(element, server, upload))
  .catch((error) => console.error(error));
"""
# Links of our own: gradio rewrites the selectors of styles that it is handed.
STYLES = (
    "shared/studio.css",
    "shared/sample.css",
    "explore/notes.css",
    "shared/folders.css",
    "shared/settings.css",
    "explore/beside.css",
    *(f"{page}/page.css" for page in ("explore", "segment", "evaluate", "train", "study")),
    "evaluate/measures.css",
    "train/list.css",
    "train/run.css",
    "train/charts.css",
    "train/predictions.css",
    "train/form.css",
)
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
LOGOUT = '<p class="logout"><a href="logout">Log out</a></p>'
STATIC = "/studio/static"


def plain(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method as a function: gradio sets attributes on what the page may call."""

    def call(argument: Any = None) -> Any:
        return method(argument)

    call.__name__ = method.__name__
    return call


def add_tab(id: str, title: str, calls: list[Callable[[Any], Any]]) -> None:
    """A tab that its own script fills when it is first looked at."""
    with gr.Tab(title, id=id):
        gr.HTML(
            html_template=f'<div class="ppap" id="{id}"><p>Loading the studio…</p></div>',
            js_on_load=MOUNT.replace("PAGE", id),
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
        runs: Path | None = None,
        trains: bool | None = None,
        access: Access | None = None,
    ) -> None:
        """Build a studio.

        Args:
            backbone: the one that pages begin with.
            folders: offered to pages.
            local: whether no other machine can reach it; then pages may look into any folder.
            runs: the folder of all runs; by default ``runs_folder``.
            trains: whether pages may start and change runs; by default if it is local.
            access: who is let in; by default everybody who can reach it, from its own pages.
        """
        FILES.open(self)
        folders, runs = folders or [], runs or runs_folder()
        self.access, self.sessions = access or Access(), Sessions()
        ownership = self.access.ownership
        self.store = BatchStore()
        sources = Sources(
            folders,
            uploads=Path(get_upload_folder()),
            any_folder=local,
            hides=partial(ownership.hides, runs.resolve()),
        )
        self.browsing = Browsing(sources, folders=folders, runs=runs)
        self.checkpoints, self.crf = Checkpoints(runs, sources, ownership), CrfProcesses()
        stages = Stages(self.checkpoints)
        self.loader = Loader(self.store, sources, backbone=backbone, stages=stages)
        self.maps = MapService()
        self.server = Server(
            self.store,
            self.loader,
            self.maps,
            backbone=backbone,
            folders=[str(folder) for folder in folders],
        )
        trains = local if trains is None else trains
        self.animating = Animating(self.server)
        keeps = trains or bool(self.access.passwords)
        self.noting = Noting(self.server, Notes(runs, ownership), allowed=keeps)
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
            Studies(runs, ownership),
            sources,
            folders=[str(folder) for folder in folders],
            backbone=backbone,
            allowed=trains,
            checkpoints=self.checkpoints,
        )
        self.training = Training(
            self.checkpoints.runner(), sources, allowed=trains, networks=self.loader.networks
        )
        self.ablating = Ablating(self.training.runner, sources, allowed=trains, ownership=ownership)
        self.blocks = self._build()

    def _build(self) -> gr.Blocks:
        browse = self.browsing.calls()
        with gr.Blocks(title="PPAP Studio", fill_width=True) as blocks:
            gr.HTML(MASTHEAD, apply_default_css=False)
            with gr.Tabs():
                add_tab(
                    "explore",
                    "Explore",
                    [*self.server.calls(), *self.noting.calls(), *self.animating.calls(), *browse],
                )
                add_tab("study", "Study", [*self.studying.calls(), *self.ablating.calls(), *browse])
                add_tab("train", "Train", [*self.training.calls(), *browse])
                add_tab("evaluate", "Evaluate", [*self.evaluating.calls(), *browse])
                add_tab("segment", "Segment", [*self.segmenting.calls(), *browse])
            if self.access.passwords:
                gr.HTML(LOGOUT, apply_default_css=False)
            add_browsing_endpoints(blocks, self.browsing)
            add_endpoints(blocks, self.server)
            add_note_endpoints(blocks, self.noting)
            add_animation_endpoints(blocks, self.animating)
            add_study_endpoints(blocks, self.studying, self.ablating)
            add_training_endpoints(blocks, self.training)
            add_evaluate_endpoints(blocks, self.evaluating)
            add_segment_endpoints(blocks, self.segmenting)
        # With logins each user has a share of it.
        blocks.queue(max_size=WAITING * (4 if self.access.passwords else 1))
        # gradio looks into its queue a thousand times a second, which alone is 5 % of a core. Only
        # scripts' endpoints go through it.
        blocks._queue.sleep_when_free = QUEUE_SECONDS
        return blocks

    def routes(self) -> list[Any]:
        """What the page fetches besides gradio's own files."""
        return [
            Mount(STATIC, StaticFiles(directory=ASSETS / "studio")),
            Route("/studio/plotly.min.js", self._plotly),
            *explore_routes.routes(self.server),
            *explore_routes.note_routes(self.noting),
            *explore_routes.animation_routes(self.animating),
            *study_routes.routes(self.studying),
            *train_routes.routes(self.training),
            *evaluate_routes.routes(self.evaluating),
            *segment_routes.routes(self.segmenting),
        ]

    @staticmethod
    def _plotly(request: Request) -> Response:
        spec = importlib.util.find_spec("plotly")
        if spec is None or spec.origin is None:
            return Response("plotly is not installed", 404)
        script = Path(spec.origin).parent / "package_data" / "plotly.min.js"
        return FileResponse(script, media_type="text/javascript")

    def _answers(self, path: str) -> bool:
        """Whether the studio itself, not gradio, has something at a path."""
        if path == TOKEN_PATH:
            return True
        if path.startswith(f"{STATIC}/"):
            return (ASSETS / "studio" / path.removeprefix(f"{STATIC}/")).is_file()
        scope = {"type": "http", "path": path, "root_path": "", "method": "GET", "headers": []}
        return any(route.matches(scope)[0] is not Match.NONE for route in self.routes())

    def serve(self, *, host: str, port: int) -> None:
        """Begin to serve and return; CannotListen, an OSError, where nothing can listen there."""
        font, font_mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
        policy, passwords = self.access.policy(host), self.access.passwords
        self.sessions.follow(self.blocks._queue)

        def guarded(app: Any) -> Guard:
            return Guard(app, policy, self.sessions, self._answers)

        head = [f'<link rel="stylesheet" href="studio/static/{style}">' for style in STYLES]
        if policy.origins:
            script = (ASSETS / "studio" / "shared" / "token.js").read_text(encoding="utf-8")
            head.insert(0, f"<script>{script.replace('TOKEN', json.dumps(policy.token))}</script>")
        space = self.access.space
        unguarded = space and not passwords  # a Space goes on as gradio starts it
        sockets = [] if unguarded else bind(host, port)
        with nullcontext() if unguarded else gradio_listens(sockets, host, port, guarded):
            self.blocks.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                # It would praise public links.
                quiet=True,
                # In a notebook it would show a frame of its own.
                inline=False,
                # Whatever the environment says: a tunnel would show this machine's folders to all.
                share=False,
                # Endpoints refuse with sentences; the text of anything else stays in the terminal.
                show_error=False,
                run_history=False,
                enable_monitoring=False,
                strict_cors=True,
                max_file_size="64mb",
                footer_links=["api"],
                head="".join(head),
                theme=gr.themes.Base(font=font, font_mono=font_mono),
                root_path=policy.root,
                auth=Logins(passwords).check if passwords else None,  # type: ignore[arg-type]
                auth_message=MESSAGE if passwords else None,
                # Nothing may answer beside the guard: neither another server nor another process.
                ssr_mode=None if space else False,
                mcp_server=None if space else False,
                num_workers=None if space else 0,
                _app=Application(self.routes()),
            )

    def launch(self, *, host: str, port: int) -> None:
        """Serve until interrupted; OSError as ``serve``.

        The samples are embedded and the worker for maps is warmed while the page loads.
        """
        try:
            self.serve(host=host, port=port)
            print(f"Open {self.blocks.local_url} in a browser. Press Ctrl+C to stop.", flush=True)
            print(f"Runs are kept in {self.training.runner.root}.", flush=True)
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
        self.server.surveys.close()
        self.segmenting.close()
        self.evaluating.close()
        self.studying.close()
        self.training.suggesting.close()
        self.crf.close()
        self.maps.close()
        self.blocks.close(verbose=False)
        FILES.close(self)
