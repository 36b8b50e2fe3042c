"""What a study's tables say in words, against the numbers that they are made of."""

from __future__ import annotations

from typing import Any

import pytest

from ppap.places import ASSETS
from ppap.study.columns import PROOF_HEADINGS, RULE_HEADINGS, STAGE_HEADINGS, filled
from ppap.study.conclusions import conclusions, of_advice, of_rules, of_same_class, of_sweep
from ppap.study.saved import read_study


def rule(name: str, precision: float | None, behind: Any = None, matched: bool = True) -> Any:
    sure = {"precision": [0.6, 0.8], "behind": behind}
    return {
        "rule": name,
        "precision": precision,
        "recall": 0.5,
        "matched": matched,
        "sureness": sure,
    }


OWN = rule("ppap", 0.7, matched=False)
AS_FAR = (
    "70.0 % of PPAP's positives are correct (95 % interval 60.0 to 80.0), and they include 50.0 % "
    "of the anchor's class. "
)


@pytest.mark.parametrize(
    ("rivals", "said"),
    [
        (
            [rule("baseline", 0.666, [0.029, 0.038])],
            "With equal numbers of positives, PPAP's are correct 3.4 points more often than "
            "those of the baseline (95 % interval 2.9 to 3.8).",
        ),
        (
            [rule("knn", 0.6, [0.05, 0.15]), rule("hp", 0.71, [-0.02, -0.005])],
            "With equal numbers of positives, PPAP's are correct 10.0 points more often than "
            "those of k nearest (95 % interval 5.0 to 15.0) and 1.0 points less often than those "
            "of hidden positives (95 % interval 0.5 to 2.0).",
        ),
        (
            [rule("kmeans", 0.69, [-0.01, 0.03]), rule("knn", None)],
            "With equal numbers of positives, no difference from those of k-means can be "
            "established on these images.",
        ),
        (
            [rule("kmeans", 0.69, None)],  # of a study without intervals
            "With equal numbers of positives, PPAP's are correct 1.0 points more often than "
            "those of k-means.",
        ),
        (
            [rule("hp", 0.9, [-0.3, -0.1], matched=False)],
            "The rivals give different numbers of positives here, so a higher precision alone "
            "does not make a rule better.",
        ),
    ],
)  # fmt: skip
def test_rules(rivals: list[Any], said: str) -> None:
    assert of_rules([OWN, *rivals]) == AS_FAR + said


def test_advice_counts_pairs_beyond_the_thresholds() -> None:
    advice = {
        "edges": [0.0, 0.2, 0.4, 0.6], "pairs": [0.5, 0.3, 0.2],
        "settings": {"phi0": 0.5, "psi0": 0.2},
    }  # fmt: skip
    assert of_advice(advice).startswith("Of all pairs of patches, 10.0 % are more similar than Φ⁰")
    assert "; 50.0 % are less similar than Ψ⁰" in of_advice(advice)


def test_same_class_before_and_after() -> None:
    def stage(title: str, area: float | None) -> Any:
        return {"title": title, "same_class": {"area": area, "chance": 0.2}}

    alone = of_same_class([stage("these features", 0.6)])
    assert "an average precision of 60.0 %, 3.0 times chance level (20.0 %)" in alone
    both = of_same_class([stage("frozen feature", 0.6), stage("projection z", 0.5)])
    assert "cosines of the projection z tell classes apart worse than" in both
    assert of_same_class([stage("these features", None)]) == ""


def test_the_best_of_a_sweep() -> None:
    def cell(phi0: float, f1: float | None) -> Any:
        return {"settings": {"phi0": phi0, "steps": 1}, "f1": f1, "positives": 1000 * phi0}

    sweep = {"x": {"symbol": "Φ⁰", "setting": "phi0"}, "y": {"symbol": "T", "setting": "steps"}}
    swept = {**sweep, "cells": [[cell(0.4, 0.5), cell(0.5, 0.515), cell(0.6, 0.3)]]}
    assert of_sweep(swept) == (
        "F1 is highest at Φ⁰ 0.5, T 1: 51.5 %; 1 other setting of 3 comes within 2 points."
    )
    unlabelled = {**sweep, "cells": [[cell(0.4, None), cell(0.5, None)]]}
    assert "an anchor has 400 to 500 positives" in of_sweep(unlabelled)


def test_a_column_that_says_nothing_is_left_out() -> None:
    rows = [["a", "1", "", "–"], ["b", "", "", "2"]]
    made = filled(RULE_HEADINGS[:3], rows)
    assert made.headings == (RULE_HEADINGS[0], RULE_HEADINGS[2])
    assert made.rows == [["a", "1", "–"], ["b", "", "2"]]


def test_every_part_of_the_sample_study_is_told_and_every_heading_explained() -> None:
    found = read_study(ASSETS / "samples/results/study")
    names = {"advice", "proof", "rules", "stages", "trust", "classes", "same_class", "sweep"}
    assert conclusions(found).keys() == names
    for heading in (*RULE_HEADINGS, *PROOF_HEADINGS, *STAGE_HEADINGS):
        assert heading.hint.endswith(".")
        assert "_" not in heading.title
