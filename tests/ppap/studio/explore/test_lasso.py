from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import networks
from ppap.studio.explore import lasso
from ppap.studio.requests import RequestError
from tests.support.small_studio import SmallStudio, load_tiny, small_batch

# Rows 0 and 1 of the first image (half left, half right), one void and one right of the second.
CHOSEN = [*range(8), 16 + 12, 16 + 3]


def test_classes_and_images_are_counted() -> None:
    batch = small_batch()
    found = lasso.counts(batch, lasso.read_lasso(CHOSEN, batch))
    assert [(one["name"], one["patches"], one["of"]) for one in found["images"]] == [
        ("photo 0", 8, 16),
        ("photo 1", 2, 16),
    ]
    assert [(one["name"], one["patches"], one["of"]) for one in found["classes"]] == [
        ("right", 5, 18),
        ("left", 4, 18),
        ("void", 1, 12),
    ]
    assert found["classes"][0]["share"] == 0.5
    assert "classes" not in lasso.counts(small_batch(labelled=False), lasso.read_lasso([1], batch))


def test_files_hold_every_chosen_patch() -> None:
    batch = small_batch(names=("a,b", 'c"d', "e"))
    chosen = lasso.read_lasso(CHOSEN[::-1], batch)
    rows = list(csv.DictReader(io.StringIO(lasso.file(batch, chosen, "csv").decode())))
    whole = json.loads(lasso.file(batch, chosen, "json"))
    assert whole["patches"] == sorted(CHOSEN)
    assert [{k: str(v) for k, v in row.items()} for row in whole["rows"]] == rows
    last = rows[-1]
    assert (last["name"], last["row"], last["column"], last["label"]) == ('c"d', "3", "0", "-1")
    assert last["class"] == ""
    assert rows[0]["class"] == "left"


@pytest.mark.parametrize(
    "raw", [3, "1", {}, [48], [-1], [True], [1.0], ["1"], [None], list(range(48)) * 2, [10**5000]]
)
def test_what_is_no_list_of_patches_is_refused(raw: Any) -> None:
    with pytest.raises(RequestError, match="from 0 to 47"):
        lasso.read_lasso(raw, small_batch())


def test_the_page_is_told_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    studio = SmallStudio(tmp_path)
    request = {"batch": studio.load()["batch"], "lasso": [0, 1, 60]}
    reply = studio.ask("lasso", request)
    assert (reply["patches"], [one["patches"] for one in reply["images"]]) == (3, [2, 1])
    saved = studio.ask("lasso", {**request, "format": "json"})
    assert json.loads(base64.b64decode(saved["data"]))["patches"] == [0, 1, 60]
    assert "csv or json" in studio.ask("lasso", {**request, "format": "exe"})["error"]
    assert "Draw a lasso" in studio.ask("lasso", {**request, "lasso": [], "format": "csv"})["error"]
