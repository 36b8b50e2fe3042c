"""A report as one page that stands alone: numbers, pictures, and nothing fetched or run."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from html import escape

import numpy as np
from PIL import Image

from ppap.data import VOID_COLOUR
from ppap.evaluation import starts_text
from ppap.evaluation.cells import per_cent
from ppap.evaluation.curve import curve
from ppap.evaluation.later import ABOUT, LATER_HEAD, later_cells
from ppap.evaluation.markdown import (
    BORDER_HEAD,
    CLUSTERING_HEAD,
    CLUSTERINGS,
    FREQUENCY,
    MEASURES,
    border_rows,
    borders_about,
    clustering_rows,
    distance_text,
    facts,
    frequency_rows,
    iou_columns,
    key,
    no_paper_row,
    retrieval_text,
    score_rows,
    subject,
)
from ppap.evaluation.pictures import UNMATCHED_COLOUR, Pictured, panels
from ppap.evaluation.report import Report, refinements
from ppap.places import ASSETS

STYLE = ASSETS / "report.css"
# Nothing may be loaded but what is in the page, and nothing may run.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# A matrix of more classes is too large to look at; the JSON has it.
MOST_IN_MATRIX = 60
# From this share on the fill is dark, or in dark mode bright, enough for the other ink.
FULL = 70


def as_page(report: Report, pictures: Iterable[Pictured]) -> str:
    """The page.

    Args:
        report: from ``build_report``.
        pictures: from ``pictured``; may be none.
    """
    sections: list[str] = []
    if report["cluster"] is not None:
        sections.append(section("Scores", _scores(report)))
    if report.get("later"):
        sections.append(section("Later methods", _later(report)))
    if "starts" in report:
        sections.append(section("Many starts", _starts(report)))
    if "clusterings" in report:
        sections.append(section("Any number of clusters", _clusterings(report)))
    if retrieval := retrieval_text(report):
        sections.append(section("Dense retrieval", [f"<p>{escape(retrieval)}</p>"]))
    if distance := distance_text(report):
        sections.append(section("Distance matching", [f"<p>{escape(distance)}</p>"]))
    if report["cluster"] is not None:
        sections.append(section("Images", _images(report, pictures)))
        if "borders" in report:
            sections.append(section("Borders and interiors", _borders(report)))
        sections.append(section("IoU by class", _classes(report)))
        sections.append(section("Class frequency", _frequency(report)))
        sections.append(section("Confusion", _matrices(report)))
    sections.append(section("What was evaluated", _facts(report)))
    return document("Evaluation", subject(report), [*_notes(report), *sections])


def document(heading: str, about: str, content: Iterable[str]) -> str:
    """A whole page that fetches and runs nothing; ``content`` is escaped already."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(f'{heading}: {about}')}</title>",
            f"<style>\n{STYLE.read_text(encoding='utf-8')}</style></head>",
            f'<body><main><h1>{escape(heading)}</h1><p class="subject">{escape(about)}</p>',
            *content,
            "</main></body></html>",
            "",
        ]
    )


def section(title: str, content: Iterable[str]) -> str:
    """A card; ``title`` is not escaped yet, ``content`` is."""
    body = "\n".join(content)
    return f"<section><h2>{escape(title)}</h2>\n{body}\n</section>"


def _notes(report: Report) -> Iterator[str]:
    yield '<ul class="notes">'
    for note in report["notes"]:
        warning = note.startswith(("Warning", "Reservation"))
        yield f"<li{' class=warning' if warning else ''}>{escape(note)}</li>"
    yield "</ul>"


def table(kind: str, head: Sequence[str], rows: Iterable[str]) -> Iterator[str]:
    """A table that scrolls by itself; ``rows`` are made already, ``head`` is not escaped yet."""
    yield f'<div class="scroll"><table class="{kind}"><thead><tr>'
    yield "".join(f"<th><span>{escape(name)}</span></th>" for name in head)
    yield "</tr></thead><tbody>"
    yield from rows
    yield "</tbody></table></div>"


