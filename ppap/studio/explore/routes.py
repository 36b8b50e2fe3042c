"""What the Explore page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.explore.animating import Animating
from ppap.studio.explore.noting import Noting
from ppap.studio.explore.server import Server
from ppap.studio.requests import RequestError
from ppap.studio.store import BatchGone


def routes(server: Server) -> list[Route]:
    """The pictures of the batches."""

    def picture(request: Request) -> Response:
        try:
            held = server.store.get(request.path_params["key"])
        except BatchGone as error:
            return Response(html.escape(str(error)), 404)
        data = server.picture(held).data
        # The id in the address is the key to the pictures: no shared cache may keep them.
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(data, media_type="image/jpeg", headers=headers)

    return [
        Route("/studio/batch/{key}.jpg", picture),
    ]


def animation_routes(animating: Animating) -> list[Route]:
    """Animations that were made."""

    def animation(request: Request) -> Response:
        try:
            job = animating.job(request.path_params["key"])
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        if job.file is None or not job.file.is_file():
            return Response("This animation is no longer available. Make it again.", 404)
        headers = {"Cache-Control": "private, no-store"}
        return FileResponse(job.file, media_type=job.type, filename=job.name, headers=headers)

    return [
        Route("/studio/animation/{key}", animation),
    ]


def note_routes(noting: Noting) -> list[Route]:
    """The pictures of notes, and notes as pages."""
    # Only their owner may see them: no shared cache may keep them.
    headers = {"Cache-Control": "private, max-age=3600"}

    def file(request: Request) -> Response:
        try:
            found = noting.kept.file(request.path_params["key"], request.path_params["name"])
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        return FileResponse(found, headers=headers)

    def page(request: Request) -> Response:
        key = request.path_params["key"]
        try:
            text = noting.page(key)
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        saved = {"Content-Disposition": f'attachment; filename="note-{key}.html"'}
        return Response(text, media_type="text/html", headers=headers | saved)

    return [
        Route("/studio/note/{key}.html", page),
        Route("/studio/note/{key}/{name}", file),
    ]
