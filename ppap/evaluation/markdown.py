"""A report as a text to read: its numbers beside the paper's."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from ppap.evaluation import starts_text
from ppap.evaluation.cells import NOTHING, per_cent
from ppap.evaluation.later import ABOUT, LATER_HEAD, later_cells
from ppap.evaluation.report import REFINEMENTS, Report, comparable, refinements
from ppap.segmenter.inference import in_words

MEASURES = ("U-Acc", "U-mIoU", "L-Acc", "L-mIoU")
KEY_OF_MEASURES = "Acc: share of pixels that are correct; mIoU: mean over the classes. Per cent."
KEY = f"U: clusters, matched one to one with the classes; L: linear probe. {KEY_OF_MEASURES}"
# Of predictions from files, by how they became classes.
FILES_KEY = {
    "one-to-one": "U: clusters, matched one to one with the classes.",
    "many-to-one": "U: clusters, each with the class that most of its pixels have in these images.",
    "given": "U: classes, as given in the files.",
}
PROBES, NUMBERS = ("cluster", "linear"), ("accuracy", "miou")
PARTS = ("border", "interior")
# What Markdown would take for markup; html.escape takes the rest.
_MARKUP = re.compile(r"([\\`*_\[\]|~])")


def text(name: object) -> str:
    """Anybody's text inside Markdown: no markup, no line breaks."""
    return _MARKUP.sub(r"\\\1", html.escape(" ".join(str(name).split()), quote=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that also reads well as it is: names to the left, numbers to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "| " + " | ".join((first, *others)) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(lines[0]), line(rule), *map(line, lines[1:])])


def score_rows(report: Report) -> list[tuple[str, list[float | None]]]:
    """What was measured, then the paper's rows: a label and the four MEASURES."""

    def four(scores: Report) -> list[float | None]:
        return [(scores[probe] or {}).get(name) for probe in PROBES for name in NUMBERS]

    rows: list[tuple[str, list[float | None]]] = []
    if report["cluster"] is not None:
        rows.append(("measured here", four(report)))
    rows += [
        (f"measured here, with {title}", four(scores))
        for title, scores in refinements(report).items()
    ]
    for row in comparable(report):
        crf = "with" if row["crf"] else "without"
        label = f"paper, Table {row['table']}: {row['method']}, {row['backbone']}, {crf} CRF"
        numbers = ("cluster_accuracy", "cluster_miou", "linear_accuracy", "linear_miou")
        rows.append((label, [row[name] for name in numbers]))
    return rows


def subject(report: Report) -> str:
    """What was evaluated on what, in a sentence."""
    data, name = report["dataset"], report["checkpoint"].replace("\\", "/").rpartition("/")[2]
    step = "" if report["step"] is None else f" (step {report['step']:,})"
    count = len(report.get("images", ())) or report.get("distance", {}).get("images", 0)
    looks, refined = in_words(report.get("inference") or {}), " and ".join(refinements(report))
    how = (f"; {looks}" if looks else "") + (f"; also refined with {refined}" if refined else "")
    by = f"backbone {report['backbone']['title']}"
    if "predictions" in report:
        found = report["predictions"]
        one = found["clusters"] == 1
        what = {"clusters": "cluster", "classes": "class"}.get(found["holding"]) if one else None
        by = f"{found['clusters']:,} {what or found['holding']}, predicted by another method"
    return (
        f"{name}{step} on {data['title']}, split {data['split']}: {count:,} "
        f"image{'' if count == 1 else 's'} at {report['size']} pixels; {by}{how}."
    )


def key(report: Report) -> str:
    """What the columns of the scores mean."""
    by = report.get("predictions", {}).get("map")
    return KEY if by is None else f"{FILES_KEY.get(by, '')} {KEY_OF_MEASURES}".strip()


def scores_table(report: Report) -> str:
    """The scores beside the paper's."""
    rows = [(label, *map(per_cent, values)) for label, values in score_rows(report)]
    return table(("", *MEASURES), rows)


def no_paper_row(report: Report) -> str | None:
    """A sentence where the paper has nothing to compare with."""
    if report.get("paper") or "distance" in report or "predictions" in report:
        return None
    return "The paper has no row for this data set, backbone and method."


