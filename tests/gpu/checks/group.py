"""What the processes of a run tell each other, over NCCL, in a group of one process."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.gpu.sheet import Place, Sheet
from trainers.training.distributed import (
    World,
    _GatherRows,
    barrier,
    broadcast_object,
    broadcast_parameters,
    check_same_shape,
    first_alone,
    global_mean,
    sum_gradients,
    sum_numbers,
)


def check(place: Place, sheet: Sheet) -> None:
    """Every kind of message, sent and received by the only process there is."""
    on_gpu = place.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(place.device)
    kind = "nccl" if on_gpu else "gloo"
    dist.init_process_group(
        kind,
        init_method=f"file://{place.folder / 'meeting'}",
        world_size=1,
        rank=0,
        device_id=place.device if on_gpu else None,
    )
    try:
        messages(World(0, 1, 0, place.device), sheet, kind)
    finally:
        dist.destroy_process_group()


def messages(alone: World, sheet: Sheet, kind: str) -> None:
    """The functions of a run; those that do nothing for one process think there are two."""
    device = alone.device
    claimed = World(0, 2, 0, device)
    x = torch.arange(12.0, device=device).view(4, 3).requires_grad_()
    check_same_shape(x, alone)
    rows: Tensor = _GatherRows.apply(x, alone)
    rows.square().sum().backward()
    good = torch.equal(rows, x) and x.grad is not None and torch.equal(x.grad, 2 * x)
    sheet.must(f"{kind}: rows and their gradient", good)
    whole = torch.arange(5, device=device)
    sheet.must(f"{kind}: whole numbers", torch.equal(_GatherRows.apply(whole, alone), whole))
    parameters = [nn.Parameter(torch.zeros(3, device=device)) for _ in range(2)]
    parameters[0].grad = torch.full((3,), 2.0, device=device)
    sum_gradients(parameters, claimed)
    good = bool((parameters[0].grad == 2).all()) and parameters[1].grad is None
    sheet.must(f"{kind}: sums of gradients, and none where there is none", good)
    sheet.must(f"{kind}: numbers in double precision", sum_numbers([1e-12, 3], claimed)[0] == 1e-12)
    mean = global_mean(torch.ones((), device=device), torch.tensor(7), claimed)
    sheet.must(f"{kind}: a mean over all", mean.item() == 1)
    value = {"by": 0, "and": [1, "two"]}
    sheet.must(f"{kind}: a value", broadcast_object(value, claimed) == value)
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)).to(device)
    network = network.to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    broadcast_parameters(network, claimed)
    after = network.state_dict()
    sheet.must(f"{kind}: a network", all(torch.equal(after[n], before[n]) for n in before))
    sheet.must(f"{kind}: one works, all hear of it", first_alone(lambda: 5, claimed) == 5)
    barrier(claimed)
