"""Two processes over gloo against one: losses, gradients, and what they tell each other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from ppap import ppap_loss
from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support import shared_steps, two_processes
from tests.support.two_processes import SETTINGS, TEMPERATURE
from trainers.launching import scaling
from trainers.training.distributed import (
    DistributedError,
    World,
    barrier,
    broadcast_object,
    broadcast_parameters,
    buckets,
    device_of,
    first_alone,
    gather_rows,
    global_mean,
    setup,
    sum_gradients,
    sum_numbers,
)

IMAGES, SIDE, GRID = 4, 64, 4
ANCHORS = 10
ALONE = World(0, 1, 0, torch.device("cpu"))
LIMIT_SECONDS = 120
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    """Images whose anchors have positives in part: all, some, none, and some with those of 1."""
    g = torch.Generator().manual_seed(0)
    patches = GRID * GRID
    likeness = torch.eye(640)  # every patch unlike all others …
    own = torch.arange(IMAGES * patches)
    own[:patches] = 600  # … but the first image's, which are alike,
    own[patches : patches + 6] = 601  # six of the second's,
    own[3 * patches : 3 * patches + 3] = 601  # and three of the last, like those.
    frozen = likeness[own][:, :624]
    frozen = frozen + 0.001 * torch.randn(frozen.shape, generator=g)
    labels = torch.randint(0, two_processes.CLASSES, (IMAGES, SIDE, SIDE), generator=g)
    labels[0] = -1  # so that the processes have different numbers of labelled pixels
    labels[3, :20] = -1
    start = torch.arange(IMAGES).unsqueeze(1) * patches
    drawn = torch.rand(IMAGES, patches, generator=g).argsort(dim=1)[:, :ANCHORS]
    return {
        "images": torch.rand(IMAGES, 3, SIDE, SIDE, generator=g),
        "frozen": F.normalize(frozen, dim=1).view(IMAGES, GRID, GRID, 624),
        "labels": labels,
        "anchors": start + drawn,
    }


@pytest.fixture(scope="module")
def found(
    inputs: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What both processes saved."""
    folder = tmp_path_factory.mktemp("distributed")
    torch.save(inputs, folder / "inputs.pt")
    # As torchrun does: the parent holds the store, on a port that the system chose.
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
            [sys.executable, "-m", "tests.support.two_processes", str(folder)],
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=logs[rank],
            stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]
    try:
        wait_for(processes)
        for process, log in zip(processes, logs, strict=True):
            log.seek(0)
            assert process.returncode == 0, log.read()
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for log in logs:
            log.close()
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


