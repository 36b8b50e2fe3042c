"""A study's files in a folder: values, tables, figures, and one page that stands alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ppap.evaluation.page import document, section, table
from ppap.evaluation.report import write_text
from ppap.study.figures import Drawn, Study, draw
from ppap.study.run import FORMAT
from ppap.study.stage_tables import COLUMNS as STAGE_COLUMNS
from ppap.study.stage_tables import KEY as STAGE_KEY
from ppap.study.stage_tables import TITLE as STAGES_TITLE
from ppap.study.stage_tables import areas_of, rows_of
from ppap.study.tables import (
    COLUMNS,
    KEY,
    LEAD,
    PROOF_COLUMNS,
    PROOF_KEY,
    TABLE,
    full_title,
    paper_rows,
    proof_rows,
    subject,
    tables,
    with_ranges,
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
        raise StudyError(f"{folder} holds no study that can be read: {error}") from None
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
        parts.append(section("Rules beside each other", [*_rules(study), *_paper(study)]))
    if stages := study.get("stages"):
        parts.append(section(STAGES_TITLE, [*_stages(stages)]))
    for one in drawn:
        picture = base64.b64encode(one.svg.encode()).decode()
        image = (
            f"<img alt='{escape(one.title, quote=True)}' "
            f"style='max-width:100%;background:white' src='data:image/svg+xml;base64,{picture}'>"
        )
        parts.append(section(one.title, [image]))
    if notes := study.get("notes"):  # studies of earlier versions have none
        parts.append(section("Notes", [f"<ul>{_items(notes)}</ul>"]))
    return document("Study", subject(study), parts)


def _items(sentences: Sequence[str]) -> str:
    return "".join(f"<li>{escape(one)}</li>" for one in sentences)


def _proof(study: Study) -> Iterator[str]:
    rows = (_row(title, cells) for title, *cells in proof_rows(study))
    yield from table("scores", ("", *PROOF_COLUMNS), rows)
    yield f"<p>{escape(PROOF_KEY)}</p>"


def _rules(study: Study) -> Iterator[str]:
    rows = (_row(full_title(rule), *with_ranges(rule, study)) for rule in study["rules"])
    yield from table("scores", ("", *(title for _, title, _, _ in COLUMNS), LEAD), rows)
    yield f"<p>{escape(KEY)}</p>"


def _stages(stages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = (_row(title, cells) for title, *cells in rows_of(stages))
    yield from table("scores", ("", *STAGE_COLUMNS), rows)
    yield f"<ul>{_items(areas_of(stages))}</ul>"
    yield f"<p>{escape(STAGE_KEY)}</p>"


def _row(title: str, cells: Sequence[str], below: Sequence[str] = ()) -> str:
    small = [f"<br><small>{escape(each)}</small>" if each else "" for each in below]
    small += [""] * (len(cells) - len(small))
    values = "".join(
        f"<td>{escape(cell)}{more}</td>" for cell, more in zip(cells, small, strict=True)
    )
    return f"<tr><th>{escape(title)}</th>{values}</tr>"


def _paper(study: Study) -> Iterator[str]:
    if rows := _items(paper_rows(study)):
        yield f"<p>The paper's Table 6:</p><ul>{rows}</ul>"
