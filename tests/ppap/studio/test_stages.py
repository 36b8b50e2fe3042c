"""Features of any stage, as the Explore page asks for them: a run, a checkpoint, one's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ppap
from ppap.backbones import load_backbone
from ppap.checkpoints.features import load_features
from ppap.data import open_dataset
from ppap.own_features.arrays import OwnFeatures
from ppap.own_features.batch import own_batch
from ppap.studio.access.owners import Ownership
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.own_source import Own
from ppap.studio.stages import Stages
from tests.support.small_runs import SIZE, Place
from tests.support.small_studio import SmallStudio
from trainers.runs.folder import LAST, REPORTED, Run
from trainers.runs.owner import write_owner

CHANCE = np.random.default_rng(0)
OWN: dict[str, Any] = {
    "features": CHANCE.standard_normal((2, 4, 4, 6)).astype(np.float32),
    "images": CHANCE.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8),
    "labels": CHANCE.integers(0, 2, (2, 4, 4)),
    "classes": np.array(["sky", "road"]),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run of 6 steps, of which 2, 4, 5 and 6 are kept."""
    place = Place(tmp_path_factory.mktemp("stages"))
    config = place.config(max_steps=6, checkpoint_every=2, keep=4, phi0=0.65, sigma_amb=5)
    place.train("run", config)
    run = Run(place.root / "run")
    run.write_state("finished", data=str(place.data), step=6, steps=6)
    return place


@pytest.fixture
def studio(tmp_path: Path, trained: Place) -> Iterator[SmallStudio]:
    made = SmallStudio(tmp_path)
    made.runs.mkdir()
    shutil.copytree(trained.root / "run", made.runs / "run")
    yield made
    made.loader.close()


def wanted(trained: Place, file: Path | None, output: str) -> Tensor:
    """The features that the library gives for the validation images."""
    data = open_dataset(trained.data, split="val")
    examples = [data.load(i) for i in range(len(data))]
    network = load_backbone(trained.vit) if file is None else load_features(file, output)
    return ppap.make_batch(examples, network, size=SIZE).features


def step(studio: SmallStudio, number: int) -> Path:
    return studio.runs / "run/checkpoints" / f"step-{number:08d}.pt"


def images(trained: Place) -> dict[str, Any]:
    return {"source": "folder", "folder": str(trained.data), "split": "val", "size": SIZE}


def features_of(studio: SmallStudio, reply: dict[str, Any]) -> Tensor:
    return studio.store.get(reply["batch"]).batch.features


def test_a_run_at_each_step_equals_the_library(studio: SmallStudio, trained: Place) -> None:
    found = {}
    for at, output in ((2, "backbone"), (6, "backbone"), (6, "projection"), (6, "frozen")):
        reply = studio.load(**images(trained), backbone="run", run="run", at=at, output=output)
        file = None if output == "frozen" else step(studio, at)
        expected = wanted(trained, file, output)
        found[at, output] = features_of(studio, reply)
        # Batches of another size round the last bit otherwise.
        assert (found[at, output] - expected).abs().max() <= 1e-6
        assert reply["recipe"]["run"] == "run"
        assert reply["recipe"]["at"] == (0 if output == "frozen" else at)
        assert reply["recipe"]["output"] == output
        assert reply["labels"]
    assert not torch.allclose(found[2, "backbone"], found[6, "backbone"], atol=1e-4)
    assert not torch.allclose(found[6, "frozen"], found[6, "backbone"], atol=1e-3)


def test_the_newest_and_what_is_kept(studio: SmallStudio, trained: Place) -> None:
    reply = studio.load(**images(trained), backbone="run", run="run")
    assert reply["recipe"]["at"] == 6
    kept: list[dict[str, Any]] = [{"step": at, "names": []} for at in (2, 4, 5)]
    assert reply["steps"]["steps"][:3] == kept
    assert reply["steps"]["steps"][3]["step"] == 6
    assert "last" in reply["steps"]["steps"][3]["names"]
    assert (reply["steps"]["total"], reply["steps"]["keep"]) == (6, 4)
    settings = {"phi0": 0.65, "psi0": 0.4, "sigma_pos": 3, "sigma_amb": 5, "steps": 2}
    assert reply["training"] == {"title": "run", "settings": settings}
    assert reply["backbone_title"] == "run, step 6: trained feature"
    (listed,) = studio.ask("runs", None)["runs"]
    assert (listed["run"], listed["step"], listed["data"]) == ("run", 6, str(trained.data))
    assert studio.ask("run_steps", "run") == reply["steps"]


