"""A study's files in a folder: values, tables, figures, and one page that stands alone."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ppap.checkpoint import writing
from ppap.evaluation.page import document, section, table
from ppap.evaluation.paper import TRUST
from ppap.evaluation.report import write_text
from ppap.study.figures import Drawn, Study, draw
from ppap.study.proof import tried
from ppap.study.run import FORMAT

VALUES, PAGE, TABLE = "study.json", "study.html", "table6.csv"
OWN = (
    PAGE,
    *(
        f"{name}.{kind}"
        for name in ("advice", "trust", "classes", "sweep")
        for kind in ("svg", "png")
    ),
    *(TABLE, "fig1b.csv", "classes.csv", "sweep.csv"),
)
COLUMNS = (
    ("positives", "Positives", "{:,.0f}", 1),
    ("precision", "Precision, %", "{:.1f}", 100),
    ("recall", "Recall, %", "{:.1f}", 100),
    ("f1", "F1, %", "{:.1f}", 100),
    ("ambiguous", "Ambiguous", "{:,.0f}", 1),
    ("purity", "Of the class, %", "{:.1f}", 100),
    ("negatives", "Negatives", "{:,.0f}", 1),
    ("false_negatives", "False in N, %", "{:.1f}", 100),
)


KEY = (
    "Means over the anchors with a class; patches without a class count nowhere. k-means at its "
    "own settings is told the number of classes. Equal mean |P|: as near as whole clusters and "
    "pool patches allow."
)
PROOF = {
    "advised": "Suggested",
    "paper": "Paper, COCO-Stuff ViT-S/16 (meant for DINO)",
    "best": "Best F1 with labels",
}
PROOF_COLUMNS = ("Settings", "F1, %", "Precision, %", "Recall, %", "Positives")
PROOF_KEY = f"Best F1 with labels: the highest of {tried()}, the suggestion and the paper's."


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


def tables(study: Study) -> Iterator[tuple[str, str]]:
    """File names and contents."""
    if study["rules"]:
        fields = [name for name, *_ in COLUMNS]
        rules = study["rules"]
        yield (
            TABLE,
            _csv(
                ["rule", "settings", "matched", "anchors", *fields],
                (
                    [r["rule"], r["title"], r["matched"], r["anchors"], *_of(r, fields)]
                    for r in rules
                ),
            ),
        )
        yield (
            "fig1b.csv",
            _csv(
                ["rule", "settings", "matched", "first_per_cent", "positives", "precision"],
                (
                    [
                        r["rule"],
                        r["title"],
                        r["matched"],
                        p["first"],
                        p["positives"],
                        p["precision"],
                    ]
                    for r in rules
                    for p in r["curve"]
                ),
            ),
        )
        shown = [name for name in fields if name != "f1"]
        yield (
            "classes.csv",
            _csv(
                ["rule", "settings", "matched", "class", "anchors", *shown],
                (
                    [r["rule"], r["title"], r["matched"], c["name"], c["anchors"], *_of(c, shown)]
                    for r in rules
                    for c in r["classes"]
                ),
            ),
        )
    if study["sweep"]:
        cells = [cell for row in study["sweep"]["cells"] for cell in row]
        settings, measures = list(cells[0]["settings"]), [n for n in cells[0] if n != "settings"]
        yield (
            "sweep.csv",
            _csv(
                [*settings, *measures],
                ([*_of(c["settings"], settings), *_of(c, measures)] for c in cells),
            ),
        )


def _of(values: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return ["" if values[name] is None else values[name] for name in names]


def _csv(header: Sequence[str], rows: Iterator[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue()


def cells_of(rule: Mapping[str, Any]) -> list[str]:
    """A rule's numbers as the table shows them."""
    return [
        "–" if rule[name] is None else form.format(times * rule[name])
        for name, _, form, times in COLUMNS
    ]


def as_markdown(study: Study) -> str:
    """The table of the rules, for a terminal or a README; empty where nothing was labelled."""
    if not study["rules"]:
        return ""
    titles = [title for _, title, _, _ in COLUMNS]
    lines = ["| | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(titles)]
    for rule in study["rules"]:
        title = full_title(rule).replace("|P|", "P")
        lines.append(f"| {title} | " + " | ".join(cells_of(rule)) + " |")
    return "\n".join(lines) + "\n"


def subject(study: Study) -> str:
    """What was studied, in a line."""
    about, plan = study["dataset"], study["plan"]
    return (
        f"{about['title']} {about['split']}, {study['backbone']}, {len(study['images'])} images at "
        f"{plan['size']} px, {study['patches']:,} patches in a batch, {plan['anchors']:,} anchors"
    )


def as_page(study: Study, drawn: Sequence[Drawn]) -> str:
    """One page that fetches and runs nothing."""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in study["advice"]["reasons"])
    advice = [f"<ul>{reasons}</ul>", *(_proof(study) if study["proof"] else ())]
    parts = [section("Suggested settings", advice)]
    if study["rules"]:
        parts.append(section("Rules beside each other", [*_rules(study), *_paper(study)]))
    for one in drawn:
        picture = base64.b64encode(one.svg.encode()).decode()
        image = (
            f"<img alt='{escape(one.title, quote=True)}' "
            f"style='max-width:100%;background:white' src='data:image/svg+xml;base64,{picture}'>"
        )
        parts.append(section(one.title, [image]))
    return document("Study", subject(study), parts)


def proof_rows(study: Study) -> list[list[str]]:
    """The suggestion, the paper's settings and the best of a labelled sweep."""
    rows = []
    for name, title in PROOF.items():
        one = study["proof"][name]
        five = one["settings"]
        words = f"Φ⁰ {five['phi0']:.2f}, σ_pos {five['sigma_pos']:g}, T {five['steps']}"
        shares = [f"{100 * (one[key] or 0):.1f}" for key in ("f1", "precision", "recall")]
        rows.append([title, words, *shares, f"{one['positives']:,.0f}"])
    return rows


def _proof(study: Study) -> Iterator[str]:
    rows = (_row(title, cells) for title, *cells in proof_rows(study))
    yield from table("scores", ("", *PROOF_COLUMNS), rows)
    yield f"<p>{escape(PROOF_KEY)}</p>"


def _rules(study: Study) -> Iterator[str]:
    rows = (_row(full_title(rule), cells_of(rule)) for rule in study["rules"])
    yield from table("scores", ("", *(title for _, title, _, _ in COLUMNS)), rows)
    yield f"<p>{escape(KEY)}</p>"


def _row(title: str, cells: Sequence[str]) -> str:
    values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th>{escape(title)}</th>{values}</tr>"


def full_title(rule: Mapping[str, Any]) -> str:
    """A rule with its settings, and whether they were chosen for its number of positives."""
    return f"{rule['title']}, equal mean |P|" if rule["matched"] else str(rule["title"])


def paper_rows(study: Study) -> list[str]:
    """Table 6 of the paper for this kind of data set, a sentence a row; mostly empty."""
    return [
        f"{row.method} with {row.backbone}: {row.positives:,} positives, "
        f"{row.true_positives:.1f} % of them true; {row.negatives:,} negatives, "
        f"{row.false_negatives:.1f} % of them false"
        for row in TRUST
        if row.dataset == study["dataset"]["kind"]
    ]


def _paper(study: Study) -> Iterator[str]:
    if rows := "".join(f"<li>{escape(row)}</li>" for row in paper_rows(study)):
        yield f"<p>The paper's Table 6:</p><ul>{rows}</ul>"
