from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ppap.checkpoints.own import load_checkpoint
from ppap.evaluation.crf import why_unavailable
from ppap.evaluation.paper import distance_for, rows_for
from ppap.settings import SettingError
from tests.support.grown_layouts import grown
from tests.support.small_runs import save_vit, state_of
from tests.support.small_studio import draw
from trainers import train
from trainers.config import Config
from trainers.recipes import find, names
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics

PAPERS = ("coco_", "cityscapes_", "potsdam_", "imagenet_")
OF_THE_PAPER = [name for name in names() if name.startswith(PAPERS)]
OWN = [name for name in names() if name not in OF_THE_PAPER]

# Table 7 with the published configurations: Φ⁰, Ψ⁰, σ_pos, σ_amb, T, τ, share of anchors,
# optimizer, its rate and weight decay, the cluster probe's rate, epochs.
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "coco_vits8": (0.55, 0.20, 3, 3, 2, 0.8, 1 / 16, "adamw", 1e-3, 0.1, 5e-3, 5),
    "coco_vits16": (0.55, 0.15, 3, 4, 2, 0.8, 1 / 4, "adamw", 1e-3, 0.01, 1e-3, 5),
    "cityscapes_vits8": (0.60, 0.20, 3, 3, 3, 0.8, 1 / 16, "adam", 1e-3, 0, 1e-3, 30),
    "cityscapes_vitb8": (0.60, 0.20, 3, 2, 3, 0.1, 1 / 16, "adam", 1e-3, 0, 1e-3, 30),
    "potsdam_vitb8": (0.55, 0.15, 5, 3, 1, 0.07, 1 / 16, "adam", 5e-4, 0, 1e-3, 40),
    "imagenet_s919_vits16": (0.55, 0.15, 3, 4, 2, 0.8, 1 / 4, "adamw", 1e-3, 0.01, 1e-3, 5),
}
BACKBONES = {"dino": "DINO", "ibot": "iBOT", "selfpatch": "SelfPatch"}


def title(config: Config) -> str:
    """``dino_vits16`` → ``DINO ViT-S/16``, as the paper calls it."""
    found = re.fullmatch(r"(\w+)_vit([sb])(\d+)(\.pth)?", config.backbone)
    assert found is not None
    return f"{BACKBONES[found[1]]} ViT-{found[2].upper()}/{found[3]}"


# --- finding them


def test_there_is_one_for_every_row_with_settings() -> None:
    assert set(PUBLISHED) | {f"imagenet_s{n}_vits16" for n in (300, 50)} <= set(names())
    for rule in ("tps", "ans", "baseline", "hp", "frozen"):
        assert find(f"coco_vits16_{rule}").config.rule == rule
    assert find("coco_vits8_stego").config.rule == "stego"
    assert {"camvid", "dubai", "samples"} <= set(OWN)
    assert names() == sorted(names())


def test_a_recipe_knows_its_name() -> None:
    for name in names():
        recipe = find(name)
        assert recipe.name == recipe.config.recipe == name
        assert recipe.title == recipe.text.splitlines()[0]
        assert len(recipe.title) <= 100


@pytest.mark.parametrize(
    ("wrong", "near"), [("camvit", "camvid"), ("coco_vit16", "coco_vits16"), ("zzzz", None)]
)
def test_an_unknown_one_suggests_the_nearest(wrong: str, near: str | None) -> None:
    with pytest.raises(SettingError, match=f"There is no recipe called '{wrong}'") as found:
        find(wrong)
    assert (f"Did you mean {near}?" in str(found.value)) is (near is not None)
    assert "There are: camvid, " in str(found.value)


# --- what they say


@pytest.mark.parametrize("name", names())
def test_the_docstring_is_command_time_and_score(name: str) -> None:
    recipe = find(name)
    text = " ".join(recipe.text.replace("\\\n", " ").split())
    words = rf"python -m trainers\.train {name} (--data [A-Z0-9]+ )?--out runs/{name}\b"
    command = re.search(words, text)
    assert command is not None, "its command, with its own name"
    assert (command[1] is None) is (recipe.config.dataset == "samples")
    assert "Expected time: " in text
    assert "Expected score: " in text


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_the_expected_score_is_the_papers(name: str) -> None:
    recipe = find(name)
    config = recipe.config
    said = re.findall(r"\d+\.\d", recipe.text.partition("Expected score:")[2])
    if config.dataset == "imagenet_s":
        classes = int(name.removeprefix("imagenet_s").partition("_")[0])
        assert said == [str(distance_for(classes, title(config), config.rule))]
        return
    *_, row = rows_for(config.dataset, title(config), config.rule)
    wanted = (row.cluster_accuracy, row.cluster_miou, row.linear_accuracy, row.linear_miou)
    assert said == [f"{score:.1f}" for score in wanted if score is not None]
    assert config.crf is row.crf is True


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_settings_are_the_published_ones(name: str) -> None:
    config = find(name).config
    found = (
        config.phi0, config.psi0, config.sigma_pos, config.sigma_amb, config.steps,
        config.temperature, config.anchors, config.optimizer, config.lr, config.weight_decay,
        config.cluster_lr, config.epochs,
    )  # fmt: skip
    assert found == PUBLISHED[name]
    assert (config.batch, config.clip, config.linear_lr) == (64, 10, 1e-3)
    assert (config.size, config.eval_size, config.published_scale) == (224, 320, True)
    assert (config.probe_epochs, config.cluster_start) == (0, "noise")
    # The published code trains on whole images of Potsdam, whatever its configuration says.
    whole = config.dataset in ("imagenet_s", "potsdam3")
    assert config.crops == ("none" if whole else "five")
    assert config.selection == "last"


