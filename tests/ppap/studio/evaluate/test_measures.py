"""What an evaluation measures beyond the probes: hostile values in, typed ones and words out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ppap.segmenter.inference import Inference
from ppap.studio.evaluate.fitting import Fitting
from ppap.studio.evaluate.measures import Measures, read_measures
from ppap.studio.requests import Mistakes
from ppap.studio.sources import Sources
from tests.support.small_segmenters import write_folder
from trainers.evaluate import parser


def read(raw: dict[str, Any], crf: str | None = None) -> tuple[Measures, dict[str, str]]:
    mistakes = Mistakes()
    measures = read_measures(raw, mistakes, crf)
    return measures, mistakes.reply()["errors"]


def test_texts_of_forms_and_values_of_scripts_are_the_same() -> None:
    typed = {
        "refine": ["pamr", "crf", "crf"],
        "mirror": True,
        "scales": "0.75, 1  1.25",
        "window": " 224 ",
        "shifts": "2",
        "clusters": "27 100;300, 27",
        "by": ["probe", "merged"],
        "features": "frozen",
        "retrieval": True,
        "train": " train ",
        "seed": "3",
        "protocol": "published",
    }
    given = {
        **typed,
        "scales": [0.75, 1, 1.25],
        "window": 224,
        "shifts": 2,
        "clusters": [27, 100, 300],
        "seed": 3,
        "crf": True,
        "refine": "pamr",
    }
    wanted = Measures(
        ("crf", "pamr"),
        Inference(True, (0.75, 1.0, 1.25), 224, 2),
        (27, 100, 300),
        ("probe", "merged"),
        "frozen",
        True,
        "train",
        3,
        "published",
    )
    assert read(typed) == (wanted, {})
    assert read(given) == (wanted, {})


def test_what_is_empty_is_as_usual_and_says_nothing_to_the_command() -> None:
    empty = {"refine": [], "scales": "", "window": "", "shifts": "1", "clusters": " ", "by": []}
    for raw in ({}, {**empty, "seed": "", "train": "", "protocol": "", "mirror": None}):
        measures, errors = read(raw)
        assert errors == {}
        assert measures == Measures()
        assert measures.arguments() == []


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"refine": ["none"]}, "refine", "must be one of crf, pamr, not none"),
        ({"refine": [["crf"]]}, "refine", "must be one of"),
        ({"refine": ["crf"] * 99}, "refine", "at most 8"),
        ({"crf": "yes"}, "refine", "CRF must be true or false"),
        ({"mirror": "yes"}, "mirror", "true or false"),
        ({"scales": "1 two"}, "scales", "two is not a number"),
        ({"scales": [True]}, "scales", "True is not a number"),
        ({"scales": [math.nan]}, "scales", "from 0.25 to 4"),
        ({"scales": "inf"}, "scales", "from 0.25 to 4"),
        ({"scales": [10**400]}, "scales", "from 0.25 to 4"),
        ({"scales": "1 " * 99}, "scales", "at most 8 scales, not 99"),
        ({"scales": "1" * 300}, "scales", "at most 8"),
        ({"scales": {"1": 2}}, "scales", "at most 8"),
        ({"window": "--crf"}, "window", "Window must be a whole number"),
        ({"window": 5000}, "window", "from 0 to 4096"),
        ({"window": 2.5}, "window", "a whole number"),
        ({"shifts": 9}, "shifts", "from 1 to 8"),
        ({"shifts": "0"}, "shifts", "from 1 to 8"),
        ({"clusters": "27 1e9"}, "clusters", "from 2 to 1000, not 1e9"),
        ({"clusters": "1"}, "clusters", "from 2 to 1000"),
        ({"clusters": [True]}, "clusters", "whole number"),
        ({"clusters": "9 8 7 6 5 4 3 2 10"}, "clusters", "at most 8 numbers of clusters, not 9"),
        ({"by": ["dbscan"]}, "by", "must be one of merged, kmeans, probe"),
        ({"features": 5}, "features", "tuned, frozen"),
        ({"retrieval": 1}, "retrieval", "true or false"),
        ({"train": "--crf"}, "train", "a name such as train"),
        ({"seed": -1}, "seed", "from 0 to"),
        ({"seed": "9" * 5000}, "seed", "from 0 to"),
        ({"size": 15}, "size", "from 16 to 2048"),
        ({"size": "320px"}, "size", "from 16 to 2048, not 320px"),
        ({"starts": "many"}, "starts", "from 0 to 100"),
        ({"starts": 101}, "starts", "from 0 to 100"),
        ({"protocol": "mine"}, "protocol", "studio, published"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(changes: dict[str, Any], field: str, part: str) -> None:
    _, errors = read(changes)
    assert list(errors) == [field]
    assert part in errors[field]


def test_without_a_compiler_there_is_no_crf_but_pamr() -> None:
    assert read({"refine": ["crf", "pamr"]}, "No CRF here.")[1] == {"refine": "No CRF here."}
    assert read({"refine": ["pamr"]}, "No CRF here.")[0].refine == ("pamr",)


def test_one_slip_does_not_hide_the_others() -> None:
    _, errors = read({"scales": "x", "window": "y", "shifts": 99, "seed": [], "train": 5})
    assert list(errors) == ["scales", "window", "shifts", "train", "seed"]


def test_the_command_understands_the_words() -> None:
    raw = {
        "refine": ["pamr"],
        "mirror": True,
        "scales": "0.5 1",
        "window": 96,
        "shifts": 4,
        "clusters": "3 5",
        "by": ["kmeans"],
        "retrieval": True,
        "train": "train",
        "seed": 7,
        "protocol": "studio",
        "size": "448",
        "starts": "10",
    }
    args = parser().parse_args(["run", *read(raw)[0].arguments()])
    assert (args.refine, args.mirror, args.scales) == (["pamr"], True, [0.5, 1.0])
    assert (args.window, args.shifts, args.protocol) == (96, 4, "studio")
    assert args.size == 448
    assert args.starts == 10
    # Its split and seed matter to it, too.
    words = read({"starts": 5, "train": "val"})[0].arguments()
    assert words == ["--starts=5", "--train-split=val", "--seed=0"]
    assert (args.clusters, args.cluster_by, args.cluster_features) == ([3, 5], ["kmeans"], "tuned")
    assert (args.retrieval, args.train_split, args.seed) == (True, "train", 7)
    # Where clusters come from matters to nothing else.
    assert read({"train": "val", "seed": 5, "by": ["kmeans"]})[0].arguments() == []


def test_what_the_data_set_lacks_is_said_at_its_field(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_folder(data, 5)
    fitting = Fitting(Sources([data], uploads=tmp_path / "uploads", any_folder=True))

    def said(split: str = "all", **raw: Any) -> dict[str, Any]:
        mistakes = Mistakes()
        fitting.check(read(raw)[0], str(data), "", split, mistakes)
        return mistakes.reply()

    assert said(clusters="3") == {"errors": {}}
    few = {"clusters": "2 clusters are fewer than the data set's 3 classes."}
    assert said(clusters="5 2") == {"errors": few}
    odd = said(clusters="3", train="trian")
    assert list(odd["errors"]) == ["train"]
    assert odd["offers"] == {"train": ["train"]}
    assert said(train="trian") == {"errors": {}}  # of no meaning without clusters
    assert list(said(retrieval=True, train="trian")["errors"]) == ["train"]
    assert list(said(starts=2, train="trian")["errors"]) == ["train"]
    # What cannot be opened is the evaluation's to tell.
    assert said("nothing", clusters="2") == {"errors": {}}
