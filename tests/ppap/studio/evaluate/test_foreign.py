"""Predictions from files in place of a checkpoint: hostile names in, words of the command out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ppap.segmenter.inference import Inference
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.evaluate.foreign import Foreign, choose, require_as_they_are
from ppap.studio.evaluate.measures import Measures
from ppap.studio.evaluate.requests import Wanted, own_data
from ppap.studio.requests import RequestError
from ppap.studio.sources import Sources
from trainers.evaluate import parser


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "--theirs; touch x"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def checkpoints(tmp_path: Path, theirs: Path) -> Checkpoints:
    sources = Sources([theirs.parent], uploads=tmp_path / "uploads", any_folder=False)
    return Checkpoints(tmp_path / "runs", sources)


def test_the_command_gets_the_folder_in_one_word(
    checkpoints: Checkpoints, theirs: Path, tmp_path: Path
) -> None:
    raw = {"predictions": f" {theirs} ", "are": "clusters", "map": "many-to-one"}
    chosen, foreign = choose(raw, checkpoints)
    assert (chosen.file, chosen.title, chosen.run) == (theirs, theirs.name, None)
    assert foreign == Foreign("clusters", "many-to-one")
    words = Wanted(chosen, str(tmp_path), "val", foreign=foreign).arguments(tmp_path / "out")
    args = parser().parse_args(words)
    assert (args.target, args.predictions, args.map) == (None, theirs, "many-to-one")
    assert (args.predictions_are, args.split) == ("clusters", "val")
    usual = choose({"predictions": str(theirs), "are": "", "map": None}, checkpoints)[1]
    assert usual == Foreign("clusters", "")
    assert not any(word.startswith("--map") for word in usual.arguments(chosen))
    assert Foreign("classes", "one-to-one").arguments(chosen)[1:] == ["--predictions-are=classes"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"predictions": ""}, "Enter the folder of predictions"),
        ({"predictions": None}, "Enter the folder of predictions"),
        ({"predictions": ["x"]}, "Enter the folder of predictions"),
        ({"predictions": "/etc"}, "only the folders it was started with"),
        ({"predictions": "../.."}, "only the folders it was started with"),
        ({"are": "colours"}, "must be clusters or classes, not colours"),
        ({"are": ["classes"]}, "must be clusters or classes"),
        ({"map": "--crf"}, "must be one-to-one or many-to-one"),
    ],
)
def test_what_cannot_be_is_refused(
    checkpoints: Checkpoints, theirs: Path, changes: dict[str, Any], part: str
) -> None:
    with pytest.raises(RequestError, match=part):
        choose({"predictions": str(theirs), **changes}, checkpoints)


def test_files_are_scored_as_they_are(checkpoints: Checkpoints, theirs: Path) -> None:
    # What would change nothing is no reason to refuse.
    require_as_they_are(Measures(by=("merged",), train="train", seed=3, size=448))
    for more in (
        Measures(refine=("pamr",)),
        Measures(inference=Inference(mirror=True)),
        Measures(clusters=(27,)),
        Measures(retrieval=True),
        Measures(starts=2),
        Measures(protocol="published"),
    ):
        with pytest.raises(RequestError, match="scored as they are"):
            require_as_they_are(more)
    chosen, _ = choose({"predictions": str(theirs)}, checkpoints)
    with pytest.raises(RequestError, match="Enter the data set folder to evaluate --theirs"):
        own_data(chosen)
