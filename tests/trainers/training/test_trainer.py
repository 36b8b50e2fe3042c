from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

from ppap.checkpoints.opening import load_segmenter
from ppap.checkpoints.own import load_checkpoint
from ppap.evaluation.report import build_report
from ppap.evaluation.split import evaluate_split
from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support.small_runs import ALONE, Place, results, weights
from trainers.config import TRAINING_RULES
from trainers.runs.folder import BEST, LAST, REPORTED, Run, RunError
from trainers.runs.metrics import read_metrics
from trainers.training.distributed import World
from trainers.training.loading import DecodedSource
from trainers.training.prepare import check_batch
from trainers.training.splits import open_splits
from trainers.training.updating import TrainingError
from trainers.training.validation import Validated, Validation

LIMIT_SECONDS = 120
FOUR = ("cluster_accuracy", "cluster_miou", "linear_accuracy", "linear_miou")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("trainer"))


def lines(run: Run, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_metrics(run.metrics_file) if line["kind"] == kind]


# --- every rule


@pytest.mark.parametrize("rule", TRAINING_RULES)
def test_every_rule_trains_and_goes_on_after_every_step(place: Place, rule: str) -> None:
    """Stopped after each of its steps and resumed, a run equals one that was not."""
    own = {"epochs": 0, "probe_epochs": 1} if rule == "frozen" else {"epochs": 1}
    config = place.config(rule=rule, batch=4, pool_size=8, k_share=0.1, rho=0.3, keep=1, **own)
    assert place.train(rule, config) == "finished"
    run = Run(place.root / rule)
    steps = lines(run, "step")
    assert [line["step"] for line in steps] == [1, 2]
    for line in steps:
        learned = [line["cluster_loss"], line["linear_loss"]]
        if rule != "frozen":
            learned += [line["loss"], line["gradient_norm"]]
            assert line["gradient_norm"] > 0
        assert all(math.isfinite(number) for number in learned)
        sets = ("positives", "negatives", "empty", "precision")
        if rule in ("frozen", "stego"):
            assert all(line.get(name) is None for name in sets)
        else:
            assert line["positives"] > 0
            assert line["negatives"] > 0
            assert 0 <= line["precision"] <= 1
    name = f"{rule} stopped"
    outcomes = [place.train(name, config, 1) for _ in range(3)]
    assert outcomes == ["stopped", "stopped", "finished"]
    assert results(Run(place.root / name)) == results(run)


def test_what_trains_and_what_does_not(place: Place) -> None:
    config = place.config(epochs=1, log_every=5)
    trainer = place.trainer("parts", config)
    before = {name: tensor.clone() for name, tensor in trainer.segmenter.state_dict().items()}
    assert trainer.fit() == "finished"
    trainer.close()
    for name, tensor in trainer.segmenter.state_dict().items():
        same = torch.equal(tensor, before[name])
        assert same is name.startswith("backbone."), name
    assert [line["step"] for line in lines(trainer.run, "step")] == [5]


def test_epochs_shorter_than_the_interval_of_the_log_are_logged(place: Place) -> None:
    config = place.config(epochs=2, probe_epochs=1, max_steps=7, log_every=4)
    assert place.train("short", config) == "finished"
    found = lines(Run(place.root / "short"), "step")
    assert [line["step"] for line in found] == [4, 5, 7, 8, 12]
    assert ["loss" in line for line in found] == [True, True, True, False, False]


def test_a_frozen_network_only_teaches_the_probes(place: Place) -> None:
    config = place.config(rule="frozen", epochs=3, probe_epochs=1)
    trainer = place.trainer("frozen only", config)
    assert (trainer.main_steps, trainer.total) == (0, 5)  # the idle stretch is left out
    head = [p.clone() for p in trainer.segmenter.head.parameters()]
    assert trainer.fit() == "finished"
    trainer.close()
    assert all(map(torch.equal, head, trainer.segmenter.head.parameters()))
    beside = place.trainer("frozen beside", place.config(rule="frozen", epochs=1))
    assert (beside.main_steps, beside.total) == (5, 5)
    assert beside.fit() == "finished"
    beside.close()
    # The same five steps on the same features, whichever stretch they are called.
    assert lines(beside.run, "step")[-1]["linear_loss"] == pytest.approx(
        lines(trainer.run, "step")[-1]["linear_loss"]
    )