def test_a_chosen_checkpoint_whose_number_is_gone_is_listed_by_its_own_step(
    studio: SmallStudio,
) -> None:
    run = Run(studio.runs / "run")
    run.link(step(studio, 2), REPORTED)
    step(studio, 2).unlink()
    kept = studio.ask("run_steps", "run")["steps"]
    assert [one["step"] for one in kept] == [2, 4, 5, 6]
    assert kept[0]["names"] == ["reported"]
    stages = Stages(Checkpoints(studio.runs, studio.loader.sources))
    assert stages.choose("run", 2)[1].file.name == REPORTED


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"run": "rum"}, "There is no run called rum with a checkpoint. Did you mean run?"),
        ({"run": "../run"}, "There is no run called ../run"),
        ({"run": ""}, "Choose a run."),
        ({"run": 3}, "The run must be text"),
        ({"at": 3}, "run has no checkpoint at step 3; it has checkpoints at 2, 4, 5, 6."),
        ({"at": -1}, "The step must be a whole number"),
        ({"at": "x"}, "The step must be a whole number"),
        ({"output": "logits"}, "The output must be backbone, projection or frozen."),
        ({"output": ["backbone"]}, "The output must be"),
    ],
)
def test_what_there_is_not(
    studio: SmallStudio, trained: Place, request_: dict[str, Any], said: str
) -> None:
    reply = studio.load(**{**images(trained), "backbone": "run", "run": "run", **request_})
    assert said in reply["error"]


def test_a_checkpoint_of_training_by_its_file(studio: SmallStudio, trained: Place) -> None:
    file = step(studio, 4)
    reply = studio.load(**images(trained), backbone="checkpoint", checkpoint=str(file))
    assert (features_of(studio, reply) - wanted(trained, file, "backbone")).abs().max() <= 1e-6
    assert reply["recipe"]["output"] == "backbone"
    assert reply["training"]["settings"]["phi0"] == 0.65
    assert reply["steps"] is None
    z = {"checkpoint": str(file), "output": "projection"}
    reply = studio.load(**images(trained), backbone="checkpoint", **z)
    assert (features_of(studio, reply) - wanted(trained, file, "projection")).abs().max() <= 1e-6
    plain = {"checkpoint": str(trained.vit), "output": "projection"}
    reply = studio.load(**images(trained), backbone="checkpoint", **plain)
    assert (features_of(studio, reply) - wanted(trained, None, "")).abs().max() <= 1e-6
    assert reply["recipe"]["output"] == ""
    assert reply["training"] is None


def test_the_same_images_with_other_features(studio: SmallStudio, trained: Place) -> None:
    first = studio.load(**images(trained), backbone="run", run="run", at=2)
    base = studio.store.get(first["batch"]).batch
    moved = trained.data.rename(trained.data.with_name("moved"))  # nothing is read again
    try:
        asked = {"like": first["batch"], "backbone": "run", "run": "run"}
        second = studio.load(**asked, at=6)
        again = studio.load(**asked, at=6)
        back = studio.load(**{**asked, "like": second["batch"]}, at=2)
        frozen = studio.load(**asked, output="frozen")
    finally:
        moved.rename(trained.data)
    assert (again["batch"], back["batch"]) == (second["batch"], first["batch"])
    held = studio.store.get(second["batch"]).batch
    assert (held.features - wanted(trained, step(studio, 6), "backbone")).abs().max() <= 1e-6
    assert all(np.array_equal(a, b) for a, b in zip(held.images, base.images, strict=True))
    assert held.labels is not None
    assert base.labels is not None
    assert torch.equal(held.labels, base.labels)
    assert second["recipe"] == {**first["recipe"], "at": 6}
    assert (features_of(studio, frozen) - wanted(trained, None, "")).abs().max() <= 1e-6
    gone = studio.load(like="no-such-batch", backbone="run", run="run")
    assert "no longer in memory" in gone["error"]


def test_a_rewritten_checkpoint_is_opened_again(studio: SmallStudio, trained: Place) -> None:
    file = studio.root / "mine.pt"
    shutil.copy(step(studio, 2), file)
    first = studio.load(**images(trained), backbone="checkpoint", checkpoint=str(file))
    file.unlink()
    shutil.copy(step(studio, 6), file)
    asked = {"backbone": "checkpoint", "checkpoint": str(file)}
    second = studio.load(like=first["batch"], **asked)
    assert second["batch"] != first["batch"]
    assert (
        features_of(studio, second) - wanted(trained, step(studio, 6), "backbone")
    ).abs().max() <= 1e-6


