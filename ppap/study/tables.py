"""A study in words and numbers: the cells of its tables, as CSV, Markdown, and for pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ppap.evaluation.paper import TRUST
from ppap.study.columns import COLUMNS, PROOF_HEADINGS, RULE_HEADINGS, Table, filled
from ppap.study.conclusions import conclusions
from ppap.study.figures import Study
from ppap.study.proof import tried

TABLE = "table6.csv"
# What has an interval; "behind" is kept as PPAP's precision minus the rule's.
SURE = ("precision", "recall", "f1", "purity", "false_negatives")
KEY = (
    "Means over the anchors that have a class; patches without a class are ignored. At its own "
    "settings, k-means is given the number of classes. The same number of positives as PPAP: as "
    "close as whole clusters and pool patches allow. In small print: the 95 % interval from "
    "resampling whole images; the batch that anchors are compared with stays the same."
)
PROOF = {
    "advised": "Suggested, complete",
    "pure": "Suggested, pure",
    "paper": "Paper, COCO-Stuff ViT-S/16 (meant for DINO)",
    "best": "Best F1 with labels",
}
PROOF_KEY = (
    "Complete aims to find most of an anchor's class; pure aims for few positives, most of them "
    f"correct. Best F1 with labels: the highest among {tried()}, the suggestions and the paper's "
    "settings."
)
AGAINST = "precision_against_ppap"
_END_COLUMNS = [
    *(f"{name}_{end}" for name in SURE for end in ("low", "high")),
    *(AGAINST, f"{AGAINST}_low", f"{AGAINST}_high"),
]


def tables(study: Study) -> Iterator[tuple[str, str]]:
    """File names and contents."""
    if study["rules"]:
        fields = [one.field for one in COLUMNS]
        rules = study["rules"]
        yield (
            TABLE,
            _csv(
                ["rule", "settings", "matched", "anchors", *fields, *_END_COLUMNS],
                (
                    [
                        r["rule"],
                        r["title"],
                        r["matched"],
                        r["anchors"],
                        *_of(r, fields),
                        *_ends_of(r, study),
                    ]
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
    if study.get("stages"):
        yield from _stage_tables(study["stages"])
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


def _stage_tables(stages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    sets = [(one, key, cell) for one in stages for key, cell in one["sets"].items()]
    settings = list(sets[0][2]["settings"])
    measures = [name for name in sets[0][2] if name not in ("settings", "expected")]
    yield (
        "stages.csv",
        _csv(
            ["stage", "features", "settings_from", *settings, *measures, "expected", "area"],
            (
                [
                    one["title"], one["features"], key, *_of(cell["settings"], settings),
                    *_of(cell, measures), (cell.get("expected") or [None])[0],
                    one["same_class"]["area"],
                ]
                for one, key, cell in sets
            ),
        ),
    )  # fmt: skip
    yield (
        "same_class.csv",
        _csv(
            ["stage", "recall", "precision", "cosine"],
            ([one["title"], *point] for one in stages for point in one["same_class"]["curve"]),
        ),
    )


def _of(values: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [values[name] for name in names]


def _ends_of(rule: Mapping[str, Any], study: Study) -> list[float | None]:
    """The ends of a rule's intervals, as ``_END_COLUMNS`` names them."""
    sure = rule.get("sureness") or {}
    ends = [end for name in SURE for end in sure.get(name) or (None, None)]
    return [*ends, *lead(rule, study)]