@pytest.mark.parametrize(
    ("settings", "main", "total"),
    [
        ({"epochs": 2}, 10, 10),
        ({"epochs": 2, "probe_epochs": 3}, 10, 25),
        ({"epochs": 2, "max_steps": 7}, 7, 7),
        ({"epochs": 2, "probe_epochs": 3, "max_steps": 12}, 10, 25),
        ({"epochs": 2, "probe_epochs": 3, "max_steps": 7}, 7, 22),
        ({"epochs": 2, "probe_epochs": 1, "max_steps": 1}, 1, 6),
        ({"epochs": 0, "probe_epochs": 2, "rule": "frozen", "max_steps": 3}, 0, 10),
        ({"epochs": 2, "rule": "frozen", "max_steps": 3}, 3, 3),
        ({"epochs": 0, "probe_epochs": 2, "rule": "frozen"}, 0, 10),
        ({"epochs": 1, "batch": 3}, 3, 3),
    ],
)
def test_how_long_it_takes(place: Place, settings: dict[str, Any], main: int, total: int) -> None:
    trainer = place.trainer("long", place.config(**settings))
    assert (trainer.main_steps, trainer.total) == (main, total)


@pytest.mark.parametrize(("most", "main"), [(2, 2), (5, 5), (7, 7), (99, 10)])
def test_max_steps_bounds_the_network_only(place: Place, most: int, main: int) -> None:
    """Whatever it says, the probes have all of their epochs, and are validated."""
    config = place.config(epochs=2, probe_epochs=2, max_steps=most, validate_every=1)
    name = f"bounded {most}"
    assert place.train(name, config) == "finished"
    run = Run(place.root / name)
    steps = lines(run, "step")
    assert [line["step"] for line in steps] == list(range(1, main + 11))
    assert ["loss" in line for line in steps] == [True] * main + [False] * 10
    assert ["linear_loss" in line for line in steps] == [False] * main + [True] * 10
    # Each of the probes' epochs ends with a validation, also where the network's was cut short.
    assert [line["step"] for line in lines(run, "validation")] == [main + 5, main + 10]
    assert load_segmenter(run.checkpoints / REPORTED).unlearnt == ""
    # Stopped wherever, it goes on with the same images.
    outcomes = [place.train(f"{name} stopped", config, 3) for _ in range((main + 10) // 3 + 1)]
    assert outcomes[-1] == "finished"
    assert weights(Run(place.root / f"{name} stopped")).keys() == weights(run).keys()
    for part, tensor in weights(run).items():
        assert torch.equal(weights(Run(place.root / f"{name} stopped"))[part], tensor), part


def test_every_image_is_seen_in_each_of_the_probes_epochs(place: Place) -> None:
    config = place.config(epochs=2, probe_epochs=2, max_steps=7)
    trainer = place.trainer("seen", config)
    found = []
    for step in (0, 5, 7, 12, 15):
        trainer.step = step
        found.append([i for batch in trainer._rest_of_epoch() for i in batch.indices.tolist()])
    trainer.close()
    assert [len(each) for each in found] == [10, 4, 10, 10, 4]
    assert all(sorted(found[n]) == list(range(10)) for n in (0, 2, 3))
    # The probes' first epoch is not the one again that the network did not finish.
    assert found[2] != found[0]
    assert found[2][:4] != found[1]


def test_what_has_not_learnt_is_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    config = place.config(epochs=1, probe_epochs=1)
    trainer = place.trainer("not learnt", config, lambda: trainer.step in (3, 7))
    assert trainer.fit() == "stopped"
    assert trainer.unlearnt().startswith("The probes have not been trained")
    trainer.close()
    run = Run(place.root / "not learnt")
    loaded = load_segmenter(run.checkpoints / LAST)
    assert loaded.unlearnt == trainer.unlearnt()
    dataset = open_splits(config, place.data).evaluation
    assert dataset is not None
    scores = evaluate_split(loaded.segmenter, dataset, size=config.eval_size)
    report = build_report(loaded, dataset, scores, size=config.eval_size)
    assert report["notes"][0] == f"Warning: {loaded.unlearnt}"
    again = place.trainer("not learnt", config, lambda: again.step == 7)
    assert again.fit() == "stopped"
    again.close()
    assert "for only 2 steps" in load_segmenter(run.checkpoints / LAST).unlearnt
    assert run.state()["unlearnt"].startswith("The probes have been trained for only 2 steps")
    assert place.train("not learnt", config) == "finished"
    assert load_segmenter(run.checkpoints / LAST).unlearnt == ""
    assert run.state()["unlearnt"] == ""


def test_probes_have_a_stretch_of_their_own(place: Place) -> None:
    config = place.config(epochs=1, probe_epochs=1, cluster_start="merged", cluster_starts=3)
    trainer = place.trainer("stretches", config)
    assert trainer.fit() == "finished"
    trainer.close()
    first, second = lines(trainer.run, "step")[:5], lines(trainer.run, "step")[5:]
    assert all("loss" in line and "cluster_loss" not in line for line in first)
    assert all("loss" not in line and "linear_loss" in line for line in second)
    # Validated only when the probes have learned something.
    assert [line["step"] for line in lines(trainer.run, "validation")] == [10]
    best = trainer.probing.clusters()[int(trainer.probing.totals.argmin())]
    assert torch.equal(trainer.segmenter.cluster_probe.clusters, best.clusters)


def test_new_probes_begin_on_the_finished_features(place: Place) -> None:
    """Centroids that do not learn stay where they start: at patches of the trained network."""
    config = place.config(epochs=2, lr=0.02, probe_epochs=1, cluster_start="spread", cluster_lr=0)
    trainer = place.trainer("finished features", config)
    images = [trainer.prepared.source.batch([index]).inputs for index in range(10)]

    def patches() -> torch.Tensor:
        found = [trainer.segmenter.features(image.float() / 255) for image in images]  # type: ignore[union-attr]
        return F.normalize(torch.cat(found).flatten(0, 2), dim=1)

    before = patches()
    assert trainer.fit() == "finished"
    trainer.close()
    clusters = trainer.segmenter.cluster_probe.clusters.detach()
    assert (clusters @ patches().T).amax(dim=1).min() > 1 - 1e-5
    assert (clusters @ before.T).amax(dim=1).min() < 1 - 1e-4


def test_a_checkpoint_within_an_epoch_holds_the_best_probe_so_far(place: Place) -> None:
    config = place.config(epochs=2, cluster_start="spread", cluster_starts=3, checkpoint_every=3)
    trainer = place.trainer("within", config, lambda: trainer.step == 3)
    assert trainer.fit() == "stopped"
    trainer.close()
    kept = weights(trainer.run)["cluster_probe.clusters"]
    best = trainer.probing.clusters()[int(trainer.probing.totals.argmin())]
    assert torch.equal(kept, best.clusters)


def test_the_order_of_images_is_another_in_every_epoch_and_seed(place: Place) -> None:
    seen: dict[int, list[list[int]]] = {}
    for seed in (0, 1):
        trainer = place.trainer(f"order {seed}", place.config(seed=seed, max_steps=10))
        trainer.step = 0
        first = [i for batch in trainer._rest_of_epoch() for i in batch.indices.tolist()]
        trainer.step = 5
        second = [i for batch in trainer._rest_of_epoch() for i in batch.indices.tolist()]
        seen[seed] = [first, second]
        for epoch in seen[seed]:
            assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for both in seen.values() for epoch in both}) == 4