def test_private_runs_are_nobody_elses(studio: SmallStudio, trained: Place) -> None:
    write_owner(studio.runs / "run", "ada")
    stages = studio.loader.networks.stages
    assert stages is not None
    stages.checkpoints.ownership = Ownership(logins=True, private_runs=True)
    asked = {**images(trained), "backbone": "run", "run": "run"}
    with asking(Visitor("ada")):
        key = studio.loader.load(asked).batch
        assert studio.ask("runs", None)["runs"]
    with asking(Visitor("bob")):
        assert "There is no run called run" in studio.loader.load(asked).error
        assert studio.ask("runs", None) == {"runs": []}
        assert "no run called" in studio.ask("run_steps", "run")["error"]
        assert "no run called" in studio.ask("run_images", {"run": "run"})["error"]
        others = {"like": key, "backbone": "embedded"}
        assert "no longer in memory" in studio.loader.load(others).error


def test_a_runs_own_images(studio: SmallStudio, trained: Place) -> None:
    for wrong in ({"at": 2**70}, {"at": "4"}, {"at": [4]}, {"output": "all"}, {"output": ["z"]}):
        assert "must be" in studio.ask("run_images", {"run": "run", **wrong})["error"]
    reply = studio.ask("run_images", {"run": "run", "at": 4})
    assert reply["request"] == {
        "source": "folder",
        "folder": str(trained.data),
        "kind": "folder",
        "split": "val",
        "size": SIZE,
        "count": 8,
        "seed": 0,
        "picture": "square",
        "backbone": "run",
        "run": "run",
        "at": 4,
        "output": "backbone",
    }
    assert reply["settings"]["phi0"] == 0.65
    opened = studio.load(**reply["request"])
    assert opened["names"] == ("p3", "p7")
    assert opened["recipe"]["kind"] == "folder"
    run = Run(studio.runs / "run")
    run.write_config(replace(run.config(), dataset="samples", eval_size=96))
    assert studio.ask("run_images", {"run": "run"})["request"]["source"] == "samples"
    assert studio.ask("run_images", {"run": "run"})["request"]["size"] == 96


def test_images_that_are_gone_are_said_to_be(studio: SmallStudio, trained: Place) -> None:
    run = Run(studio.runs / "run")
    run.write_state("finished", data=str(studio.root / "gone"), step=6, steps=6)
    said = studio.ask("run_images", {"run": "run"})["error"]
    assert said.startswith(f"The images of run are no longer at {studio.root / 'gone'}.")
    run.write_state("finished", data=str(trained.data), step=6, steps=6)
    run.write_config(replace(run.config(), eval_split="test"))
    assert "has no split test" in studio.ask("run_images", {"run": "run"})["error"]


def test_a_studio_open_to_others_shows_no_images_outside_its_folders(
    tmp_path: Path, trained: Place
) -> None:
    public = SmallStudio(tmp_path / "public", local=False)
    public.runs.mkdir()
    shutil.copytree(trained.root / "run", public.runs / "run")
    assert "only the folders it was" in public.ask("run_images", {"run": "run"})["error"]
    np.savez(tmp_path / "mine.npz", **OWN)
    outside = public.load(source="npz", npz=str(tmp_path / "mine.npz"))
    assert "only the folders it was" in outside["error"]
    outside = public.load(backbone="checkpoint", checkpoint=str(step(public, 2)))
    assert "only the folders it was" in outside["error"]
    # Its runs, though, are shown to everybody whom it lets in.
    assert "batch" in public.load(backbone="run", run="run", size=SIZE)
    public.loader.close()


def test_features_of_ones_own(studio: SmallStudio) -> None:
    file = studio.root / "mine.npz"
    np.savez(file, **OWN)
    reply = studio.load(source="npz", npz=str(file))
    expected = own_batch(OwnFeatures(OWN["features"], OWN["images"], OWN["labels"]))
    assert torch.equal(features_of(studio, reply), expected.features)
    assert reply["recipe"]["npz"] == str(file)
    assert (reply["recipe"]["source"], reply["recipe"]["backbone"]) == ("npz", "npz")
    assert reply["backbone_title"] == "Own features (mine.npz)"
    assert reply["classes"] == ("sky", "road")
    # The pictures in it, seen by a network.
    seen = studio.load(source="npz", npz=str(file), backbone="embedded")
    beside = studio.load(like=reply["batch"], backbone="embedded")
    assert torch.equal(features_of(studio, seen), features_of(studio, beside))
    upload = {"path": str(studio.uploads / "1/x.npz"), "name": "my own.npz"}
    (studio.uploads / "1").mkdir()
    np.savez(upload["path"], features=OWN["features"])
    bare = studio.load(source="npz", files=[upload])
    assert bare["recipe"]["files"] == ["my own.npz"]
    assert str(studio.uploads) not in str(bare)
    again = studio.load(source="npz", of=bare["batch"])
    assert torch.equal(features_of(studio, again), features_of(studio, bare))
    for refused in ({"like": bare["batch"]}, {"source": "npz", "files": [upload]}):
        assert "without images" in studio.load(**refused, backbone="embedded")["error"]