def distance_text(report: Report) -> str | None:
    """The sentence on distance matching."""
    distance = report.get("distance")
    if distance is None:
        return None
    paper = "" if distance["paper"] is None else f" (paper, Table 4: {distance['paper']})"
    features = "the frozen backbone's" if distance["features"] == "frozen" else "the trained"
    return (
        f"Distance matching with {features} features: mIoU {per_cent(distance['miou'])} %{paper}, "
        f"accuracy {per_cent(distance['accuracy'])} %; {distance['bank']:,} vectors in the bank, "
        f"{distance['neighbours']} nearest vote."
    )


CLUSTERINGS = (
    "Centroids found on {images} images of the split '{split}' ({features} features, seed "
    "{seed}). For Acc and mIoU, each cluster takes the class that most of its pixels have in "
    "those images; 1:1: matched one to one on the evaluated split (with more clusters than "
    "classes, the rest count as wrong); optimistic: the map is learnt on the evaluated split "
    "itself, so do not compare it with other numbers."
)


def clustering_rows(report: Report) -> list[tuple[str, ...]]:
    """A row for each method and number of clusters, as text."""
    return [
        (
            f"{one['clusters']}, {one['method']}",
            per_cent(one["learnt"]["accuracy"]),
            per_cent(one["learnt"]["miou"]),
            per_cent(one["hungarian"]["accuracy"]),
            per_cent(one["hungarian"]["miou"]),
            per_cent(one["optimistic"]["miou"]),
            per_cent(one["purity"]),
            NOTHING if one["nmi"] is None else f"{one['nmi']:.3f}",
            NOTHING if one["ari"] is None else f"{one['ari']:.3f}",
            str(one["unused"]),
            str(one["missed"]),
        )
        for one in report["clusterings"]["rows"]
    ]


CLUSTERING_HEAD = (
    "K",
    "Acc",
    "mIoU",
    "Acc 1:1",
    "mIoU 1:1",
    "optimistic mIoU",
    "purity",
    "NMI",
    "ARI",
    "unused clusters",
    "classes not found",
)


def clusterings_text(report: Report) -> list[str | None]:
    """The table of any number of clusters, where there is one."""
    if "clusterings" not in report:
        return []
    about = CLUSTERINGS.format(**report["clusterings"])
    return [table(CLUSTERING_HEAD, clustering_rows(report)), about]


def starts_tables(report: Report) -> list[str]:
    """The tables of many starts, where there are some."""
    found = report.get("starts")
    if found is None:
        return []
    gains = table(starts_text.GAIN_HEAD, starts_text.gain_rows(found))
    return [table(starts_text.HEAD, starts_text.rows(found)), gains, starts_text.about(found)]


def retrieval_text(report: Report) -> str | None:
    """The sentences on dense retrieval."""
    found = report.get("retrieval")
    if found is None:
        return None
    trained, frozen = found["trained"], found["frozen"]
    return (
        f"Dense retrieval ({trained['neighbours']} nearest of {trained['memory']:,} patches of the "
        f"split '{found['split']}'): mIoU {per_cent(trained['miou'])} % with the trained features, "
        f"{per_cent(frozen['miou'])} % with the frozen ones; accuracy "
        f"{per_cent(trained['accuracy'])} % and {per_cent(frozen['accuracy'])} %."
    )


BORDERS = (
    "Border: pixels with a different label (or void) within {width} pixels; {share} of all "
    "pixels that count. Interior: all others. Both use the matching of the whole split."
)
BORDER_HEAD = ("", "Acc, border", "Acc, interior", "mIoU, border", "mIoU, interior")


def border_rows(report: Report) -> list[tuple[str, list[float | None]]]:
    """A label, then accuracy of both parts and mIoU of both."""
    found = report["borders"]
    named = {name: title for name, title in REFINEMENTS.items() if name in report}
    better = {f", {title}": found[name] for name, title in named.items() if name in found}
    return [
        (title + how, [scores[probe][part][name] for name in NUMBERS for part in PARTS])
        for how, scores in {"": found, **better}.items()
        for probe, title in zip(PROBES, ("clusters", "linear probe"), strict=True)
        if scores.get(probe) is not None
    ]


def borders_table(report: Report) -> str:
    """Borders beside interiors."""
    rows = ((label, *map(per_cent, values)) for label, values in border_rows(report))
    return table(BORDER_HEAD, rows)


def borders_about(report: Report) -> str:
    """What a border is, and how much of everything."""
    found = report["borders"]
    border, interior = (found["cluster"][part]["pixels"] for part in PARTS)
    share = f"{100 * border / (border + interior):.1f} %" if border + interior else "none"
    return BORDERS.format(width=found["width"], share=share)