# --- which checkpoint is reported


@pytest.mark.parametrize("selection", ["last", "held_out", "evaluation"])
def test_the_reported_checkpoint(
    place: Place, selection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = place.config(selection=selection, held_out=0.2, keep=1, batch=4, epochs=4)
    # What the four validations are made to say; the second is the best.
    scores = [50.0, 80.0, math.nan, 79.0]
    original = Validation.run_at

    def scripted(self: Validation, step: int, *, stopped: Callable[[], bool]) -> Validated | None:
        found = original(self, step, stopped=stopped)
        assert found is not None
        assert found.score == pytest.approx(sum(found.numbers[name] for name in FOUR))  # type: ignore[misc]
        return found._replace(score=scores.pop(0))

    monkeypatch.setattr(Validation, "run_at", scripted)
    name = f"selection {selection}"
    assert place.train(name, config) == "finished"
    run = Run(place.root / name)
    found = {link: load_checkpoint(run.checkpoints / link).step for link in (BEST, LAST, REPORTED)}
    assert found == {BEST: 4, LAST: 8, REPORTED: 8 if selection == "last" else 4}
    # The best outlives its number, which only the newest checkpoints keep.
    assert [file.name for file in run.steps()] == ["step-00000008.pt"]
    # And it is what was validated then, on the images that it says.
    line = lines(run, "validation")[1]
    assert line["split"] == ("held out" if selection == "held_out" else "val")
    splits = open_splits(config, place.data)
    dataset = splits.held_out if selection == "held_out" else splits.evaluation
    assert dataset is not None
    loaded = load_segmenter(run.checkpoints / BEST)
    again = evaluate_split(loaded.segmenter, dataset, size=config.eval_size)
    assert again.cluster.miou == pytest.approx(line["cluster_miou"])
    assert again.linear.accuracy == pytest.approx(line["linear_accuracy"])


@pytest.mark.parametrize("crops", ["none", "five"])
def test_held_out_images_are_never_trained_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, crops: str
) -> None:
    config = place.config(
        selection="held_out", held_out=0.3, crops=crops, epochs=3, validate_every=3
    )
    splits = open_splits(config, place.data)
    assert splits.held_out is not None
    held = {item.image for item in splits.held_out.items}
    assert len(held) == 3
    trained: set[Path] = set()
    original = DecodedSource.batch

    def watched(self: DecodedSource, indices: Any) -> Any:
        trained.update(self.dataset.items[index].image for index in indices)
        return original(self, indices)

    monkeypatch.setattr(DecodedSource, "batch", watched)
    assert place.train(f"held out {crops}", config) == "finished"
    assert not trained & held
    assert len(trained) == 7
    assert splits.evaluation is not None
    assert not {item.image for item in splits.evaluation.items} & (trained | held)


