"""What the Train page fetches by its address."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.train.server import Training


def routes(training: Training) -> list[Route]:
    """What runs predicted."""

    def prediction(request: Request) -> Response:
        """What a run predicted of an image at a step."""
        found = training.picture(**request.path_params)
        if found is None:
            return Response("There is no such image.", 404)
        headers = {"Cache-Control": "no-cache"}
        if isinstance(found, bytes):
            return Response(found, media_type="image/png", headers=headers)
        return FileResponse(found, media_type="image/png", headers=headers)

    return [
        Route("/studio/run/{name}/{step:int}/{image:int}.png", prediction),
    ]