def _row(label: str, values: Iterable[float | None], kind: str = "") -> str:
    cells = "".join(f"<td>{per_cent(value)}</td>" for value in values)
    return f'<tr class="{kind}"><th>{escape(label)}</th>{cells}</tr>'


def _scores(report: Report) -> Iterator[str]:
    rows = (
        _row(label, values, "measured" if label.startswith("measured") else "")
        for label, values in score_rows(report)
    )
    yield from table("scores", ("", *MEASURES), rows)
    yield f'<p class="quiet">{escape(key(report))}</p>'
    if sentence := no_paper_row(report):
        yield f'<p class="quiet">{escape(sentence)}</p>'


def _later(report: Report) -> Iterator[str]:
    rows = (
        f"<tr><th>{escape(system)}</th>{''.join(f'<td>{escape(one)}</td>' for one in cells)}</tr>"
        for system, *cells in later_cells(report)
    )
    yield from table("scores", LATER_HEAD, rows)
    yield f'<p class="quiet">{escape(ABOUT)}</p>'


def _starts(report: Report) -> Iterator[str]:
    def cells(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
        for label, *values in rows:
            body = "".join(f"<td>{escape(one)}</td>" for one in values)
            yield f"<tr><th>{escape(label)}</th>{body}</tr>"

    found = report["starts"]
    yield from table("scores", starts_text.HEAD, cells(starts_text.rows(found)))
    yield from table("scores", starts_text.GAIN_HEAD, cells(starts_text.gain_rows(found)))
    yield f'<p class="quiet">{escape(starts_text.about(found))}</p>'


def _clusterings(report: Report) -> Iterator[str]:
    rows = (
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{one}</td>' for one in cells)}</tr>"
        for label, *cells in clustering_rows(report)
    )
    yield from table("scores", CLUSTERING_HEAD, rows)
    yield curve(report["clusterings"]["rows"])
    yield f'<p class="quiet">{escape(CLUSTERINGS.format(**report["clusterings"]))}</p>'


def _borders(report: Report) -> Iterator[str]:
    rows = (_row(label, values) for label, values in border_rows(report))
    yield from table("frequency", BORDER_HEAD, rows)
    yield f'<p class="quiet">{escape(borders_about(report))}</p>'


def _frequency(report: Report) -> Iterator[str]:
    rows = (_row(label, values) for label, values in frequency_rows(report))
    yield from table("frequency", ("", "Few", "Medium", "Many", "All"), rows)
    yield f'<p class="quiet">{escape(FREQUENCY)}</p>'
    for name, group in report["groups"].items():
        yield f'<p class="quiet">{name.title()}: {escape(", ".join(group["classes"]))}.</p>'


def _swatch(colour: Sequence[int]) -> str:
    red, green, blue = colour
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'


def _legend(report: Report, pictures: Sequence[Pictured]) -> Iterator[str]:
    """The classes that occur in the pictures."""
    shown = {
        int(i)
        for one in pictures
        for ids in (one.truth, *one.predictions.values())
        for i in np.unique(ids)
    }
    yield '<div class="legend">'
    for i, (name, colour) in enumerate(zip(report["classes"], report["colours"], strict=True)):
        if i in shown:
            yield f"<span>{_swatch(colour)}{escape(name)}</span>"
    if any((one.truth < 0).any() for one in pictures):
        yield f"<span>{_swatch(VOID_COLOUR)}no ground truth</span>"
    if any((ids < 0).any() for one in pictures for ids in one.predictions.values()):
        yield f"<span>{_swatch(UNMATCHED_COLOUR)}cluster without a class</span>"
    yield "</div>"


def _images(report: Report, pictures: Iterable[Pictured]) -> Iterator[str]:
    shown = list(pictures)
    if not shown:
        yield '<p class="quiet">This report has no images.</p>'
        return
    how = next((f", with {title}" for title in refinements(report)), "")
    yield (
        '<p class="quiet">The best, median and worst images by the share of pixels that the '
        f"matched clusters classify correctly{how}.</p>"
    )
    yield from _legend(report, shown)
    measured = {one["index"]: one for one in report["images"]}
    for one in shown:
        yield from _image(one, measured[one.item], report["colours"])


def _image(one: Pictured, measured: Report, colours: Sequence[Sequence[int]]) -> Iterator[str]:
    captions = {"clusters": measured["cluster"], "linear": measured["linear"]}
    for name, scores in refinements(measured).items():
        captions[f"clusters, {name}"] = scores["cluster"]
        captions[f"linear, {name}"] = scores["linear"]
    found = panels(one, colours)
    yield f"<article><h3><b>{one.kind}</b> {escape(one.name)}</h3>"
    yield f'<div class="panels" style="--panels:{len(found)}">'
    for title, picture in found.items():
        address = _data_address(picture, photo=title == "image")
        caption = title
        if measures := captions.get(title):
            caption += f": {per_cent(measures['accuracy'])} % correct"
        alt = escape(f"{title} of {one.name}")
        yield (
            f'<figure><img src="{address}" alt="{alt}" width="{picture.shape[1]}" '
            f'height="{picture.shape[0]}"><figcaption>{escape(caption)}</figcaption></figure>'
        )
    yield "</div></article>"


def _data_address(picture: np.ndarray, *, photo: bool) -> str:
    """A picture as it goes into a page: JPEG for a photo, PNG for what must stay exact."""
    out = io.BytesIO()
    image = Image.fromarray(picture)
    if photo:
        image.save(out, "JPEG", quality=90)
    else:
        image.save(out, "PNG", optimize=True)
    kind = "jpeg" if photo else "png"
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def _classes(report: Report) -> Iterator[str]:
    columns = iou_columns(report)
    pixels = [sum(row) for row in report["cluster"]["confusion"]]
    total = sum(pixels) or 1

    def rows() -> Iterator[str]:
        for i, name in enumerate(report["classes"]):
            share = f"<td>{per_cent(100 * pixels[i] / total)}</td>"
            bars = "".join(_bar(scores["iou"][name]) for _, scores in columns)
            swatch = _swatch(report["colours"][i])
            yield f"<tr><th>{swatch}{escape(name)}</th>{share}{bars}</tr>"

    head = ("class", "% of pixels", *(title for title, _ in columns))
    body = table("classes", head, rows())
    if len(report["classes"]) > MOST_IN_MATRIX:
        yield f"<details><summary>All {len(report['classes'])} classes</summary>"
        yield from body
        yield "</details>"
    else:
        yield from body


def _bar(value: float | None) -> str:
    width = 0 if value is None else value
    return f'<td class="bar">{per_cent(value)}<span><i style="width:{width:.1f}%"></i></span></td>'


def _matrices(report: Report) -> Iterator[str]:
    if len(report["classes"]) > MOST_IN_MATRIX:
        yield (
            f'<p class="quiet">A matrix of {len(report["classes"])} classes is too large to show; '
            "it is in report.json.</p>"
        )
        return
    yield (
        '<p class="quiet">Rows are true classes, columns predicted classes, without CRF; '
        'percentages of the row.</p><div class="matrices">'
    )
    for title, probe in (("Clusters", "cluster"), ("Linear probe", "linear")):
        if report[probe] is None:
            continue
        yield f"<div><p>{title}</p>"
        yield from _matrix(report["classes"], report[probe]["confusion"])
        yield "</div>"
    yield "</div>"


def _matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[str]:
    over = any(row[-1] for row in counts)
    head = [*names, *(["no class"] if over else [])]

    def rows() -> Iterator[str]:
        for name, row in zip(names, counts, strict=True):
            cells = "".join(_cell(count, sum(row)) for count in row[: len(head)])
            yield f"<tr><th>{escape(name)}</th>{cells}</tr>"

    yield from table("matrix", ("", *head), rows())


def _cell(count: int, total: int) -> str:
    share = 100 * count / total if total else 0
    full = ' class="full"' if share >= FULL else ""
    shown = f"{share:.0f}" if share >= 0.5 else ""
    return f'<td{full} style="--share:{share:.0f}%">{shown}</td>'


def _facts(report: Report) -> Iterator[str]:
    yield "<dl>"
    for name, value in facts(report).items():
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
    yield "</dl>"