# --- precision


def test_half_precision(place: Place) -> None:
    whole = place.config(epochs=1)
    half = place.config(epochs=1, precision="bfloat16")
    assert place.train("whole", whole) == place.train("half", half) == "finished"
    one, other = (lines(Run(place.root / name), "step") for name in ("whole", "half"))
    for a, b in zip(one, other, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=0.05)
        assert b["loss"] != a["loss"]
    assert {t.dtype for t in weights(Run(place.root / "half")).values()} == {torch.float32}


def test_the_scaler_goes_on_too(place: Place) -> None:
    config = place.config(epochs=1, precision="float16", keep=1)
    assert place.train("scaled", config) == "finished"
    assert [place.train("scaled stopped", config, 2) for _ in range(3)][-1] == "finished"
    run = Run(place.root / "scaled")
    latest = run.latest()
    assert latest is not None
    training = load_checkpoint(latest).training
    assert training is not None
    assert training["scaler"]["_growth_tracker"] == 5
    assert results(Run(place.root / "scaled stopped")) == results(run)


def test_a_damaged_backbone_is_not_blamed_on_the_learning_rate(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = place.trainer("damaged", place.config())
    original = type(trainer.segmenter.backbone).trunk

    def damaged(self: Any, images: torch.Tensor) -> Any:
        found = original(self, images)
        return found._replace(tokens=found.tokens * math.nan)

    monkeypatch.setattr(type(trainer.segmenter.backbone), "trunk", damaged)
    with pytest.raises(TrainingError) as found:
        trainer.fit()
    trainer.close()
    assert "The backbone " in str(found.value)
    assert "its weights are damaged" in str(found.value)
    assert "lr" not in str(found.value).split()
    assert trainer.run.steps() == []


def test_a_loss_that_is_no_number_ends_it_and_no_checkpoint_is_spoilt(place: Place) -> None:
    config = place.config(epochs=2, lr=10, temperature=1e-4, clip=1e30)
    trainer = place.trainer("ruined", config)
    with torch.no_grad():
        next(trainer.segmenter.head.parameters()).fill_(math.nan)
    with pytest.raises(TrainingError, match=r"The loss is no longer a number at step 1\."):
        trainer.fit()
    with pytest.raises(TrainingError, match=r"A weight is no longer a number at step"):
        trainer.save()
    trainer.close()
    assert trainer.run.steps() == []


# --- going on


def test_a_run_does_not_go_on_with_something_else(place: Place, tmp_path: Path) -> None:
    config = place.config(epochs=2)
    assert place.train("first half", config, 3) == "stopped"
    run = Run(place.root / "first half")
    latest = run.latest()
    assert latest is not None
    checkpoint = load_checkpoint(latest)
    other = Place(tmp_path, images=11)
    trainer = other.trainer("elsewhere", config)
    with pytest.raises(
        RunError, match=r"step-00000003\.pt was trained on different images from the 9"
    ):
        trainer.restore(checkpoint, latest.name)
    torch.manual_seed(1)
    content = torch.load(other.vit, weights_only=True)
    torch.save({n: t + 0.01 for n, t in content.items()}, other.vit)
    changed = place.trainer("other weights", place.config(backbone=str(other.vit)))
    with pytest.raises(RunError, match="trained on different weights of"):
        changed.restore(checkpoint, latest.name)
    bare = type(checkpoint)(**{**vars(checkpoint), "training": None})
    with pytest.raises(RunError, match="contains only the result"):
        place.trainer("bare", config).restore(bare, "best.pt")


def test_another_cache_is_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    assert place.train("cached", place.config(cache="on"), 2) == "stopped"
    trainer = place.trainer("cached", place.config(cache="off"))
    trainer.close()
    assert "trained with cached features and continues without" in caplog.text


def test_seconds_add_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    trainer = place.trainer("clock", place.config())
    trainer.records.begin(0, validated=True)
    now += 5
    trainer.save()
    trainer.records.close()
    again = place.trainer("clock", place.config())
    now += 2
    assert again.records.seconds == 7


# --- several processes


def test_a_batch_must_divide(place: Place) -> None:
    world = World(0, 3, 0, torch.device("cpu"))
    with pytest.raises(SettingError, match=r"batch of 4 .* not divide among 3 .* multiple of 3"):
        check_batch(place.config(batch=4), 10, world)
    with pytest.raises(SettingError, match="use batch=10 or less"):
        check_batch(place.config(batch=11), 10, ALONE)
    with pytest.raises(SettingError, match="2 or more in every process"):
        check_batch(place.config(batch=3, rule="stego"), 10, world)


TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextlib.contextmanager
def two_processes(
    words: list[str], folder: Path
) -> Iterator[tuple[list[subprocess.Popen[bytes]], Callable[[], list[str]]]]:
    """Run the command as torchrun would, with two processes; and a way to read what they said."""
    store = dist.TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60)
    )
    shared = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
    shared |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    if sys.platform == "linux":
        shared["GLOO_SOCKET_IFNAME"] = "lo"
    logs = [(folder / f"{rank}.log").open("w+") for rank in (0, 1)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "trainers.train", *words],
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=logs[rank],
            stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]

    def said() -> list[str]:
        return [(folder / f"{rank}.log").read_text() for rank in (0, 1)]

    try:
        yield processes, said
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for log in logs:
            log.close()