def as_summary(report: Report) -> str:
    """The shortest account, for a terminal."""
    parts: list[str | None] = [subject(report)]
    if report["cluster"] is not None:
        parts += [scores_table(report), key(report), no_paper_row(report)]
    parts += [*starts_tables(report), *clusterings_text(report), retrieval_text(report)]
    parts += [distance_text(report), *report["notes"]]
    return "\n\n".join(part for part in parts if part)


def as_markdown(report: Report) -> str:
    """The whole report but for pictures and single images."""
    parts: list[str | None] = ["# Evaluation", text(subject(report))]
    parts.append("\n".join(f"- {text(note)}" for note in report["notes"]))
    if report["cluster"] is not None:
        parts += ["## Scores", scores_table(report), key(report), no_paper_row(report)]
    if report.get("later"):
        parts += ["## Later methods", table(LATER_HEAD, later_cells(report, text)), ABOUT]
    if "starts" in report:
        parts += ["## Many starts", *starts_tables(report)]
    if "clusterings" in report:
        parts += ["## Any number of clusters", *clusterings_text(report)]
    if "retrieval" in report:
        parts += ["## Dense retrieval", retrieval_text(report)]
    if "distance" in report:
        parts += ["## Distance matching", distance_text(report)]
    if "borders" in report:
        parts += ["## Borders and interiors", borders_table(report), borders_about(report)]
    if report["cluster"] is not None:
        parts += ["## Class frequency", groups_table(report), FREQUENCY]
        parts += ["## IoU by class", classes_table(report)]
    lines = (f"- {name}: {text(value)}" for name, value in facts(report).items())
    parts += ["## What was evaluated", "\n".join(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


FREQUENCY = (
    "mIoU of the classes in thirds by their number of pixels, after the paper's Table 8. The "
    "paper does not say where it cuts, nor which backbone and probe it measured, so only the "
    "trend can be compared."
)


def frequency_rows(report: Report) -> list[tuple[str, list[float | None]]]:
    """Table 8: a label, and mIoU of the few, medium, many and all."""
    names = ("few", "medium", "many")
    rows: list[tuple[str, list[float | None]]] = []
    better = {f", with {title}": scores for title, scores in refinements(report).items()}
    for how, scores in {"": report, **better}.items():
        for probe, title in (("cluster", "clusters"), ("linear", "linear probe")):
            if scores[probe] is None:
                continue
            values = [scores["groups"][name][probe] for name in names]
            rows.append((title + how, [*values, scores[probe]["miou"]]))
    if paper := report["paper_groups"]:
        values = [paper[name] for name in (*names, "all")]
        rows.append((f"paper, Table 8: {paper['method']}", values))
    return rows


def groups_table(report: Report) -> str:
    """Table 8."""
    rows = ((label, *map(per_cent, values)) for label, values in frequency_rows(report))
    return table(("", "Few", "Medium", "Many", "All"), rows)


def iou_columns(report: Report) -> list[tuple[str, Report]]:
    """Everything that has an IoU for each class, with its title."""
    columns = []
    for probe, title in (("cluster", "clusters"), ("linear", "linear")):
        if report[probe] is None:
            continue
        columns.append((title, report[probe]))
        columns += [
            (f"{title}, {name}", scores[probe]) for name, scores in refinements(report).items()
        ]
    return columns


def classes_table(report: Report) -> str:
    """IoU of every class."""
    columns = iou_columns(report)
    rows = (
        (text(name), *(per_cent(scores["iou"][name]) for _, scores in columns))
        for name in report["classes"]
    )
    return table(("class", *(title for title, _ in columns)), rows)


def facts(report: Report) -> dict[str, str]:
    """Where the numbers are from."""
    data, backbone, by_others = report["dataset"], report["backbone"], "predictions" in report
    found = {
        "predictions" if by_others else "checkpoint": report["checkpoint"],
        "SHA-256": report["digest"],
        "rule": report["rule"],
        "recipe": report["recipe"],
        "seed": report["seed"],
        "data": f"{data['folder']} ({data['kind']})",
        "backbone": "" if by_others else f"{backbone['title']}. {backbone['note']}".strip(),
        "seconds": report["seconds"],
        "versions": ", ".join(f"{name} {number}" for name, number in report["versions"].items()),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}
