from __future__ import annotations

import math
from typing import Any

import pytest

from ppap.studio.explore.requests import read_look
from ppap.studio.requests import MAX_IMAGES, RequestError, read_request

FILE = {"path": "/tmp/x.png", "name": "x.png"}
WRONG: list[tuple[Any, str]] = [
    (None, "object"),
    ([], "object"),
    ("samples", "object"),
    (5, "object"),
    ({"source": "web"}, "source"),
    ({"source": None}, "source"),
    ({"source": ["files"]}, "source"),
    ({"size": 63}, "resolution"),
    ({"size": 2049}, "resolution"),
    ({"size": 448.5}, "resolution"),
    ({"picture": "part"}, "picture"),
    ({"picture": ["whole"]}, "picture"),
    ({"size": True}, "resolution"),
    ({"size": math.nan}, "resolution"),
    ({"size": "448"}, "resolution"),
    ({"size": [448]}, "resolution"),
    ({"size": None}, "resolution"),
    ({"size": 10**400}, "resolution"),
    *(
        ({"count": value}, f"number of images must be a whole number from 1 to {MAX_IMAGES}")
        for value in (0, 65, -1, 1.5, math.nan, math.inf, -math.inf, 1e300, 10**400, True, None)
    ),
    ({"count": "8"}, "number of images"),
    ({"count": []}, "number of images"),
    ({"count": 10**5000}, "number of images"),
    ({"seed": -1}, "batch number"),
    ({"seed": math.nan}, "batch number"),
    ({"seed": 10**10}, "batch number"),
    *(
        ({"source": "folder", "images": value}, "list of 1 to 64 numbers")
        for value in ("1,2", [], [0] * 65, {"0": 1}, 3)
    ),
    ({"source": "folder", "images": [0, -1]}, "image's number"),
    ({"source": "folder", "images": [math.nan]}, "image's number"),
    ({"source": "folder", "images": ["1"]}, "image's number"),
    ({"backbone": 5}, "backbone"),
    ({"backbone": "x" * 5000}, "backbone"),
    ({"folder": ["a"]}, "folder"),
    ({"folder": "a\0b"}, "characters"),
    ({"folder": "\ud800"}, "characters"),
    ({"split": {}}, "split"),
    ({"checkpoint": True}, "checkpoint"),
    ({"source": "files"}, "at least one"),
    ({"source": "files", "files": []}, "at least one"),
    ({"source": "files", "files": "abc"}, "list"),
    ({"source": "files", "files": 5}, "list"),
    ({"source": "files", "files": True}, "list"),
    ({"source": "files", "files": {"path": "a"}}, "list"),
    ({"source": "files", "files": [FILE, 5]}, "Image 2 is not an uploaded file"),
    ({"source": "files", "files": [None]}, "Image 1 is not"),
    ({"source": "files", "files": ["photo.jpg"]}, "Choose the images again"),
    ({"source": "files", "files": [{}]}, "Image 1 is not"),
    ({"source": "files", "files": [{"path": None, "name": "a"}]}, "Image 1 is not"),
    ({"source": "files", "files": [{"path": ["a"], "name": "a"}]}, "Image 1 is not"),
    ({"source": "files", "files": [FILE] * 65}, "at most 64 images, not 65"),
]


@pytest.mark.parametrize(("raw", "part"), WRONG, ids=range(len(WRONG)))
def test_a_request_that_makes_no_sense_is_refused_with_a_sentence(raw: Any, part: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_request(raw)
    sentence = str(caught.value)
    assert part in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 200
    sentence.encode()


def test_what_a_request_leaves_out_is_filled_in() -> None:
    request = read_request({})
    assert (request.source, request.size, request.backbone) == ("samples", 448, "embedded")
    assert (request.split, request.count, request.seed) == ("train", 8, 0)
    assert read_request({"count": 4.0}).count == 4


def test_64_images_are_not_too_many() -> None:
    assert len(read_request({"source": "files", "files": [FILE] * 64}).files) == 64


def test_uploads_without_a_name_get_one_and_odd_names_are_made_printable() -> None:
    files = [{"path": "a"}, {"path": "a", "name": 5}, {"path": "a", "name": "x\n\ud800<b>"}]
    names = [file.name for file in read_request({"source": "files", "files": files}).files]
    assert names == ["image 1", "image 2", "x\\n\\ud800<b>"]


def test_a_checkpoint_is_part_of_the_recipe_only_where_it_is_used() -> None:
    assert read_request({"checkpoint": "a.pth"}).checkpoint == ""
    assert read_request({"backbone": "checkpoint", "checkpoint": "a.pth"}).checkpoint == "a.pth"


def test_a_look_without_sense_is_the_usual_look() -> None:
    usual = read_look(None)
    for raw in (None, True, -1, 10**400, math.nan, math.inf, "", "\0", "x" * 9999, [1], {"a": 1}):
        look = read_look({"style": raw, "opacity": raw, "show": raw})
        assert look.style == "sets"
        assert 0 <= look.opacity <= 1
    assert read_look({"opacity": math.nan}) == usual
    assert read_look({"opacity": 10**400}) == usual
    fine = read_look({"style": "boxes", "opacity": 0, "grid": 1, "show": {"negative": False}})
    assert (fine.style, fine.opacity, fine.grid) == ("boxes", 0.0, True)
    assert (fine.positive, fine.negative) == (True, False)