def _csv(header: Sequence[str], rows: Iterator[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue()


def cells_of(rule: Mapping[str, Any]) -> list[str]:
    """A rule's numbers as the table shows them."""
    return [
        "–" if rule[one.field] is None else one.form.format(one.times * rule[one.field])
        for one in COLUMNS
    ]


def ranges_of(rule: Mapping[str, Any]) -> list[str]:
    """The 95 % interval below each cell; empty where there is none."""
    sure = rule.get("sureness") or {}  # studies of earlier versions have none
    return [
        _ends(sure.get(one.field), partial(_written, form=one.form, times=one.times))
        for one in COLUMNS
    ]


def lead(rule: Mapping[str, Any], study: Study) -> tuple[float | None, float | None, float | None]:
    """A rule's precision minus PPAP's, + where it is better, and the ends of that."""
    ends = (rule.get("sureness") or {}).get("behind")
    own, best = rule["precision"], study["rules"][0]["precision"]
    if ends is None or own is None or best is None:
        return None, None, None
    low, high = (None if end is None else -end for end in reversed(ends))
    return own - best, low, high


def lead_of(rule: Mapping[str, Any], study: Study) -> tuple[str, str]:
    """The same in points: the difference, and the 95 % interval."""
    difference, *ends = lead(rule, study)
    return ("", "") if difference is None else (signed(difference), _ends(ends, signed))


def _written(share: float, *, form: str, times: float) -> str:
    return form.format(times * share)


def signed(share: float) -> str:
    """A difference in points, with its sign; none for what rounds to 0."""
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def _ends(ends: Sequence[float | None] | None, write: Callable[[float], str]) -> str:
    low, high = ends or (None, None)
    if low is None or high is None:
        return ""
    return f"{write(low)} to {write(high)}"


def rule_table(study: Study) -> Table:
    """The rules' table in texts, without columns that say nothing.

    A cell with an interval has it in a second line; each row begins with the rule's full title.
    """
    rows = []
    for rule in study["rules"]:
        both = zip(*with_ranges(rule, study), strict=True)
        cells = [f"{cell}\n{ends}" if ends else cell for cell, ends in both]
        rows.append([full_title(rule), *cells])
    return filled(RULE_HEADINGS, rows)


def as_markdown(study: Study) -> str:
    """What the rules' table shows, and the table, for a terminal or a README; empty where nothing
    was labelled."""
    if not study["rules"]:
        return ""
    headings, rows = rule_table(study)
    lines = [conclusions(study)["rules"], ""]
    lines.append("| | " + " | ".join(one.title for one in headings) + " |")
    lines.append("| --- |" + " ---: |" * len(headings))
    for title, *cells in rows:
        told = (" (".join(cell.split("\n")) + ")" * ("\n" in cell) for cell in cells)
        lines.append("| " + " | ".join([title.replace("|P|", "P"), *told]) + " |")
    return "\n".join(lines) + "\n"


def subject(study: Study) -> str:
    """What was studied, in a line."""
    about, plan = study["dataset"], study["plan"]
    split = "" if about["split"] == "all" else f" {about['split']}"
    return (
        f"{about['title']}{split}, {study['backbone']}, {len(study['images'])} images at "
        f"{plan['size']} px, {study['patches']:,} patches in a batch, {plan['anchors']:,} anchors"
    )


def proof_table(study: Study) -> Table:
    """The suggestion, the paper's settings and the best of a labelled sweep."""
    return filled(PROOF_HEADINGS, _proof_rows(study))


def _proof_rows(study: Study) -> list[list[str]]:
    rows = []
    expected = {"advised": study["advice"].get("expected")}
    expected["pure"] = (study.get("pure") or {}).get("expected")
    for name, title in PROOF.items():
        one = study["proof"].get(name)
        if one is None:  # studies of earlier versions have no pure one
            continue
        five = one["settings"]
        words = f"Φ⁰ {five['phi0']:.2f}, σ_pos {five['sigma_pos']:g}, T {five['steps']}"
        shares = [f"{100 * (one[key] or 0):.1f}" for key in ("f1", "precision", "recall")]
        rows.append([title, words, *shares, f"{one['positives']:,.0f}", _share(expected.get(name))])
    return rows


def _share(expected: Sequence[float] | None) -> str:
    """An expected precision with its ends."""
    if expected is None:
        return ""
    middle, low, high = (100 * share for share in expected)
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def with_ranges(rule: Mapping[str, Any], study: Study) -> tuple[list[str], list[str]]:
    """A rule's cells, and what stands small below each."""
    lead, ends = lead_of(rule, study)
    return [*cells_of(rule), lead], [*ranges_of(rule), ends]


def full_title(rule: Mapping[str, Any]) -> str:
    """A rule with its settings, and whether they were chosen for its number of positives."""
    return f"{rule['title']}, equal mean |P|" if rule["matched"] else str(rule["title"])


def paper_rows(study: Study) -> list[str]:
    """Table 6 of the paper for this kind of data set, a sentence a row; mostly empty."""
    return [
        f"{row.method} with {row.backbone}: {row.positives:,} positives, {row.true_positives:.1f} "
        f"% of them correct; {row.negatives:,} negatives, {row.false_negatives:.1f} % of them "
        "wrong"
        for row in TRUST
        if row.dataset == study["dataset"]["kind"]
    ]
