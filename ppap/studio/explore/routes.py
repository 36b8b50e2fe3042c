"""What the Explore page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ppap.studio.explore.server import Server
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