def test_stego_as_published() -> None:
    config = find("coco_vits8_stego").config
    assert (config.batch, config.lr, config.optimizer, config.max_steps) == (16, 5e-4, "adam", 5000)
    weights = (config.self_weight, config.near_weight, config.far_weight)
    shifts = (config.self_shift, config.near_shift, config.far_shift)
    assert (weights, shifts) == ((0.67, 0.25, 0.63), (0.08, 0.02, 0.66))
    assert (config.near_images, config.far_images) == (7, 5)


# --- two steps of each


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    save_vit(folder / "vit.pth")
    return folder


def data_of(name: str, home: Path) -> Path | None:
    """A tiny data set of the kind that the recipe is about; made once."""
    kind = find(name).config.dataset
    if kind == "samples":
        return None
    if kind == "imagenet_s":
        classes = name.partition("_vit")[0].removeprefix("imagenet_s")
        root = home / f"ImageNetS{classes}"
        if not root.exists():
            grown(kind, home / "making").joinpath("ImageNetS50").rename(root)
        return root
    if not kind:  # found out: here, pictures without labels
        for number in range(3):
            draw(home / f"pictures/{number}.png", number)
        return home / "pictures"
    if not (home / kind).exists():
        grown(kind, home / kind)
    return home / kind


def two_steps(name: str, data: Path | None, home: Path, *words: str) -> Run:
    """Train a tiny network for two steps, and new probes for an epoch where the recipe does."""
    out = home / "runs" / name
    # The made-up Potsdam has a single training image, which is taken whole.
    batch = 1 if find(name).config.dataset == "potsdam3" else 2
    small = ["size=64", "eval_size=64", f"batch={batch}"]
    small += ["workers=0", "max_steps=2", "log_every=1"]
    own = find(name).config.probe_epochs > 0
    small += ["probe_epochs=1"] if own else []
    given = [name, "--out", str(out), "--cache", str(home / "cache")]
    given += ["--data", str(data)] if data else []
    given += ["--set", f"backbone={home / 'vit.pth'}", *small, *words]
    assert train.main(given) == 0
    run = Run(out)
    state = state_of(run)
    main = 0 if own and find(name).config.rule == "frozen" else 2
    total = state["steps"]
    assert (state["state"], state["step"]) == ("finished", total)
    labelled = find(name).config.dataset != ""  # see data_of
    assert (own and labelled) <= (state["unlearnt"] == "")
    assert total > main if own else total == main
    latest = run.latest()
    assert latest is not None
    checkpoint = load_checkpoint(latest)
    assert checkpoint.step == total
    assert checkpoint.config["recipe"] == name
    steps = [line for line in read_metrics(run.metrics_file) if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, total + 1))
    learned = "linear_loss" if find(name).config.rule == "frozen" else "loss"
    assert all(isinstance(line[learned], float) for line in steps[: main or total])
    assert all(isinstance(line["cluster_loss"], float) for line in steps[main if own else 0 :])
    return run


REPORTED = ("coco_vits16", "cityscapes_vits8", "potsdam_vitb8", "imagenet_s50_vits16", "camvid")


@pytest.mark.parametrize("name", [name for name in names() if name not in REPORTED])
def test_two_steps_with_a_random_network(name: str, home: Path) -> None:
    two_steps(name, data_of(name, home), home, "crf=false", "--no-report")


@pytest.mark.parametrize("name", REPORTED)
def test_two_steps_and_the_report(name: str, home: Path) -> None:
    config = find(name).config
    crf = config.crf and why_unavailable() is None
    starts = int(config.dataset == "camvid")
    run = two_steps(name, data_of(name, home), home, f"crf={crf}", f"report_starts={starts}")
    report = json.loads((run.folder / "report.json").read_text())
    for part in (report, *([report["crf"]] if crf else [])):
        for probe in ("cluster", "linear"):
            assert 0 <= part[probe]["miou"] <= 100
            assert 0 <= part[probe]["accuracy"] <= 100
    assert ("starts" in report) is bool(starts)
    assert (report.get("distance") is not None) is (config.dataset == "imagenet_s")
    assert (run.folder / "report/report.html").stat().st_size > 1000
    # The random network is none of the paper's, and must not stand beside its figures.
    assert report["paper"] == []


@pytest.mark.parametrize(
    ("name", "kind"), [("coco_vits16", "cocostuff"), ("cityscapes_vits8", "cityscapes")]
)
def test_two_steps_on_real_images(name: str, kind: str, shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / kind
    if not data.is_dir():
        pytest.skip(f"no real images at {data}")
    save_vit(tmp_path / "vit.pth")
    run = two_steps(name, data, tmp_path, "crf=false", "cache=off", "--no-report")
    assert any("linear_loss" in line for line in read_metrics(run.metrics_file))
