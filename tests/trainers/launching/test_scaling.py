"""The model of a step beside what a step really does: products, parameters, bytes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ppap import ppap_loss
from ppap.backbones import load_backbone
from ppap.data import open_dataset
from ppap.segmenter import Segmenter
from tests.benchmarks.bench_scale import a_batch, growth, step_of
from tests.support.live_bytes import live_bytes
from tests.support.pretend_processes import in_processes, one_of_many
from tests.support.small_runs import SIZE, Place
from trainers.cache import plan_cache
from trainers.config import Config
from trainers.launching.scaling import (
    FLOAT,
    VIT_B8,
    VIT_S8,
    Network,
    Step,
    loss_memory,
    loss_products,
    payload,
    sent,
)
from trainers.training.distributed import World
from trainers.training.ring import Piece, Shard, ring_loss

SMALL = Network("small", 2, 64, 16)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("scaling"))


def counted(work: Any) -> int:
    # In place, it is not known to the counter.
    known = {torch.ops.aten.addmm_: added}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        work()
    return counter.get_total_flops()


def added(into: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Of a product that is added to something, by shapes."""
    return int(2 * a[0] * a[1] * b[1])


def patches(count: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of which a good part is positive, so that no sum is taken member by member."""
    chance = torch.Generator().manual_seed(0)
    owner = torch.randint(0, 3, (count,), generator=chance)
    f = torch.randn(3, dim, generator=chance)[owner]
    f = f + 0.3 * torch.randn(count, dim, generator=chance)
    z = F.normalize(torch.randn(count, dim, generator=chance), dim=1)
    return f, z.requires_grad_()


@pytest.mark.parametrize("steps", [0, 2, 3])
def test_the_losses_products(steps: int) -> None:
    step = Step(batch=4, processes=1, patches=25, dim=32, steps=steps, anchors=0.4)
    f, z = patches(100, 32)
    anchors = torch.cat([torch.arange(10) + 25 * image for image in range(4)])
    found = counted(
        lambda: ppap_loss(f, z, anchors, steps=steps, images=anchors // 25).loss.backward()
    )
    # What an anchor's positives weigh with its logits is a product, too, but none of matrices.
    assert loss_products(step) <= found < 1.05 * loss_products(step)


def test_a_rings_products() -> None:
    step = Step(4, 2, 25, 32, 2, 0.4, exchange="ring")
    f, z = patches(100, 32)
    f = F.normalize(f, dim=1)

    def work(world: World) -> int:
        rows = slice(50 * world.rank, 50 * world.rank + 50)
        own = z.detach()[rows].clone().requires_grad_()
        anchors = torch.cat([torch.arange(10) + 25 * image for image in range(2)])
        pieces = Piece(torch.arange(20), torch.arange(2).repeat_interleave(10), 2)
        settings = Config().settings
        shard = Shard(f[rows], anchors, pieces, None, settings, 0.8, False, world)
        return counted(lambda: ring_loss(own, shard).loss.backward())

    found, _ = in_processes(2, work)
    for each in found:
        assert each == pytest.approx(loss_products(step), rel=0.05)


def test_bytes_are_counted_where_an_address_is_used_again() -> None:
    given = [torch.zeros(1000) for _ in range(50)]
    with live_bytes() as counting:
        while given:
            given.pop().add_(1)
        made = [torch.ones(1000) for _ in range(50)]
    assert counting.most == len(made) * 4000


@pytest.mark.parametrize("exchange", ["gather", "ring"])
@pytest.mark.parametrize(("batch", "dim"), [(64, 128), (256, 32)])
def test_the_memory_of_one_of_64(exchange: str, batch: int, dim: int) -> None:
    images = batch // 64
    features, projected = a_batch(images, dim, side=14)
    config = Config(batch=batch, anchors=1 / 16, exchange=exchange)
    with one_of_many(), live_bytes() as counting:
        step_of(World(0, 64, 0, torch.device("cpu")), config, features, projected)
    model = loss_memory(Step(batch, 64, 196, dim, config.steps, exchange=exchange))
    assert counting.most < model < 1.3 * counting.most


def test_a_blocks_products_and_parameters() -> None:
    from timm.models.vision_transformer import Block

    block = Block(64, 1, qkv_bias=True)
    vars(block.attn)["fused_attn"] = False  # written as products, which are counted
    assert sum(p.numel() for p in block.parameters()) == SMALL.block_parameters
    x = torch.randn(1, SMALL.tokens(64), 64)
    with torch.no_grad():
        assert counted(lambda: block(x)) == SMALL.block_products(64)
    # Twice the forward pass goes into the gradient, and one for the frozen stream.
    assert VIT_S8.step_products(224, cached=True) == 3 * VIT_S8.block_products(224)
    assert VIT_S8.step_products(224, cached=False) == 15 * VIT_S8.block_products(224)


def test_what_trains_and_what_is_kept_on_disk(place: Place) -> None:
    backbone = load_backbone(str(place.vit))
    head = Segmenter(backbone, 3).head
    assert sum(p.numel() for p in head.parameters()) == SMALL.trained
    dataset = open_dataset(place.data, split="train")
    plan = plan_cache(dataset, backbone, size=SIZE, root=place.cache)
    assert plan.bytes_per_image == SMALL.cached_bytes(SIZE)


def test_known_sizes() -> None:
    assert VIT_S8.tokens(224) == 785
    assert VIT_S8.block_parameters == 1_774_464
    assert VIT_B8.block_parameters == 7_087_872


# --- as processes grow


def test_alone_nothing_is_sent() -> None:
    step = Step(64, 1, 784, 384)
    assert sent(step, VIT_S8.trained) == 0
    assert payload(step) == (0, 0, 0)


def test_with_the_batch_of_each_process_kept_a_process_does_more() -> None:
    """N² in the batch: every anchor is compared with the patches of all."""
    one, many = Step(64, 1, 784, 384), Step(64 * 8, 8, 784, 384)
    assert loss_products(many) == 8 * loss_products(one)
    assert many.own_anchors == one.own_anchors
    assert loss_memory(many) > 4 * loss_memory(one)
    ring = Step(64 * 8, 8, 784, 384, exchange="ring")
    assert loss_memory(ring) < loss_memory(many) / 2
    assert sent(ring, 0) == pytest.approx(
        sent(many, 0) * (2 + 4 + 8 / 7) / 4
    )  # six parts a turn and the way home, against two gathered and two reduced
    capped = Step(64 * 8, 8, 784, 384, candidates=64 * 784)
    assert capped.all == one.all
    assert capped.own == one.all // 8


def test_a_cap_is_as_many_of_every_image() -> None:
    step = Step(64, 8, 784, 384, candidates=6464)
    assert (step.looked_at, step.own, step.all) == (101, 808, 6464)
    assert step.own_anchors == 8 * 49
    assert Step(64, 8, 784, 384, candidates=64 * 9).own_anchors == 8 * 9
    assert Step(64, 8, 784, 384, candidates=10**9).all == 64 * 784


def test_gathering_sends_each_part_to_all_others() -> None:
    step = Step(64, 8, 784, 384)
    part = 8 * 784 * 384 * FLOAT
    assert payload(step) == (2 * part, 8 * part, 0)
    assert sent(step, 1000) == 2 * part * 7 + 2 * (8 * part + 4000) * 7 / 8


def test_the_documents_numbers_come_from_the_command() -> None:
    text = (Path(__file__).parents[3] / "docs/scale.md").read_text(encoding="utf-8")
    for line in growth():
        assert line in text
