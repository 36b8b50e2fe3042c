"""What the Evaluate page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.evaluate.server import Evaluating
from ppap.studio.requests import REFUSALS, RequestError


def routes(evaluating: Evaluating) -> list[Route]:
    """Reports as pages and as JSON, and small pictures of their images."""

    def report(request: Request) -> Response:
        """A report as a page that stands alone, or as JSON."""
        query = request.query_params
        try:
            if query.get("json"):
                report = evaluating.reports.folder_of(query.get("key", "")) / "report.json"
                return FileResponse(report, media_type="application/json", filename=report.name)
            page = evaluating.reports.page(query.get("key", ""))
        except RequestError as error:
            return Response(html.escape(str(error)), 404)
        return FileResponse(page, media_type="text/html")

    def thumbnail(request: Request) -> Response:
        """A report's image, small, for the page's list."""
        query = request.query_params
        try:
            made = evaluating.thumbnail(query.get("key", ""), int(query.get("index", "")))
        except (ValueError, *REFUSALS) as error:
            return Response(html.escape(str(error)), 404)
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(made, media_type="image/jpeg", headers=headers)

    return [
        Route("/studio/report", report),
        Route("/studio/report/thumbnail", thumbnail),
    ]
