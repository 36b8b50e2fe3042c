"""A study's files in a folder: values, tables, figures, and one page that stands alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from ppap.evaluation.page import document, section, table
from ppap.evaluation.report import write_text
from ppap.study.columns import Table
from ppap.study.conclusions import conclusions
from ppap.study.dark import in_the_dark
from ppap.study.figures import Drawn, Study, draw
from ppap.study.run import FORMAT
from ppap.study.stage_tables import KEY as STAGE_KEY
from ppap.study.stage_tables import TITLE as STAGES_TITLE
from ppap.study.stage_tables import areas_of, stage_table
from ppap.study.tables import (
    KEY,
    PROOF_KEY,
    TABLE,
    paper_rows,
    proof_table,
    rule_table,
    subject,
    tables,
)
from ppap.writing import writing

VALUES, PAGE = "study.json", "study.html"
OWN = (
    PAGE,
    *(
        f"{name}.{kind}"
        for name in ("advice", "trust", "classes", "same_class", "sweep")
        for kind in ("svg", "png")
    ),
    *(TABLE, "fig1b.csv", "classes.csv", "stages.csv", "same_class.csv", "sweep.csv"),
)


class StudyError(ValueError):
    """A folder that holds no study that this version reads."""


def write_study(study: Study, folder: Path) -> Path:
    """Write everything into ``folder``; files of these names are replaced. The page's path.

    ``study.json`` comes last: where it is, the study is whole.

    Raises:
        OSError: a file cannot be written.
    """
    drawn = draw(study)
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing of another study may stay beside this one.
    for name in (VALUES, *OWN):
        (folder / name).unlink(missing_ok=True)
    for one in drawn:
        write_text(one.svg, folder / f"{one.name}.svg")
        with writing(folder / f"{one.name}.png") as partial:
            partial.write_bytes(one.png)
    for name, text in tables(study):
        write_text(text, folder / name)
    write_text(as_page(study, drawn), folder / PAGE)
    figures = [
        {"name": one.name, "title": one.title, "boxes": [box._asdict() for box in one.boxes]}
        for one in drawn
    ]
    text = json.dumps({**study, "figures": figures}, indent=1, ensure_ascii=False)
    write_text(text + "\n", folder / VALUES)
    return folder / PAGE


def read_study(folder: Path) -> Study:
    """What ``write_study`` wrote.

    Raises:
        StudyError: there is none, or it is of another version.
    """
    try:
        found = json.loads((folder / VALUES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{folder} does not contain a readable study: {error}") from None
    if not isinstance(found, Mapping) or found.get("format") != FORMAT:
        raise StudyError(f"The study in {folder} was written by another version.")
    return dict(found)


def as_page(study: Study, drawn: Sequence[Drawn]) -> str:
    """One page that fetches and runs nothing."""
    advice = [
        f"<ul>{_items(study['advice']['reasons'])}</ul>",
        *([f"<p>{escape(study['expectation'])}</p>"] if study.get("expectation") else ()),
        *(_proof(study) if study["proof"] else ()),
    ]
    parts = [section("Suggested settings", advice)]
    if study["rules"]:
        parts.append(section("Rules compared", [*_rules(study), *_paper(study)]))
    if len(study.get("stages") or ()) > 1:  # of one, the tables above say as much
        parts.append(section(STAGES_TITLE, [*_stages(study)]))
    said = conclusions(study)
    for one in drawn:
        text = [f"<p>{escape(said[one.name])}</p>"] if one.name in said else []
        parts.append(section(one.title, [*text, _picture(one)]))
    if notes := study.get("notes"):  # studies of earlier versions have none
        parts.append(section("Notes", [f"<ul>{_items(notes)}</ul>"]))
    return document("Study", subject(study), parts)


def _picture(one: Drawn) -> str:
    """The figure as the reader's theme wants it."""
    light, dark = (
        f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
        for svg in (one.svg, in_the_dark(one.svg))
    )
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img alt="{escape(one.title, quote=True)}" style="max-width:100%" src="{light}">'
        "</picture>"
    )


def _items(sentences: Sequence[str]) -> str:
    return "".join(f"<li>{escape(one)}</li>" for one in sentences)


def _proof(study: Study) -> Iterator[str]:
    yield from _table(conclusions(study).get("proof"), proof_table(study), [PROOF_KEY])


def _rules(study: Study) -> Iterator[str]:
    yield from _table(conclusions(study).get("rules"), rule_table(study), [KEY])


def _stages(study: Study) -> Iterator[str]:
    stages = study["stages"]
    yield from _table(conclusions(study).get("stages"), stage_table(stages), [])
    yield f"<ul>{_items(areas_of(stages))}</ul>"
    yield f"<p>{escape(STAGE_KEY)}</p>"


def _table(said: str | None, made: Table, key: Sequence[str]) -> Iterator[str]:
    """What a table shows, the table, and what its columns mean: without a script, no hint could be
    opened by touch."""
    if said:
        yield f"<p>{escape(said)}</p>"
    yield from table("scores", ("", *(one.title for one in made.headings)), map(_row, made.rows))
    terms = (f"<dt>{escape(one.title)}</dt><dd>{escape(one.hint)}</dd>" for one in made.headings)
    yield f"<details><summary>What the columns mean</summary><dl>{''.join(terms)}</dl></details>"
    yield from (f"<p>{escape(text)}</p>" for text in key)


def _row(row: Sequence[str]) -> str:
    """A title and its cells; what is in a cell's second line stands small."""
    title, *cells = row
    values = "".join(
        "<td>" + "<br><small>".join(map(escape, cell.split("\n"))) + "</small>" * ("\n" in cell)
        + "</td>"
        for cell in cells
    )  # fmt: skip
    return f"<tr><th>{escape(title)}</th>{values}</tr>"


def _paper(study: Study) -> Iterator[str]:
    if rows := _items(paper_rows(study)):
        yield f"<p>The paper's Table 6:</p><ul>{rows}</ul>"