def wait_for(processes: list[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, or one has failed, which the others would wait for in vain."""
    end = time.monotonic() + LIMIT_SECONDS
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        if any(process.poll() for process in processes):
            return
        time.sleep(0.05)


def in_one_process(inputs: dict[str, Tensor], by_image: bool) -> tuple[list[float], dict[str, Any]]:
    """Losses and gradients of the whole batch, without any of ``trainers.training.distributed``."""
    model = two_processes.segmenter(7)
    streams = model.forward_training(model.trunk(inputs["images"]), inputs["frozen"])
    anchors = inputs["anchors"].flatten()
    main = ppap_loss(
        streams.guidance.flatten(0, 2),
        streams.projected,
        anchors,
        temperature=TEMPERATURE,
        images=anchors // GRID**2 if by_image else None,
        **SETTINGS,
    )
    probes = model.probe_losses(streams.tuned, inputs["labels"])
    assert probes.linear is not None
    (main.loss + probes.cluster + probes.linear).backward()
    losses = [main.loss.item(), probes.cluster.item(), probes.linear.item()]
    return losses, two_processes.gradients(model)


# --- two processes


@pytest.mark.parametrize("mean_over", ["anchors", "images"])
def test_two_processes_have_the_loss_and_gradients_of_one(
    inputs: dict[str, Tensor], found: list[dict[str, Any]], mean_over: str
) -> None:
    losses, gradients = in_one_process(inputs, mean_over == "images")
    first, second = (each[mean_over] for each in found)
    # Different numbers of empty anchors and of images without any: a plain mean would be wrong.
    assert first["empty"] != second["empty"]
    assert first["counted"] != second["counted"]
    for each in (first, second):
        assert each["losses"] == pytest.approx(losses, rel=1e-5)
        assert each["gradients"].keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert gradient.norm() > 0
            assert (each["gradients"][name] - gradient).norm() < 1e-5 * gradient.norm(), name


@pytest.mark.parametrize("name", shared_steps.CASES)
def test_a_shared_step_is_that_of_one_process(found: list[dict[str, Any]], name: str) -> None:
    alone = shared_steps.a_step(name, ALONE)
    parts = [each["shared"][name] for each in found]
    gradient = torch.cat([each["gradient"] for each in parts])
    assert gradient.norm() > 0
    assert (gradient - alone["gradient"]).norm() < 1e-5 * alone["gradient"].norm()
    for each in parts:
        assert each["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    for key in ("sizes", "empty"):
        means = np.mean([each[key] for each in parts], axis=0)
        assert means == pytest.approx(alone[key], rel=1e-6)
    assert sum(each["counted"] for each in parts) == alone["counted"]
    # In the dark one process has nothing to learn from, and its patches are others' negatives.
    assert [each["counted"] for each in parts] == ([2, 0] if "dark" in name else [2, 2])
    assert parts[1]["gradient"].norm() > 0


@pytest.mark.parametrize("name", [name for name in shared_steps.CASES if "ring" in name])
def test_in_a_ring_each_process_finds_what_it_finds_gathered(
    found: list[dict[str, Any]], name: str
) -> None:
    for each in found:
        ring, gathered = (each["shared"][n] for n in (name, name.replace("ring", "gather")))
        for key in ("loss", "sizes", "empty", "precision"):
            assert ring[key] == pytest.approx(gathered[key], rel=1e-5, nan_ok=True), key
        gap = (ring["gradient"] - gathered["gradient"]).norm()
        assert gap < 1e-5 * gathered["gradient"].norm()


@pytest.mark.parametrize("name", [n for n in shared_steps.CASES if "dark" not in n])
def test_they_send_what_the_model_says(found: list[dict[str, Any]], name: str) -> None:
    config = shared_steps.CONFIG.with_(shared_steps.CASES[name])
    step = scaling.Step(
        batch=shared_steps.IMAGES,
        processes=2,
        patches=shared_steps.PATCHES,
        dim=shared_steps.DIM,
        steps=config.steps,
        anchors=config.anchors,
        candidates=config.candidates,
        exchange=config.exchange,
    )
    for each in found:
        assert each["shared"][name]["sent"] == scaling.payload(step, labels=True)._asdict()


def test_both_know_the_world(found: list[dict[str, Any]]) -> None:
    assert [each["world"] for each in found] == [(0, 2, 0, "cpu"), (1, 2, 1, "cpu")]


def test_rows_come_in_the_order_of_the_processes(found: list[dict[str, Any]]) -> None:
    own = torch.arange(6.0).view(3, 2)
    for each in found:
        assert torch.equal(each["gathered"]["rows"], torch.cat([own, own + 10]))
        assert torch.equal(each["gathered"]["whole"], torch.tensor([0, 5, 1, 5]))
        across = torch.tensor([[0.0, 2], [1, 3]])
        assert torch.equal(each["gathered"]["across"], torch.cat([across, across + 10]))


def test_the_gradient_of_gathered_rows_is_everybodys(found: list[dict[str, Any]]) -> None:
    weights = torch.arange(12.0).view(6, 2)
    for rank, each in enumerate(found):
        assert torch.equal(each["gathered"]["slope"], 3 * weights[3 * rank : 3 * rank + 3])


def test_rows_that_differ_are_refused_in_words(found: list[dict[str, Any]]) -> None:
    rows, width = found[1]["refused"]
    assert rows.startswith("process 1 has 4 rows of 2 numbers, others have 3 to 4 of 2 to 2")
    assert width.startswith("process 1 has 3 rows of 3 numbers, others have 3 to 3 of 2 to 3")
    assert len(found[0]["refused"]) == 2


def test_gradients_are_summed_and_missing_ones_are_zero(found: list[dict[str, Any]]) -> None:
    for each in found:
        everywhere, of_first, of_second, nowhere, double = each["summed"]
        assert torch.equal(everywhere, torch.full((3,), 30.0))
        assert torch.equal(of_first, torch.full((3,), 11.0))
        assert torch.equal(of_second, torch.full((3,), 22.0))
        assert nowhere is None
        assert torch.equal(double, torch.full((2, 2), 38.0, dtype=torch.float64))


def test_process_0_tells_the_others(found: list[dict[str, Any]]) -> None:
    first, second = (each["broadcast"] for each in found)
    assert first["value"] == second["value"] == {"by": 0, "and": [1, "two"]}
    torch.manual_seed(0)
    assert torch.equal(second["state"]["0.weight"], nn.Conv2d(2, 3, 2).weight)
    for name, tensor in first["state"].items():
        assert torch.equal(tensor, second["state"][name]), name
    assert second["state"]["1.num_batches_tracked"] == 1


def test_one_works_and_all_hear_how_it_went(found: list[dict[str, Any]]) -> None:
    said = "nothing to be had"
    assert found[0]["alone_first"] == {"value": "done", "done": [0], "said": said}
    assert found[1]["alone_first"] == {"value": None, "done": [], "said": said}


# --- one process


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without anything of torchrun."""
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("size", [None, "1"])
def test_alone_there_is_no_process_group(environment: pytest.MonkeyPatch, size: str | None) -> None:
    if size:
        environment.setenv("WORLD_SIZE", size)
        environment.setenv("RANK", "0")
    with setup("cpu") as world:
        assert world == ALONE
        assert not dist.is_initialized()
        x = torch.ones(2, 3, requires_grad=True)
        assert gather_rows(x, world) is x
        assert global_mean(x, torch.tensor(0), world) is x
        assert sum_numbers([1, 2.5], world) == [1.0, 2.5]
        value = object()
        assert broadcast_object(value, world) is value
        assert first_alone(lambda: value, world) is value
        parameter = nn.Parameter(torch.ones(1))
        sum_gradients([parameter], world)
        assert parameter.grad is None
        broadcast_parameters(nn.Linear(1, 1), world)
        barrier(world)


@pytest.mark.parametrize(
    "left",
    [
        {"RANK": "1"},
        {"LOCAL_RANK": "5", "RANK": "5"},
        {"WORLD_SIZE": "1", "RANK": "3", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "8"},
        {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1"},
    ],
)
def test_what_torchrun_left_behind_means_nothing_alone(
    environment: pytest.MonkeyPatch, left: dict[str, str]
) -> None:
    for name, value in left.items():
        environment.setenv(name, value)
    with setup("cpu") as world:
        assert (world.rank, world.size, world.local_rank) == (0, 1, 0)


@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("-1", "2"), ("7", "3")])
def test_a_process_that_cannot_be(environment: pytest.MonkeyPatch, rank: str, size: str) -> None:
    environment.setenv("WORLD_SIZE", size)
    environment.setenv("RANK", rank)
    with (
        pytest.raises(DistributedError, match=rf"process {rank} of {size} .* unset WORLD_SIZE"),
        setup("cpu"),
    ):
        pass


def test_whoever_waits_for_others_says_so_and_can_be_ended(free_port: int) -> None:
    """WORLD_SIZE was left behind: nobody else will come."""
    script = (
        "from trainers.training import distributed as d\n"
        "d.WAITING_SECONDS = 0.2\n"
        "import signal; signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "with d.setup('cpu'): pass\n"
    )
    environment = {**os.environ, "WORLD_SIZE": "3", "RANK": "0", "LOCAL_RANK": "0",
                   "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port)}  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
    assert said == (
        f"Process 0 of 3 is waiting for the other 2 processes at 127.0.0.1:{free_port}, because "
        "the environment says WORLD_SIZE=3. To train in this process alone, unset WORLD_SIZE and "
        "RANK.\n"
    )


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_without_the_others_it_says_what_to_do(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WORLD_SIZE", "2")
    environment.setenv("RANK", "0")
    with (
        pytest.raises(DistributedError, match=r"Process 0 of 2 cannot find.*torchrun.*unset WORLD"),
        setup("cpu"),
    ):
        pass
    environment.setenv("WORLD_SIZE", "two")
    with pytest.raises(DistributedError, match="WORLD_SIZE must be a whole number"), setup("cpu"):
        pass


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("trainers.devices.why_unfit", lambda gpu: None)
    for name in ("auto", "cuda", torch.device("cuda")):
        assert device_of(name, 1, several=True) == torch.device("cuda:1")
    assert device_of("cuda:1", 0, several=False) == torch.device("cuda:1")
    assert device_of("cpu", 1, several=True) == torch.device("cpu")
    with pytest.raises(SettingError, match="cannot be shared"):
        device_of("cuda:1", 0, several=True)
    with pytest.raises(SettingError, match=r"2 GPUs.*process 3.*--nproc-per-node=2"):
        device_of("cuda", 2, several=True)


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device_of("auto", 0, several=False) == torch.device("cpu")
    for name in ("cuda", "cuda:3", "tpu"):
        with pytest.raises(SettingError, match=f"one of auto, cpu here, not {name}"):
            device_of(name, 0, several=False)


def test_buckets_are_of_one_type_and_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.training.distributed.BUCKET_BYTES", 40)
    sizes = [(4, torch.float32), (6, torch.float32), (1, torch.float32), (99, torch.float32)]
    sizes += [(1, torch.float32), (1, torch.float64)]
    parameters = [nn.Parameter(torch.zeros(n, dtype=kind)) for n, kind in sizes]
    grouped = [[p.numel() for p in bucket] for bucket in buckets(parameters)]
    assert grouped == [[4, 6], [1], [99], [1], [1]]
    assert buckets([]) == []
