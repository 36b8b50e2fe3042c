"""The studio as scripts meet it: launched for real, called through gradio_client."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

from ppap.backbones import load_backbone
from ppap.batches import make_batch
from ppap.data import samples_dataset
from ppap.propagation import propagate
from ppap.studio.study.studies import WantedStudy
from ppap.study import advise
from tests.conftest import ROOT
from tests.support.small_studio import draw

pytestmark = pytest.mark.slow

EXPLORING = (
    "load_batch",
    "load_images",
    "run_steps",
    "estimate_cost",
    "suggest_settings",
    "propagate",
    "save",
    "compare_features",
    "propagate_several",
    "every_anchor",
    "describe_features",
)
TRAINING = (
    "check_run",
    "suggest_thresholds",
    "start_run",
    "list_runs",
    "run_changes",
    "stop_run",
    "resume_run",
    "clone_run",
    "arrange_queue",
    "note_run",
    "rename_run",
    "delete_run",
    "compare_runs",
)
EVALUATING = (
    "start_evaluation",
    "evaluation",
    "cancel_evaluation",
    "reports",
    "report",
    "delete_report",
    "pixels_by_image",
    "reports_beside",
)
SEGMENTING = (
    "checkpoints",
    "segment_samples",
    "segment_images",
    "segment_folder",
    "make_sample_checkpoint",
)
BROWSING = ("browse", "look_at_folder")
STUDYING = (
    "start_study",
    "study_status",
    "cancel_study",
    "studies",
    "study",
    "delete_study",
    "plan_ablation",
    "start_ablation",
    "ablations",
    "ablation",
)
NOTING = ("notes", "note", "keep_note", "change_note", "delete_note", "note_page", "animate")
ALL = (*EXPLORING, *BROWSING, *NOTING, *STUDYING, *TRAINING, *EVALUATING, *SEGMENTING)
SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 3}


# In a process of its own, as users have it; gradio leaves event loops unclosed besides.
SERVE = """
import sys
from pathlib import Path
from ppap.studio.page import Studio
studio = Studio(folders=[Path(sys.argv[1])], local=False)
studio.serve(host="127.0.0.1", port=int(sys.argv[2]))
print("serving", flush=True)
sys.stdin.read()
studio.close()
"""


class Launched:
    """A studio that serves a folder, as if other machines could reach it, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.offered, self.cache = folder / "offered", folder / "gradio"
        for i in range(4):
            draw(self.offered / f"{i}.png", i, side=200)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(self.offered), str(port)],
                cwd=ROOT,
                env={**os.environ, "GRADIO_TEMP_DIR": str(self.cache)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout
        assert self.process.stdout.readline() == "serving\n", self.log.read_text()
        self.url = f"http://127.0.0.1:{port}/"
        self.client = Client(self.url, verbose=False, download_files=folder / "downloads")

    def call(self, name: str, **arguments: Any) -> Any:
        return self.client.predict(**arguments, api_name=f"/{name}")

    def stop(self) -> None:
        self.client.close()
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = Launched(tmp_path_factory.mktemp("launched"))
    yield launched
    launched.stop()
    assert launched.process.returncode == 0, launched.log.read_text()
    # Refusals are no faults: they leave no trace in the terminal.
    assert "Traceback" not in launched.log.read_text()


@pytest.fixture(scope="module")
def samples(launched: Launched) -> dict[str, Any]:
    found: dict[str, Any] = launched.call("load_batch", size=224)
    return found


def test_every_endpoint_is_documented_and_nothing_else_is_listed(launched: Launched) -> None:
    listed: dict[str, Any] = launched.client.view_api(return_format="dict", print_info=False)
    assert listed["unnamed_endpoints"] == {}
    endpoints = listed["named_endpoints"]
    asked = {one["parameter_name"] for one in endpoints["/start_study"]["parameters"]}
    assert asked == {*WantedStudy._fields, "sweep", "run"}
    assert set(endpoints) == {f"/{name}" for name in ALL}
    for endpoint in endpoints.values():
        assert endpoint["description"].endswith(".")
        for parameter in endpoint["parameters"]:
            assert len(parameter["python_type"]["description"]) > 10, parameter
            assert parameter["python_type"]["type"] != "Any"
        (result,) = endpoint["returns"]
        assert result["python_type"]["description"]
        assert result["python_type"]["type"] in ("dict(str, Any)", "filepath")
    by_name = {p["parameter_name"]: p for p in endpoints["/propagate"]["parameters"]}
    assert "−1 to 1" in by_name["phi0"]["python_type"]["description"]
    needed = [name for name, p in by_name.items() if not p["parameter_has_default"]]
    assert needed == ["batch", "image", "row", "column"]


def test_samples_are_loaded(samples: dict[str, Any]) -> None:
    assert samples["names"] == ["cheetah1", "lion", "cheetah", "china", "tower", "flower"]
    assert (samples["grids"], samples["patch"]) == ([[14, 14]] * 6, 16)
    assert samples["shapes"] == [[224, 224]] * 6
    assert samples["backbone"] == "embedded"
    assert "ImageNet labels" in samples["backbone_note"]


def test_the_same_features_under_other_settings_stand_side_by_side(
    launched: Launched, samples: dict[str, Any]
) -> None:
    where = {"batch": samples["batch"], "other": samples["batch"], "image": 0, "row": 7}
    arguments = {**where, "column": 6, **SETTINGS, "other_settings": {"phi0": 0.4}}
    found = launched.call("compare_features", **arguments)
    assert found["beside"]["anchor"] == found["anchor"]
    assert found["beside"]["rules"][0]["settings"] == {**SETTINGS, "phi0": 0.4}
    before, after = (one["rules"][0]["steps"][-1] for one in (found, found["beside"]))
    last = found["differences"][-1]
    gained = set(after["positive_patches"]) - set(before["positive_patches"])
    assert set(last["gained_patches"]) == gained
    assert gained
    with pytest.raises(AppError, match="no longer in memory"):
        launched.call("compare_features", **{**arguments, "other": "nothing"})


def test_several_anchors_are_gathered_at_once(launched: Launched, samples: dict[str, Any]) -> None:
    places = [[0, 7, 6], [1, 3, 7]]
    arguments = {"batch": samples["batch"], **SETTINGS}
    found = launched.call("propagate_several", anchors=places, **arguments)
    each = []
    for (image, row, column), one in zip(places, found["anchors"], strict=True):
        where = {"image": image, "row": row, "column": column}
        alone = launched.call("propagate", **arguments, **where)["rules"][0]
        assert one["steps"] == alone["steps"]
        each.append(set(alone["steps"][-1]["positive_patches"]))
    last = found["steps"][-1]
    assert set(last["union_patches"]) == each[0] | each[1]
    assert last["overlaps"][0]["common"] == len(each[0] & each[1])
    for wrong in ([], [[0, 0]], [[0, 99, 0]], [[0, 1, 1]] * 2, [[0, 0, i] for i in range(9)]):
        with pytest.raises(AppError, match="must"):
            launched.call("propagate_several", anchors=wrong, **arguments)


def test_every_anchor_is_what_a_loop_finds(launched: Launched, samples: dict[str, Any]) -> None:
    arguments = {"batch": samples["batch"], **SETTINGS}
    file = launched.call("every_anchor", every=7, format="json", **arguments)
    found = json.loads(Path(file).read_text())
    assert found["every"] == 7
    assert len(found["anchors"]) == 6 * 4
    for i in (0, 11, 23):
        image, patch = divmod(found["anchors"][i], 196)
        where = {"image": image, "row": patch // 14, "column": patch % 14}
        last = launched.call("propagate", **arguments, **where)["rules"][0]["steps"][-1]
        assert found["positives"][i] == last["positive"]
        assert found["precision"][i] == (
            None if last["precision"] is None else pytest.approx(last["precision"])
        )
    with np.load(launched.call("every_anchor", **arguments)) as arrays:
        assert arrays["anchors"].tolist() == list(range(6 * 196))
        assert arrays["positives"][found["anchors"]].tolist() == found["positives"]
    for wrong in ({"every": 0}, {"every": 1.5}, {"format": "exe"}, {"phi0": 2}):
        with pytest.raises(AppError):
            launched.call("every_anchor", **{**arguments, **wrong})


def test_what_there_is_to_see_in_features_comes_as_arrays(
    launched: Launched, samples: dict[str, Any]
) -> None:
    def arrays(what: str, **more: Any) -> Any:
        file = launched.call("describe_features", batch=samples["batch"], what=what, **more)
        with np.load(file) as content:
            return dict(content)

    patches = sum(rows * columns for rows, columns in samples["grids"])
    found = arrays("components", background=[0, 0, 0])
    assert found["rgb"].shape == found["values"].shape == (patches, 3)
    assert not found["foreground"][0]
    assert found["grids"].tolist() == samples["grids"]
    assert arrays("lengths")["lengths"].shape == (patches,)
    grouped = arrays("clusters", clusters=5)
    assert np.bincount(grouped["labels"]).tolist() == grouped["sizes"].tolist()
    assert len(grouped["centres"]) == 5
    for wrong, sentence in (
        ({"what": "colour"}, "what must be one of components, lengths, clusters, attention"),
        ({"what": "attention"}, "is not a ViT"),
        ({"what": "clusters", "clusters": 65}, "There can be 2 to 64 clusters, not 65"),
        ({"background": [0, 99, 0]}, "The row must be a whole number from 0 to"),
        ({"background": [0]}, "its image, row and column"),
    ):
        with pytest.raises(AppError, match=sentence):
            launched.call("describe_features", batch=samples["batch"], **wrong)
    where = {"batch": samples["batch"], "image": 0, "row": 1, "column": 1, "style": "clusters"}
    files = [launched.call("save", **where, style_options={"count": n}) for n in (2, 9)]
    assert Path(files[0]).read_bytes() != Path(files[1]).read_bytes()


def test_more_anchors_and_trust_are_saved(launched: Launched, samples: dict[str, Any]) -> None:
    arguments = {"batch": samples["batch"], "image": 0, "row": 7, "column": 6, **SETTINGS}
    kept = {"anchors": [[1, 3, 7], [2, 5, 5]]}
    file = launched.call("save", format="json", **arguments, **kept)
    whole = json.loads(Path(file).read_text())
    assert [one["number"] for one in whole["several"]["anchors"]] == [1, 2]
    svg = launched.call("save", format="svg", style="trust", measure="moved", **arguments)
    assert "Proxy moved as the anchor" in Path(svg).read_text()
    with pytest.raises(AppError, match="measure must be"):
        launched.call("save", style="trust", measure="luck", **arguments)


def test_whole_pictures_are_loaded_and_their_cost_is_told(launched: Launched) -> None:
    wanted = {"size": 160, "picture": "whole"}
    found = launched.call("load_batch", **wanted)
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    batch = make_batch(examples, load_backbone("embedded"), size=160, picture="whole")
    assert found["grids"] == [list(grid) for grid in batch.grids]
    assert len({tuple(grid) for grid in found["grids"]}) > 2
    place = dict(zip(("image", "row", "column"), batch.position(333), strict=True))
    sets = launched.call("propagate", batch=found["batch"], **place, **SETTINGS)
    assert sets["anchor"]["index"] == 333
    mine = propagate(batch.features, torch.tensor([333]), **SETTINGS)  # type: ignore[arg-type]
    last = sets["rules"][0]["steps"][-1]
    assert last["positive_patches"] == mine.positive[0].nonzero().flatten().tolist()
    with pytest.raises(AppError, match="picture must be square or whole"):
        launched.call("load_batch", picture="half")
    cost = launched.call("estimate_cost", images=6, size=160)
    assert (cost["size"], cost["patches"], cost["refused"]) == (160, 600, "")
    assert cost["seconds"] > 0
    refused = launched.call("estimate_cost", images=64, size=2000)
    assert "What would fit: 64 images at" in refused["refused"]
    with pytest.raises(AppError, match="whole number from 64 to 2048"):
        launched.call("estimate_cost", size=5000)


def test_a_folder_is_loaded(launched: Launched) -> None:
    folder = str(launched.offered)
    found = launched.call("load_batch", source="folder", folder=folder, count=2, size=224)
    other = launched.call("load_batch", source="folder", folder=folder, count=2, size=224, seed=1)
    first, second = (
        launched.call("load_batch", source="folder", folder=folder, images=images, size=224)
        for images in ([1, 0], [0, 1])
    )
    assert len(first["names"]) == 2
    assert first["names"] == second["names"][::-1]
    assert len(found["names"]) == 2
    assert not set(found["names"]) & set(other["names"])


def test_features_of_ones_own_and_the_same_pictures_with_others(launched: Launched) -> None:
    chance = np.random.default_rng(0)
    features = chance.standard_normal((2, 4, 4, 6)).astype(np.float32)
    pictures = chance.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    file = launched.offered / "own" / "mine.npz"
    file.parent.mkdir()
    np.savez(file, features=features, images=pictures)
    found = launched.call("load_batch", source="npz", npz=str(file))
    assert found["backbone"] == "npz"
    sets = launched.call("propagate", batch=found["batch"], image=1, row=2, column=3, **SETTINGS)
    flat = torch.from_numpy(features).flatten(0, 2)
    mine = propagate(flat, torch.tensor([27]), **SETTINGS)  # type: ignore[arg-type]
    last = sets["rules"][0]["steps"][-1]
    assert last["positive_patches"] == mine.positive[0].nonzero().flatten().tolist()
    other = launched.call("load_batch", like=found["batch"], backbone="embedded")
    assert (other["backbone"], other["names"]) == ("embedded", found["names"])
    for refused, said in (
        ({"backbone": "run", "run": "first"}, "There is no run called first"),
        ({"backbone": "run"}, "Choose a run"),
        ({"source": "npz", "npz": "/etc/passwd"}, "only the folders it was"),
        ({"backbone": "embedded", "like": "x"}, "no longer in memory"),
    ):
        with pytest.raises(AppError, match=said):
            launched.call("load_batch", **refused)
    with pytest.raises(AppError, match="There is no run called first"):
        launched.call("run_steps", run="first")


def test_own_images_are_uploaded_and_unreadable_ones_named(
    launched: Launched, tmp_path: Path
) -> None:
    photo = draw(tmp_path / "my holiday & more.png", 1, side=100)
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    files = [handle_file(photo), handle_file(broken)]
    found = launched.call("load_images", files=files, size=224)
    assert len(found["names"]) == 1
    assert "holiday" in found["names"][0]
    assert found["problems"]
    assert "broken.jpg" in found["problems"][0]
    assert str(tmp_path) not in json.dumps(found)
    assert "gradio" not in json.dumps(found)


def test_sets_are_those_of_the_library(launched: Launched, samples: dict[str, Any]) -> None:
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    batch = make_batch(examples, load_backbone("embedded"), size=224)
    found = launched.call(
        "propagate",
        batch=samples["batch"],
        image=0,
        row=7,
        column=6,
        **SETTINGS,
        rival="knn",
        rival_parameters={"k": 30},
    )
    own, rival = found["rules"]
    anchor = batch.index(0, 7, 6)
    sets = propagate(batch.features, torch.tensor([anchor]), **SETTINGS)  # type: ignore[arg-type]
    for t, step in enumerate(own["steps"]):
        assert step["positive_patches"] == sets.at(t).positive[0].nonzero().flatten().tolist()
    assert rival["steps"][0]["positive"] == 30


def test_settings_are_suggested(launched: Launched, samples: dict[str, Any]) -> None:
    found = launched.call("suggest_settings", batch=samples["batch"])
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    batch = make_batch(examples, load_backbone("embedded"), size=224)
    wanted = advise(batch.features, images=len(batch), embedded=True)
    assert wanted.expected is not None
    assert found == {
        "aim": "complete",
        "settings": wanted.settings.as_dict(),
        "expected": pytest.approx(wanted.expected._asdict()),
        "reasons": list(wanted.reasons),
    }
    pure = launched.call("suggest_settings", batch=samples["batch"], aim="pure")
    assert pure["settings"]["phi0"] > found["settings"]["phi0"]
    assert pure["expected"]["precision"] > found["expected"]["precision"]
    with pytest.raises(AppError, match="complete or pure, not both"):
        launched.call("suggest_settings", batch=samples["batch"], aim="both")


def test_studies_are_listed_and_refused(launched: Launched) -> None:
    assert isinstance(launched.call("studies")["studies"], list)
    assert launched.call("study_status") == {"current": None}
    with pytest.raises(AppError, match="cannot start studies"):
        launched.call("start_study", data="samples")
    with pytest.raises(AppError, match=r"There is no study \.\./x"):
        launched.call("study", key="../x")


@pytest.mark.parametrize("format", ["png", "json"])
def test_files_are_saved(launched: Launched, samples: dict[str, Any], format: str) -> None:
    where = {"batch": samples["batch"], "image": 0, "row": 7, "column": 6}
    saved = Path(launched.call("save", **where, format=format, step=1, style="boxes", grid=True))
    assert saved.name == f"ppap-0-7-6-step1.{format}"
    if format == "json":
        assert json.loads(saved.read_text())["anchor"]["row"] == 7
    else:
        with Image.open(saved) as image:
            assert image.format == "PNG"


def test_saving_again_leaves_one_file_on_the_server(
    launched: Launched, samples: dict[str, Any]
) -> None:
    where = {"batch": samples["batch"], "image": 2, "row": 3, "column": 4, "format": "json"}
    for _ in range(2):
        launched.call("save", **where)
    assert len(list(launched.cache.rglob("ppap-2-3-4-step2.json"))) == 1


def test_refusals_arrive_as_sentences(
    launched: Launched, samples: dict[str, Any], tmp_path: Path
) -> None:
    where = {"batch": samples["batch"], "image": 0, "row": 7, "column": 6}
    secret = draw(tmp_path / "secret.png", 1)
    outside = {"path": str(secret), "orig_name": "secret.png"}
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("load_batch", {"size": 63}, "The resolution must be a whole number from 64"),
        ("load_batch", {"source": "files"}, "Choose at least one image"),
        ("load_batch", {"source": "folder", "folder": str(tmp_path)}, "--images"),
        ("load_batch", {"backbone": str(secret)}, "--images"),
        ("load_batch", {"backbone": "no-such-model"}, "there is no backbone"),
        ("load_batch", {"source": "folder", "count": 99}, "from 1 to 64"),
        ("load_images", {"files": []}, "Choose at least one image"),
        ("load_images", {"files": "abc"}, "must be a list"),
        ("load_images", {"files": [5]}, "Image 1 is not an uploaded file"),
        ("load_images", {"files": [outside]}, "was not uploaded"),
        ("propagate", {**where, "row": 99}, "The row must be a whole number from 0 to 13"),
        ("propagate", {**where, "row": "7"}, "The row must be a whole number from 0 to 13"),
        ("propagate", {**where, "batch": "none"}, "no longer in memory"),
        ("propagate", {**where, "batch": ["none"]}, "no longer in memory"),
        ("propagate", {**where, "phi0": 2}, "Φ⁰ must be a number from -1 to 1"),
        ("propagate", {**where, "steps": "many"}, "T must be a whole number"),
        ("propagate", {**where, "rival": "best"}, "There is no rule called 'best'"),
        ("propagate", {**where, "rival": "knn", "rival_parameters": {"q": 1}}, "has no setting"),
        ("propagate", {**where, "rival": "knn", "rival_parameters": [1]}, "named fields"),
        ("save", {**where, "format": "exe"}, "The format must be one of"),
        ("save", {**where, "step": 3}, "The step must be a whole number from 0 to 2"),
    ]
    for name, arguments, part in refused:
        with pytest.raises(AppError) as caught:
            launched.call(name, **arguments)
        assert part in str(caught.value), name
        assert str(tmp_path) not in str(caught.value).replace(str(arguments.get("folder")), "")


def test_a_fault_tells_scripts_nothing() -> None:
    class Faulty:
        @property
        def store(self) -> None:
            raise ValueError("secret")

    import gradio

    from ppap.studio.explore.endpoints import Endpoints

    with pytest.raises(gradio.Error) as caught:
        Endpoints(Faulty()).save("batch", 0, 0, 0)  # type: ignore[arg-type]
    assert "The studio failed (ValueError)" in caught.value.message
    assert "secret" not in caught.value.message


def get(url: str) -> tuple[int, bytes, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers.get_content_type()


def test_the_page_s_files_are_served_and_nothing_beside_them(
    launched: Launched, samples: dict[str, Any]
) -> None:
    status, script, kind = get(f"{launched.url}studio/static/explore/page.js")
    assert (status, kind.split("/")[1]) == (200, "javascript")
    assert b"mount" in script
    status, picture, kind = get(f"{launched.url}studio/batch/{samples['batch']}.jpg")
    assert (status, kind) == (200, "image/jpeg")
    assert picture.startswith(b"\xff\xd8")
    assert get(f"{launched.url}studio/batch/none.jpg")[0] == 404
    assert get(f"{launched.url}studio/plotly.min.js")[0] == 200
    for path in ("../../../app.py", "%2e%2e/%2e%2e/app.py", "..%2f..%2fapp.py"):
        status, body, _ = get(f"{launched.url}studio/static/{path}")
        assert status in (403, 404)
        assert b"argparse" not in body


def component(launched: Launched) -> int:
    """The number of the component that holds the Explore page, the first of all."""
    config = json.loads(get(f"{launched.url}config")[1])
    found, *_ = [c["id"] for c in config["components"] if c["props"].get("server_fns")]
    return int(found)


def test_the_page_reaches_the_server_functions_and_nothing_else(launched: Launched) -> None:
    number = component(launched)

    def post(name: str, data: Any) -> tuple[int, Any]:
        body = {"data": data, "component_id": number, "session_hash": "s", "fn_name": name}
        request = urllib.request.Request(
            f"{launched.url}gradio_api/component_server",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    assert post("hello", None)[1]["max_images"] == 64
    status, reply = post("gather", {"batch": "none"})
    assert (status, reply["gone"]) == (200, True)
    # Python reads NaN and halves of surrogate pairs from JSON; the reply must not hold them.
    for value in (float("nan"), "\ud800", 10**400):
        status, reply = post("load", {"source": "folder", "folder": "a", "count": value})
        assert (status, "error" in reply) == (200, True)
        status, reply = post("load", {"split": value})
        assert status == 200
    for name in ("__init__", "postprocess", "file", "store", "close", "shown"):
        assert post(name, None)[0] == 404
