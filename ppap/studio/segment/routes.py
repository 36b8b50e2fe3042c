"""What the Segment page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.requests import RequestError
from ppap.studio.segment.server import Segmenting


def routes(segmenting: Segmenting) -> list[Route]:
    """Photos, label maps and the ZIP."""

    def layer(request: Request) -> Response:
        """A photo, or a label map as one byte a pixel; as a page shows it, or large."""
        image, kind = request.path_params["image"], request.path_params["kind"]
        large = request.url.path.endswith("/large")
        headers = {"Cache-Control": "private, max-age=3600"}
        try:
            result = segmenting.store.result(request.path_params["key"])
            if kind == "photo":
                photo = result.photo(image, large=large)
                return Response(photo, media_type="image/jpeg", headers=headers)
            data = result.drawing(image, kind, large=large).data
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        # zlib's format is what HTTP calls deflate: browsers unpack it themselves.
        headers["Content-Encoding"] = "deflate"
        return Response(data, media_type="application/octet-stream", headers=headers)

    def archive(request: Request) -> Response:
        try:
            taken = segmenting.packing.taken(request.path_params["key"])
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        return FileResponse(taken.file, media_type="application/zip", filename=taken.name)

    return [
        Route("/studio/segment/{key}.zip", archive),
        Route("/studio/segment/{key}/{image:int}/{kind}", layer),
        Route("/studio/segment/{key}/{image:int}/{kind}/large", layer),
    ]
