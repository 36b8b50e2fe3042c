"""What an ablation came to: a row for each combination, and the paper's numbers beside it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import VITS
from ppap.evaluation import markdown
from ppap.evaluation.paper import PaperRow, rows_for
from ppap.evaluation.report import write_text
from trainers.ablations import starts
from trainers.ablations.cells import COLUMNS, Cell, cell, numbers
from trainers.ablations.conclusion import MEASURE, conclusion
from trainers.ablations.differences import (
    NO_INTERVAL,
    NOTHING,
    Against,
    about,
    against,
    columns_of,
    record,
)
from trainers.ablations.plan import Ablation, Combination, PlannedRun, folder_of, write_grid
from trainers.ablations.queue import standing
from trainers.config import Config
from trainers.launching.runner import Runner
from trainers.runs.folder import Run
from trainers.runs.values import read_json

CRF, MINUTES = ", CRF", "minutes"
# Of a report's notes, those that a table of its numbers must not leave out.
WEIGHTY = ("Warning:", "Reservation:")
KEY = f"Mean ± standard deviation over the finished seeds. {markdown.KEY}"
CITED = "The paper's numbers are for its own settings."


class Row(NamedTuple):
    """One combination, over its seeds."""

    combination: Combination
    seeds: int
    """How many were asked for."""
    finished: int
    numbers: dict[str, Cell]
    """``U-Acc`` …, the same with ``, CRF``, and ``minutes``; nothing that was not measured."""
    paper: tuple[PaperRow, ...]
    """Without CRF, then with it; those that the paper has."""
    against: Against = NOTHING
    """The difference to the first row."""
    gained: Against = NOTHING
    """What training gained over frozen features, from many starts."""

    def in_paper(self, measure: str) -> tuple[float | None, int | None]:
        """The paper's number for a measure, and its table."""
        for name, probe, kind in COLUMNS:
            for row in self.paper:
                if measure == name + (CRF if row.crf else ""):
                    value = getattr(row, f"{probe}_{kind}")
                    return value, None if value is None else row.table
        return None, None


@dataclass(frozen=True)
class Table:
    """All rows, in the order of the plan."""

    ablation: Ablation
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    """What a reader must know to judge the numbers."""


def table(runner: Runner, ablation: Ablation) -> Table:
    """The table of what is finished so far.

    Raises:
        SettingError: a run of the same name has other settings.
    """
    found = standing(runner, ablation)
    done = {one.name for one in found.having("finished")}
    rows: list[Row] = []
    first: list[Run] = []
    notes: dict[str, None] = {}
    for each in ablation.combinations():
        planned = [run for run in ablation.runs() if run.combination == each]
        finished = [run for run in planned if run.name in done]
        folders = [Run(runner.root / run.name) for run in finished]
        first = folders if not rows else first
        reports = [read_json(run.folder / "report.json") for run in folders]
        rows.append(
            Row(
                combination=each,
                seeds=len(planned),
                finished=len(finished),
                numbers=over_seeds(folders),
                paper=tuple(paper_rows(planned[0], reports)),
                against=against(first, folders),
                gained=starts.gained(folders),
            )
        )
        notes |= {note: None for report in reports for note in weighty(report)}
    if found.finished < found.total:
        some = f"{found.finished} of {found.total} runs are finished; the table is incomplete."
        notes = {some: None, **notes}
    return Table(ablation, tuple(rows), tuple(notes))


def over_seeds(runs: Iterable[Run]) -> dict[str, Cell]:
    """Mean and deviation of everything that the finished runs' reports tell."""
    found: dict[str, list[float]] = {}
    for run in runs:
        try:
            pairs = list(numbers(run))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # without a report, as where nothing has labels; or one that is damaged
        for name, value in pairs:
            found.setdefault(name, []).append(value)
    return {name: cell(values) for name, values in found.items()}


def concluded(made: Table) -> str:
    """What the table shows; empty while fewer than two combinations have scores."""
    scored = [row for row in made.rows if MEASURE in row.numbers]
    return conclusion([(row.combination.title, row.numbers[MEASURE]) for row in scored])


def weighty(report: dict[str, Any]) -> list[str]:
    """The notes of a report that belong beside its numbers."""
    notes = report.get("notes")
    if not isinstance(notes, list):
        return []
    return [note for note in notes if isinstance(note, str) and note.startswith(WEIGHTY)]


def paper_rows(planned: PlannedRun, reports: Sequence[dict[str, Any]]) -> list[PaperRow]:
    """The paper's rows for a combination: by what was evaluated, or what is to be."""
    config = planned.order.config
    kind, title = config.dataset, usual_title(config)
    for report in reports:
        data, backbone = report.get("dataset"), report.get("backbone")
        if isinstance(data, dict) and isinstance(backbone, dict):
            kind, title = str(data.get("kind")), str(backbone.get("title"))
            break
    return rows_for(kind, title, config.rule)


def usual_title(config: Config) -> str | None:
    """What reports call the backbone, where its name alone tells."""
    known = VITS.get(config.backbone)
    return None if known is None else known.info.title


# --- as texts