def in_two_processes(words: list[str], folder: Path) -> str:
    """Run the command in two processes to its end; what they said."""
    with two_processes(words, folder) as (processes, said):
        end = time.monotonic() + LIMIT_SECONDS
        while any(p.poll() is None for p in processes) and time.monotonic() < end:
            if any(p.poll() for p in processes):
                break
            time.sleep(0.05)
        assert [p.poll() for p in processes] == [0, 0], "\n".join(said())
        return "\n".join(said())


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_is_told_in_a_sentence(tmp_path: Path, lost: int) -> None:
    place = Place(tmp_path)
    config = place.config(epochs=2000, checkpoint_every=1)
    words = [*place.words("lost", config), "--no-report"]
    run = Run(place.root / "lost")
    with two_processes(words, tmp_path) as (processes, said):
        while len(run.steps()) < 2:
            assert [p.poll() for p in processes] == [None, None], "\n".join(said())
            time.sleep(0.05)
        processes[lost].kill()
        other = 1 - lost
        assert processes[other].wait(LIMIT_SECONDS) == 1
        told = said()[other]
    assert f"Process {other} of 2 has lost the others: one of them has ended" in told
    for raw in ("Traceback", "gloo", "Connection closed by peer"):
        assert raw not in told
    if other == 0:
        state = run.state()
        assert state["state"] == "failed"
        assert "has lost the others" in state["reason"]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Several steps with channels dropped by chance, over both stretches, with probes to choose.

    Some images have no labels, so that the processes have different numbers of labelled pixels.
    """
    place = Place(tmp_path)
    for stem in ("p0", "p4", "p9"):
        (place.data / f"labels/{stem}.png").unlink()
    config = place.config(
        batch=4,
        epochs=2,
        probe_epochs=1,
        cluster_start="spread",
        cluster_starts=2,
        cache="on",
        optimizer="adam",
    )
    assert place.train("one process", config) == "finished"
    said = in_two_processes([*place.words("two processes", config), "--no-report"], tmp_path)
    assert said.count("Finished in") == 1
    alone, both = (Run(place.root / name) for name in ("one process", "two processes"))
    one, two = weights(alone), weights(both)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert (two[name] - tensor).norm() <= 1e-5 * tensor.norm(), name
    for a, b in zip(lines(alone, "step"), lines(both, "step"), strict=True):
        assert b["step"] == a["step"]
        for number in ("loss", "cluster_loss", "linear_loss", "positives", "gradient_norm"):
            if number in a:
                assert b[number] == pytest.approx(a[number], rel=1e-4), number
    assert lines(both, "validation")[-1]["cluster_miou"] == pytest.approx(
        lines(alone, "validation")[-1]["cluster_miou"], abs=0.05
    )
