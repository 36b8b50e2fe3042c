"""Several GPUs or machines, started by PyTorch's own ``torchrun``.

Every process has its own images, the same number of them. The candidates of an anchor are the
patches of all processes (``gather_rows``), so each takes the loss of its own anchors among all
patches, scales it to its part of the mean over all (``global_mean``), and the sum of everybody's
gradients (``sum_gradients``) is the gradient that one process with the whole batch would have.

In a single process there is no process group, and each function returns what it was given.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ppap.settings import SettingError
from trainers.devices import automatic, gpus, require_fit

Value = TypeVar("Value")

# Gradients travel in pieces of at most this size: many small messages are slow, and one of
# everything would need all of its memory twice.
BUCKET_BYTES = 32 * 2**20
# Others may wait for one that builds cached features. If one dies, torchrun ends the others.
TIMEOUT = timedelta(hours=12)
# Others of the same start are there within a few seconds; whoever waits longer says so.
WAITING_SECONDS = 10.0
ALONE = "To train in this process alone, unset WORLD_SIZE and RANK."


class DistributedError(RuntimeError):
    """Processes that do not fit together; the message says what to do."""


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them."""

    rank: int
    """From 0 to ``size`` − 1; process 0 writes what is written once."""
    size: int
    local_rank: int
    """Counted within this machine."""
    device: torch.device


@contextlib.contextmanager
def setup(device: str | torch.device) -> Iterator[World]:
    """Find the other processes, if there are any, and let go of them at the end.

    Under ``torchrun`` with several processes on GPUs (over NCCL), every process takes the GPU of
    its number; on the CPU they talk over gloo. Otherwise the world is this process alone.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        SettingError: there is no such device here, or it cannot be shared.
        DistributedError: the others cannot be found.
    """
    size = from_torchrun("WORLD_SIZE", 1)
    if size < 2:  # whatever else of torchrun's may have been left behind
        yield World(0, 1, 0, device_of(device, 0, several=False))
        return
    rank, local_rank = (from_torchrun(name, 0) for name in ("RANK", "LOCAL_RANK"))
    if not 0 <= rank < size:
        raise DistributedError(
            f"The environment says that this is process {rank} of {size} (RANK, WORLD_SIZE), "
            f"which is impossible. {ALONE}"
        )
    own = device_of(device, local_rank, several=from_torchrun("LOCAL_WORLD_SIZE", size) > 1)
    on_gpu = own.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(own)
    try:
        with told_of_waiting(rank, size), easily_ended():
            dist.init_process_group(
                "nccl" if on_gpu else "gloo",
                timeout=TIMEOUT,
                device_id=own if on_gpu else None,
            )
    except (ValueError, RuntimeError) as error:
        raise DistributedError(
            f"Process {rank} of {size} cannot find the others ({str(error).splitlines()[0]}). "
            f"Start them with torchrun: torchrun --nproc-per-node=2 -m trainers.train … {ALONE}"
        ) from error
    try:
        yield World(rank, size, local_rank, own)
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def told_of_waiting(rank: int, size: int) -> Iterator[None]:
    """Say what a process waits for, if it waits long: the others may never come."""
    address = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    others = "the other process" if size == 2 else f"the other {size - 1} processes"

    def tell() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(
                f"Process {rank} of {size} is waiting for {others} at {address}, because the "
                f"environment says WORLD_SIZE={size}. {ALONE}\n"
            )
            sys.stderr.flush()

    timer = threading.Timer(WAITING_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def easily_ended() -> Iterator[None]:
    """Meanwhile signals end the process as usual: nothing is lost yet, and a process that waits
    inside of PyTorch for others would not hear of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in wanted}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def from_torchrun(name: str, default: int) -> int:
    """A number that torchrun gives its processes; DistributedError if it is none."""
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise DistributedError(
            f"The environment variable {name} must be a whole number, not {text!r}. {ALONE}"
        ) from None


def device_of(device: str | torch.device, local_rank: int, *, several: bool) -> torch.device:
    """Where process ``local_rank`` of this machine runs; SettingError where it cannot."""
    known = ["cpu", *gpus()]
    if str(device) == "auto":
        device = automatic()
        # Each of several takes the GPU of its number, or none does.
        device = "cuda" if several and device != "cpu" else device
    wanted = str(device)
    if wanted == "cuda":
        wanted = f"cuda:{local_rank}"
    elif several and wanted in known[1:]:
        raise SettingError(
            "device",
            f"device {wanted} cannot be shared by several processes: use device=cuda, so that "
            "each takes its own GPU.",
        )
    if wanted not in known:
        if str(device) == "cuda" and len(known) > 1:
            raise SettingError(
                "device",
                f"There are {len(known) - 1} GPUs on this machine, and process {local_rank + 1} "
                f"needs one of its own: use torchrun --nproc-per-node={len(known) - 1}.",
            )
        raise SettingError(
            "device", f"device must be one of auto, {', '.join(known)} here, not {device}."
        )
    require_fit(torch.device(wanted))
    return torch.device(wanted)


def gather_rows(x: Tensor, world: World, *, check: bool = True) -> Tensor:
    """The rows of all processes, in their order: ``(N, …)`` → ``(size · N, …)``.

    Where ``x`` has a gradient, so has the result: backward sums what all processes send into this
    one's rows. All processes must go backward then.

    Args:
        x: this process's rows.
        world: all processes.
        check: hold the shapes of all against each other first, for which a GPU is waited for; in
            every process or in none. Rows that differ unchecked would be waited for for ever.

    Raises:
        DistributedError: the processes have different numbers of rows, or wider ones.
    """
    if world.size == 1:
        return x
    if check:
        check_same_shape(x, world)
    gathered: Tensor = _GatherRows.apply(x, world)
    return gathered


class _GatherRows(torch.autograd.Function):
    """All-gather, whose gradient is the sum over all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, world: World) -> Tensor:
        ctx.world, ctx.rows = world, len(x)
        own = x.detach().contiguous()
        whole = own.new_empty(world.size, *own.shape)
        # Into their places: put together afterwards, all would be there twice.
        dist.all_gather(list(whole.unbind()), own)
        return whole.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Not in place: what came down may be somebody else's tensor, too.
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        start = ctx.world.rank * ctx.rows
        return total[start : start + ctx.rows], None