def as_markdown(made: Table) -> str:
    """The table for people; the numbers with CRF have one of their own."""
    ablation = made.ablation
    data = "the sample photos" if ablation.data is None else markdown.text(ablation.data)
    seeds = ", ".join(map(str, ablation.seeds))
    about = f"On {data}, seed{'s' if len(ablation.seeds) > 1 else ''} {seeds}"
    if ablation.settings:
        pairs = ", ".join(f"{name}={value}" for name, value in ablation.settings.items())
        about += f"; in all runs {markdown.text(pairs)}"
    parts = [f"# Ablation {markdown.text(ablation.name)}", f"{about}."]
    parts += [markdown.text(said)] if (said := concluded(made)) else []
    parts += ["\n".join(f"- {markdown.text(note)}" for note in made.notes)] if made.notes else []
    with_crf = any(name.endswith(CRF) for row in made.rows for name in row.numbers)
    with_crf |= any(run.order.config.crf for run in ablation.runs())
    if with_crf:
        parts += ["## Without CRF", section(made, ""), "## With CRF", section(made, CRF)]
    else:
        parts += [section(made, "")]
    if head_and_lines := difference_cells(made):
        parts += ["## Differences from the first row", markdown.table(*head_and_lines)]
    parts += differences_about(made)
    for title, head, lines, about_it in starts_tables(made):
        parts += [f"## {title}", markdown.table(head, lines), about_it]
    parts.append(f"{KEY} {CITED}" if any(row.paper for row in made.rows) else KEY)
    return "\n\n".join(parts) + "\n"


def section(made: Table, suffix: str) -> str:
    """One Markdown table: each measure, with the paper's number beside it where it has any."""
    head, lines = cells(made, suffix)
    return markdown.table(head, lines)


def cells(made: Table, suffix: str) -> tuple[list[str], list[list[str]]]:
    """Titles of the columns and texts of the rows; ``suffix`` is empty or ``CRF``."""
    measures = [name + suffix for name, _, _ in COLUMNS]
    cited = any(row.in_paper(name)[1] is not None for row in made.rows for name in measures)
    head = ["recipe", *made.ablation.grid, "seeds"]
    for name in measures:
        head += [name, "paper"] if cited else [name]
    head += [MINUTES, *(["paper's table"] if cited else [])]
    return head, [line(row, measures, cited=cited) for row in made.rows]


def line(row: Row, measures: Sequence[str], *, cited: bool) -> list[str]:
    """A row of ``section``."""
    count = str(row.finished) if row.finished == row.seeds else f"{row.finished} of {row.seeds}"
    cells = [markdown.text(row.combination.recipe)]
    cells += [*map(markdown.text, row.combination.values.values()), count]
    tables = set()
    for name in measures:
        value, number = row.in_paper(name)
        cells.append(cell_text(row, name))
        cells += [markdown.per_cent(value)] if cited else []
        tables |= set() if number is None else {f"Table {number}"}
    cells.append(cell_text(row, MINUTES))
    return [*cells, *([", ".join(sorted(tables)) or markdown.NOTHING] if cited else [])]


def difference_cells(made: Table) -> tuple[list[str], list[list[str]]] | None:
    """Titles and rows as of ``cells``: every other row minus the first; None without intervals."""
    found = {str(place): row.against for place, row in enumerate(made.rows)}
    measures = columns_of(found)
    if not measures:
        return None
    lines = [
        [
            markdown.text(row.combination.recipe),
            *map(markdown.text, row.combination.values.values()),
            *(str(row.against.intervals.get(name, NO_INTERVAL)) for name in measures),
        ]
        for row in made.rows[1:]
    ]
    return ["recipe", *made.ablation.grid, *measures], lines


def differences_about(made: Table) -> list[str]:
    """What the differences are, and why some are missing."""
    found = {str(place): row.against for place, row in enumerate(made.rows)}
    return about("the first row", found, len(made.ablation.seeds))


def starts_tables(made: Table) -> list[tuple[str, list[str], list[list[str]], str]]:
    """Title, head, rows and a sentence: scores from many starts, and what training gained."""
    titles = [markdown.text(row.combination.title) for row in made.rows]
    found = []
    numbers = {title: row.numbers for title, row in zip(titles, made.rows, strict=True)}
    if scores := starts.score_cells(numbers):
        found.append(("From many starts", *scores, starts.ABOUT))
    gains = {title: row.gained for title, row in zip(titles, made.rows, strict=True)}
    if gain := starts.gain_cells(gains):
        said = starts.about_gains(len(made.ablation.seeds))
        found.append(("Trained minus frozen features", *gain, said))
    return found


def cell_text(row: Row, name: str) -> str:
    """A measure as the table shows it."""
    found = row.numbers.get(name)
    return markdown.NOTHING if found is None else str(found)


def as_csv(made: Table) -> str:
    """One line a number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("measure", "mean", "deviation", "seeds finished", "paper", "paper's table")
    writer.writerow(["recipe", *made.ablation.grid, *head])
    for row in made.rows:
        for name, (mean, deviation) in row.numbers.items():
            value, number = row.in_paper(name)
            spread = "" if math.isnan(deviation) else f"{deviation:.4f}"
            values = (name, f"{mean:.4f}", spread, row.finished, value, number)
            writer.writerow([row.combination.recipe, *row.combination.values.values(), *values])
    return text.getvalue()


def as_json(made: Table) -> str:
    """Everything in it; null where there is no deviation."""
    rows = [
        {
            "recipe": row.combination.recipe,
            "values": row.combination.values,
            "seeds": row.seeds,
            "finished": row.finished,
            "numbers": {
                name: {"mean": mean, "deviation": None if math.isnan(deviation) else deviation}
                for name, (mean, deviation) in row.numbers.items()
            },
            "difference_to_first": record(row.against),
            "paper": [paper._asdict() for paper in row.paper],
        }
        for row in made.rows
    ]
    whole = {"ablation": made.ablation.as_dict(), "notes": made.notes, "rows": rows}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def write_table(root: Path, made: Table) -> Path:
    """Write the table's three files and what was asked for, each whole; returns their folder."""
    folder = folder_of(root, made.ablation.name)
    write_grid(root, made.ablation)
    write_text(as_markdown(made), folder / "table.md")
    write_text(as_csv(made), folder / "table.csv")
    write_text(as_json(made), folder / "table.json")
    return folder
