"""What the Study page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.requests import RequestError
from ppap.studio.study.server import Studying
from ppap.studio.study.studies import KINDS
from ppap.study.dark import in_the_dark


def routes(studying: Studying) -> list[Route]:
    """The files of studies."""

    def study(request: Request) -> Response:
        """A study's figure, table or page; a figure for a dark page with ``dark=1``."""
        try:
            file = studying.studies.file(**request.path_params)
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        if file.suffix == ".svg" and request.query_params.get("dark"):
            return Response(in_the_dark(file.read_text("utf-8")), media_type=KINDS[file.suffix])
        name = None if request.query_params.get("show") else f"{file.parent.name}-{file.name}"
        return FileResponse(file, media_type=KINDS[file.suffix], filename=name)

    return [
        Route("/studio/study/{key}/{name}", study),
    ]