def test_images_of_one_patch_each_are_shown_and_nothing_is_suggested(studio: SmallStudio) -> None:
    file = studio.root / "pooled.npz"
    np.savez(file, features=np.random.default_rng(0).normal(size=(3, 1, 1, 4)).astype(np.float32))
    batch = studio.load(source="npz", npz=str(file))["batch"]
    settings = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
    assert "view" in studio.ask("gather", {"batch": batch, "anchor": 0, "settings": settings})
    for aim in ("pure", "complete"):
        refused = studio.ask("suggest", {"batch": batch, "aim": aim})
        assert "Every image is a single patch" in refused["error"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK", "bad.npz is not a file written by numpy.savez"),
        (None, "There is no file"),
    ],
)
def test_npz_files_that_are_refused(studio: SmallStudio, data: bytes | None, said: str) -> None:
    file = studio.root / "bad.npz"
    if data is not None:
        file.write_bytes(data)
    job = studio.job(source="npz", npz=str(file))
    assert said in job.error
    assert job.refused["field"] == "npz"
    assert "Enter the path of an NPZ file" in studio.load(source="npz")["error"]


def test_what_a_script_of_this_process_gave(studio: SmallStudio) -> None:
    batch = own_batch(OwnFeatures(OWN["features"], OWN["images"]))
    studio.loader.given["one"] = Own(batch, pictures=True)
    reply = studio.load(source="memory", memory="one")
    assert torch.equal(features_of(studio, reply), batch.features)
    assert reply["recipe"]["memory"] == "one"
    assert "has ended" in studio.load(source="memory", memory="two")["error"]


def test_the_network_behind_a_batch(studio: SmallStudio, trained: Place) -> None:
    reply = studio.load(**images(trained), backbone="run", run="run", at=2, output="projection")
    network = studio.loader.backbone_of(studio.store.get(reply["batch"]))
    assert network.info.title == "run, step 2: projection z"
    studio.loader.given["one"] = Own(own_batch(OwnFeatures(OWN["features"])), pictures=False)
    own = studio.store.get(studio.load(source="memory", memory="one")["batch"])
    with pytest.raises(ValueError, match="no network to load"):
        studio.loader.backbone_of(own)


@pytest.mark.parametrize("which", ["run", "frozen", "checkpoint", "npz", "npz and network"])
def test_the_lines_of_python_make_the_same_batch(
    studio: SmallStudio, trained: Place, which: str
) -> None:
    file = studio.root / "mine.npz"
    np.savez(file, **OWN)
    request: dict[str, Any] = {
        "run": {**images(trained), "backbone": "run", "run": "run", "at": 4},
        "frozen": {**images(trained), "backbone": "run", "run": "run", "output": "frozen"},
        "checkpoint": {
            **images(trained),
            "backbone": "checkpoint",
            "checkpoint": str(step(studio, 2)),
            "output": "projection",
        },
        "npz": {"source": "npz", "npz": str(file)},
        "npz and network": {
            "source": "npz",
            "npz": str(file),
            "backbone": "checkpoint",
            "checkpoint": str(trained.vit),
        },
    }[which]
    reply = studio.load(**request)
    settings = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 1}
    held = studio.store.get(reply["batch"])
    wanted = {"batch": reply["batch"], "anchor": 3, "settings": settings, "format": "py"}
    lines = studio.server.file({**wanted, "step": 0, "look": {}}).data.decode()
    names: dict[str, Any] = {}
    exec(lines, names)
    assert (names["batch"].features - held.batch.features).abs().max() <= 1e-6
    assert names["batch"].names == held.batch.names


def test_a_run_without_its_last_checkpoint_still_opens(studio: SmallStudio) -> None:
    folder = studio.runs / "run/checkpoints"
    (folder / LAST).unlink()
    (folder / "step-nonsense.pt").write_bytes(b"x")
    Run(studio.runs / "run").link(step(studio, 6), REPORTED)
    assert [one["step"] for one in studio.ask("run_steps", "run")["steps"]] == [2, 4, 5, 6]