def check_same_shape(x: Tensor, world: World) -> None:
    """DistributedError unless ``x`` has as many rows, as wide, in every process."""
    rows, width = len(x), x.shape[1:].numel()
    ends = torch.tensor([rows, -rows, width, -width], device=world.device)
    dist.all_reduce(ends, dist.ReduceOp.MAX)
    most_rows, least_rows, widest, narrowest = (abs(end) for end in ends.tolist())
    if most_rows != least_rows or widest != narrowest:
        raise DistributedError(
            f"process {world.rank} has {rows} rows of {width} numbers, others have {least_rows} "
            f"to {most_rows} of {narrowest} to {widest}: every process must have the same number "
            "of images of the same size"
        )


def global_mean(loss: Tensor, counted: Tensor, world: World) -> Tensor:
    """This process's part of the mean over all: the parts of all processes sum to that mean.

    Args:
        loss: a mean over ``counted`` things of this process, without dimensions.
        counted: how many, int64 without dimensions; 0 where there are none, with a loss of 0.

    Returns:
        loss · counted / (everybody's counted), with gradient. Summing the gradients of all
        processes gives that of the one mean.
    """
    if world.size == 1:
        return loss
    own = counted.detach().to(loss.device, torch.int64, non_blocking=True)
    total = own.clone()
    dist.all_reduce(total)
    return loss * (own.double() / total.clamp(min=1)).to(loss.dtype)


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """Give every parameter the sum of all processes' gradients, in place.

    One without a gradient counts as zero; it stays without one if it has none anywhere, as it
    would in a single process. The parameters must be the same, in the same order, everywhere.
    """
    if world.size == 1:
        return
    for bucket in buckets(parameters):
        parts = [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in bucket
        ]
        # How many processes have a gradient of it goes along with each.
        has = torch.tensor([float(p.grad is not None) for p in bucket])
        has = has.to(parts[0], non_blocking=True)
        flat = torch.cat([*parts, has])
        dist.all_reduce(flat)
        *sums, anywhere = flat.split([*(p.numel() for p in bucket), len(bucket)])
        for i, (parameter, total) in enumerate(zip(bucket, sums, strict=True)):
            if parameter.grad is not None:
                parameter.grad.copy_(total.view_as(parameter))
            elif anywhere[i] > 0:
                parameter.grad = total.view_as(parameter).clone()


def buckets(parameters: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Parameters of one type and device together, at most BUCKET_BYTES or a single one."""
    result: list[list[nn.Parameter]] = []
    filled = 0
    for parameter in parameters:
        size = parameter.numel() * parameter.element_size()
        last = result[-1][-1] if result else None
        alike = last is not None and (last.dtype, last.device) == (
            parameter.dtype,
            parameter.device,
        )
        if not alike or filled + size > BUCKET_BYTES:
            result.append([])
            filled = 0
        result[-1].append(parameter)
        filled += size
    return result


def sum_numbers(numbers: Sequence[float], world: World) -> list[float]:
    """Each number's sum over all processes, in double precision."""
    if world.size == 1:
        return [float(number) for number in numbers]
    total = torch.tensor(numbers, dtype=torch.float64, device=world.device)
    dist.all_reduce(total)
    sums: list[float] = total.tolist()
    return sums


def broadcast_object(value: Value, world: World) -> Value:
    """Process 0's value, whatever the others gave. It travels pickled."""
    if world.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=world.device)
    return box[0]


def first_alone(do: Callable[[], Value], world: World) -> Value | None:
    """Let process 0 do something, and the others wait; what it raises, all raise.

    Returns:
        What ``do`` gave in process 0, None in the others.
    """
    done, failed = None, None
    if world.rank == 0:
        try:
            done = do()
        except Exception as error:
            failed = error
    failed = broadcast_object(failed, world)
    if failed is not None:
        raise failed
    return done


@torch.no_grad()
def broadcast_parameters(module: nn.Module, world: World) -> None:
    """Give a module process 0's parameters and buffers, in place."""
    if world.size == 1:
        return
    for tensor in [*module.parameters(), *module.buffers()]:
        # What is not stored row by row (channels last) travels through a copy that is.
        plain = tensor.detach().contiguous()
        dist.broadcast(plain, src=0)
        tensor.copy_(plain)


def barrier(world: World) -> None:
    """Wait until every process is here."""
    if world.size > 1:
        sum_numbers([0.0], world)
