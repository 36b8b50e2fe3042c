"""One of the two processes of test_distributed: takes its part of every case, saves what came out.

``python -m tests.support.two_processes FOLDER`` with the environment that torchrun gives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppap.backbones import load_backbone
from ppap.contrast import chunked_loss
from ppap.propagation import propagate_unit, unit
from ppap.segmenter import Segmenter
from tests.support.shared_steps import all_cases
from trainers.training import distributed
from trainers.training.distributed import (
    DistributedError,
    World,
    barrier,
    broadcast_object,
    broadcast_parameters,
    first_alone,
    gather_rows,
    global_mean,
    setup,
    sum_gradients,
    sum_numbers,
)

CLASSES = 5
SETTINGS: dict[str, Any] = {
    "phi0": 0.6,
    "psi0": 0.2,
    "sigma_pos": 3,
    "sigma_amb": 4,
    "steps": 2,
}
TEMPERATURE = 0.3


def segmenter(seed: int) -> Segmenter:
    """Untrained, in evaluation mode, so that no channel is dropped."""
    torch.manual_seed(seed)
    return Segmenter(load_backbone("embedded"), CLASSES).eval()


def gradients(model: Segmenter) -> dict[str, Tensor]:
    """Of everything that trains."""
    named = ((n, p) for n, p in model.named_parameters() if p.requires_grad)
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def a_step(inputs: dict[str, Tensor], by_image: bool, world: World) -> dict[str, Any]:
    """Loss and gradients of this process's images, joined with the others'."""
    model = segmenter(7 + world.rank)
    broadcast_parameters(model, world)
    each = len(inputs["images"]) // world.size
    own = slice(world.rank * each, (world.rank + 1) * each)
    labels = inputs["labels"][own]
    streams = model.forward_training(model.trunk(inputs["images"][own]), inputs["frozen"][own])
    patches = streams.guidance[0, :, :, 0].numel()
    f = gather_rows(unit(streams.guidance.flatten(0, 2)), world)
    z = gather_rows(streams.projected, world)
    anchors = inputs["anchors"][own].flatten()
    found = chunked_loss(
        lambda chunk: propagate_unit(f, chunk, **SETTINGS),
        z,
        anchors,
        temperature=TEMPERATURE,
        images=anchors // patches if by_image else None,
    )
    probes = model.probe_losses(streams.tuned, labels)
    assert probes.linear is not None
    parts = torch.stack(
        [
            global_mean(found.loss, found.counted, world),
            global_mean(probes.cluster, torch.tensor(each), world),
            global_mean(probes.linear, (labels >= 0).sum(), world),
        ]
    )
    parts.sum().backward()
    sum_gradients(model.parameters(), world)
    return {
        "losses": sum_numbers(parts.detach().tolist(), world),
        "gradients": gradients(model),
        "counted": int(found.counted),
        "empty": int(found.empty),
    }


def gathered(world: World) -> dict[str, Any]:
    """Rows with a gradient, rows without, whole numbers, and rows that lie across."""
    x = torch.arange(6.0).view(3, 2).add_(10 * world.rank).requires_grad_()
    rows = gather_rows(x, world)
    # Each process weighs the rows its own way.
    weights = torch.arange(12.0).view(6, 2) * (1 + world.rank)
    (rows * weights).sum().backward()
    across = gather_rows(x.detach()[:2].T, world)
    whole = gather_rows(torch.tensor([world.rank, 5]), world)
    return {"rows": rows.detach(), "slope": x.grad, "across": across, "whole": whole}


def refused(world: World) -> list[str]:
    """What is said where the processes' rows differ."""
    said = []
    for shape in ((3 + world.rank, 2), (3, 2 + world.rank)):
        try:
            gather_rows(torch.zeros(shape), world)
        except DistributedError as error:
            said.append(str(error))
    return said


def summed(world: World) -> list[Tensor | None]:
    """Gradients of parameters of several types: everywhere, in one process, in none."""
    parameters = [nn.Parameter(torch.zeros(3, dtype=kind)) for kind in (torch.float32,) * 4]
    parameters.append(nn.Parameter(torch.zeros(2, 2, dtype=torch.float64)))
    for index, parameter in enumerate(parameters):
        if index in (0, 4) or index == 1 + world.rank:
            parameter.grad = torch.full_like(parameter, index + 10.0 * (world.rank + 1))
    sum_gradients(parameters, world)
    return [parameter.grad for parameter in parameters]


def broadcast(world: World) -> dict[str, Any]:
    """A value and a network of process 0, one weight of which lies channels last."""
    torch.manual_seed(world.rank)
    norm = nn.BatchNorm2d(3)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), norm).to(memory_format=torch.channels_last)
    norm.load_state_dict({"num_batches_tracked": torch.tensor(1 + world.rank)}, strict=False)
    broadcast_parameters(network, world)
    value = broadcast_object({"by": world.rank, "and": [1, "two"]}, world)
    return {"value": value, "state": network.state_dict()}


def alone_first(world: World) -> dict[str, Any]:
    """What process 0 did for itself, and what all hear of it when that fails."""
    done: list[int] = []

    def work() -> str:
        done.append(world.rank)
        return "done"

    def fail() -> None:
        raise DistributedError("nothing to be had")

    value = first_alone(work, world)
    try:
        first_alone(fail, world)
    except DistributedError as error:
        return {"value": value, "done": done, "said": str(error)}
    return {}


def main() -> None:
    """All cases, one after the other."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    distributed.BUCKET_BYTES = 30_000  # several buckets, and parameters larger than one
    inputs = torch.load(folder / "inputs.pt", weights_only=True)
    with setup("cpu") as world:
        found = {
            "world": (world.rank, world.size, world.local_rank, str(world.device)),
            "gathered": gathered(world),
            "refused": refused(world),
            "summed": summed(world),
            "broadcast": broadcast(world),
            "alone_first": alone_first(world),
            "anchors": a_step(inputs, False, world),
            "images": a_step(inputs, True, world),
            "shared": all_cases(world),
        }
        barrier(world)
    assert not torch.distributed.is_initialized()
    torch.save(found, folder / f"{world.rank}.pt")


if __name__ == "__main__":
    main()
