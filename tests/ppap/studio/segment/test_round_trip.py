"""What is taken away from the Segment page is a data set, and trains."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import open_dataset
from tests.ppap.studio.segment.test_server import Place
from tests.support import small_runs
from tests.support.small_studio import load_tiny
from trainers import train

NAMES = [
    "a+b, 50%.jpg",
    "image.jpg",
    "image.jpg",
    "\U0001f469\u200d\U0001f33e \U0001f400.jpg",
    "n" * 196 + ".jpg",
    ".hidden.jpg",
    "aux.jpg",
    "IMAGE.png",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("ppap.studio.networks.load_backbone", load_tiny)
    made = Place(tmp_path)
    yield made
    made.close()


def test_photos_with_odd_names_come_back_as_a_data_set_and_train(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [place.upload(name, n, 64 + 2 * n) for n, name in enumerate(NAMES)]
    reply = place.load({"source": "files", "files": files, "clusters": 4, "size": 224})
    names = ["thing", "grass", "thing", "sky"]  # two segments, one class everywhere
    asked = {"result": reply["result"], "names": names, "photos": True}
    url = place.segmenting.take(asked)["url"]
    key = url.removeprefix("studio/segment/").removesuffix(".zip")
    folder = tmp_path / "set"
    with zipfile.ZipFile(place.segmenting.packing.taken(key).file) as archive:
        archive.extractall(folder)
    document = json.loads((folder / "annotations.json").read_text())
    assert [c["name"] for c in document["categories"]] == ["thing", "grass", "sky"]
    assert {a["category_id"] for a in document["annotations"]} == {1, 2, 3}
    assert (folder / "classes.txt").read_text() == "thing\ngrass\nsky\n"
    result = place.segmenting.store.result(reply["result"])
    dataset = open_dataset(folder, split="all")
    assert (dataset.name, dataset.classes) == ("folder", ("thing", "grass", "sky"))
    assert not dataset.warnings
    assert len(dataset) == len(NAMES)
    for index in range(len(NAMES)):
        example = dataset.load(index)
        n = (example.photo.rgb.shape[0] - 64) // 2
        with Image.open(files[n]["path"]) as photo:
            assert np.array_equal(example.photo.rgb, np.array(photo.convert("RGB")))
        wanted = np.array([0, 1, 0, 2])[result.layer("clusters").maps[n].ids()]
        assert example.labels is not None
        assert np.array_equal(example.labels, wanted)
    runs = small_runs.Place(tmp_path)
    runs.data = folder
    config = runs.config(max_steps=2, validate_every=0, selection="last")
    assert train.main([*runs.words("run", config), "--no-report"]) == 0, capsys.readouterr()
    assert small_runs.state_of(small_runs.Run(tmp_path / "run"))["step"] == 2
