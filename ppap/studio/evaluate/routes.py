"""What the Evaluate page fetches by its address."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ppap.studio.evaluate.server import Evaluating
from ppap.studio.requests import RequestError


def routes(evaluating: Evaluating) -> list[Route]:
    """Reports as pages and as JSON."""

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

    return [
        Route("/studio/report", report),
    ]
