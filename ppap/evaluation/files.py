"""A report's files in a folder: JSON, text, page and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ppap.evaluation.markdown import as_markdown
from ppap.evaluation.page import as_page
from ppap.evaluation.per_image import PerImage
from ppap.evaluation.pictures import Pictured, strip
from ppap.evaluation.report import Report, write_json, write_text
from ppap.writing import writing

JSON, TEXT, PAGE = "report.json", "report.md", "report.html"


def write_report(
    report: Report,
    folder: Path,
    pictures: Iterable[Pictured] = (),
    *,
    counts: PerImage | None = None,
    strips: bool = True,
) -> Path:
    """Write ``report.json``, ``report.md``, ``report.html``, and a PNG for every pictured image.

    Args:
        report: from ``build_report``.
        folder: made where it is missing; files of these names are replaced.
        pictures: from ``pictured``.
        counts: every image's, written beside ``report.json`` as ``images.npz``.
        strips: whether to write the PNGs, too; the page holds its own.

    Returns:
        The page's path.

    Raises:
        OSError: a file cannot be written.
        DataError: an image that is to be pictured cannot be read any more.
    """
    write_json(report, folder / JSON, counts)
    write_text(as_markdown(report), folder / TEXT)
    shown = list(_kept(pictures, report, folder if strips else None))
    write_text(as_page(report, shown), folder / PAGE)
    return folder / PAGE


def _kept(pictures: Iterable[Pictured], report: Report, folder: Path | None) -> Iterator[Pictured]:
    count: dict[str, int] = {}
    for one in pictures:
        count[one.kind] = count.get(one.kind, 0) + 1
        if folder is not None:
            file = folder / f"{one.kind}-{count[one.kind]}-{file_name(one.name)}.png"
            with writing(file) as partial:
                strip(one, report["colours"]).save(partial, "PNG")
        yield one


def file_name(name: str, most: int = 60) -> str:
    """An image's name as part of a file's: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-most:].strip("._") or "image"
