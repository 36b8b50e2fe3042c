"""What stands above a study's numbers: words, and what each of them means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Heading(NamedTuple):
    """The title of a column, and a sentence on what stands in it."""

    title: str
    hint: str


class Measure(NamedTuple):
    """A column of the rules' table: a field of ``study.json`` and how it is written."""

    field: str
    title: str
    form: str
    times: int
    hint: str


_POSITIVES = "Patches in P, mean over the anchors; patches without a class are not counted."
_PRECISION = "The share of patches in P that belong to the anchor's class; mean over the anchors."
_RECALL = "The share of all patches of the anchor's class that are in P; mean over the anchors."
_F1 = "Harmonic mean of precision and recall; high only if both are."
_WRONG = (
    "The share of patches in N that belong to the anchor's class: training pushes them away "
    "although they belong together."
)

PRECISION, RECALL = "Correct positives (precision), %", "Share of class found (recall), %"
F1 = "F1, %"
WRONG = "Wrong negatives, %"
COLUMNS = (
    Measure("positives", "Positives", "{:,.0f}", 1, _POSITIVES),
    Measure("precision", PRECISION, "{:.1f}", 100, _PRECISION),
    Measure("recall", RECALL, "{:.1f}", 100, _RECALL),
    Measure("f1", F1, "{:.1f}", 100, _F1),
    Measure(
        "ambiguous", "Ambiguous", "{:,.0f}", 1,
        "Patches in A, mean over the anchors: the loss ignores them. Only PPAP has an ambiguous "
        "set.",
    ),
    Measure(
        "purity", "Ambiguous of the class, %", "{:.1f}", 100,
        "The share of patches in A that belong to the anchor's class: correct patches that were "
        "given up.",
    ),
    Measure("negatives", "Negatives", "{:,.0f}", 1, "Patches in N, mean over the anchors."),
    Measure("false_negatives", WRONG, "{:.1f}", 100, _WRONG),
)  # fmt: skip
LEAD = Heading(
    "Precision compared with PPAP, points",
    "The rule's share of correct positives minus PPAP's: + is better than PPAP, − is worse. If "
    "the interval below contains 0, other images might reverse the order.",
)
RULE_HEADINGS = (*(Heading(one.title, one.hint) for one in COLUMNS), LEAD)

SETTINGS = Heading("Settings", "Thresholds, weights and steps of the propagation.")
EXPECTED = Heading(
    "Expected correct, %",
    "The share of positives that should be correct, estimated without labels, with the range it "
    "usually lies in.",
)
PROOF_HEADINGS = (
    SETTINGS,
    Heading(F1, _F1),
    Heading(PRECISION, _PRECISION),
    Heading(RECALL, _RECALL),
    Heading("Positives", _POSITIVES),
    EXPECTED,
)
STAGE_HEADINGS = (
    SETTINGS,
    EXPECTED,
    Heading(PRECISION, _PRECISION),
    Heading(RECALL, _RECALL),
    Heading(F1, _F1),
    Heading("Positives", _POSITIVES),
    Heading(WRONG, _WRONG),
)


class Table(NamedTuple):
    """A table without empty columns."""

    headings: tuple[Heading, ...]
    rows: list[list[str]]
    """Each begins with its title."""


def filled(headings: Sequence[Heading], rows: Sequence[Sequence[str]]) -> Table:
    """Leave out the columns that say nothing in any row, such as in studies of earlier versions.

    ``rows`` begin with their title, which has no heading.
    """
    kept = [at for at in range(len(headings)) if any(row[at + 1] not in ("", "–") for row in rows)]
    return Table(
        tuple(headings[at] for at in kept),
        [[row[0], *(row[at + 1] for at in kept)] for row in rows],
    )


def plainly(headings: Sequence[Heading]) -> list[Mapping[str, str]]:
    """Headings as a page's script takes them."""
    return [one._asdict() for one in headings]
