"""What a run will need, before it begins: steps, disk, memory, and time where runs tell of it.

The numbers are rough and say so. They refuse what cannot go well, not what might be slow.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ppap.backbones import TIMM_NAMES, Backbone, build_vit, load_backbone
from ppap.backbones import as_path as file_of
from ppap.backbones.embedded import is_embedded
from ppap.machine import memory as main_memory
from ppap.protocol import Protocol
from ppap.segmenter import Segmenter
from trainers.cache import CachePlan, plan_cache
from trainers.cache.plan import free_bytes, in_words
from trainers.config import FROZEN, STEGO, Config
from trainers.engines.devices import Share, wanted
from trainers.launching.memory import Parts, too_much
from trainers.launching.orders import Order
from trainers.launching.queue import RESERVE_BYTES
from trainers.launching.scaling import Step, loss_memory
from trainers.progress import in_words as time_in_words
from trainers.training.loading import steps_in_epoch
from trainers.training.prepare import GIGABYTE, check_size, check_start
from trainers.training.splits import Splits, class_list_of, has_labels, open_splits

# Activations of the trained block that are kept for its gradient, in units of its input.
KEPT_ACTIVATIONS = 12
# Two moments of the optimizer beside the weights, in a checkpoint; gradients beside, in memory.
MOMENTS, GRADIENTS = 2, 1
# With fewer steps than this, the network hardly changes.
FEW_STEPS = 20
# Pictures, metrics and the report.
SMALL_FILES = 50 * 2**20


class Pace(NamedTuple):
    """How fast another run of the same kind went."""

    run: str
    images_per_second: float


@dataclass(frozen=True)
class Estimate:
    """What a run will need, about."""

    images: int
    steps: int
    device: str
    checkpoints: int
    """Bytes."""
    cache: int
    """Bytes of cached features that are still to be written; 0 where there will be none."""
    memory: int
    """Bytes, of the device."""
    seconds: float | None
    """None where no run of this kind has told yet."""
    refusal: str = ""
    """Why it cannot begin."""
    notes: list[str] = field(default_factory=list)
    among: tuple[str, ...] = ()
    """The devices that it may be on; empty: ``device`` alone."""
    count: int = 1
    """How many of them it needs together."""
    learning: int | None = None
    """Steps in which the network learns; the others train the probes. None: all."""

    @property
    def disk(self) -> int:
        """Bytes that will be written."""
        return self.checkpoints + self.cache

    def headline(self) -> str:
        """The same in a few words."""
        steps = "1 step" if self.steps == 1 else f"{self.steps:,} steps"
        time = "" if self.seconds is None else f" · about {time_in_words(self.seconds)}"
        return f"{steps} on {self.device}{time} · {in_words(self.memory)} of memory"

    def sentences(self) -> list[str]:
        """For people."""
        told = [
            f"{self.images:,} training images, {self.steps:,} steps on {self.device}"
            f"{self.divided()}.",
            f"About {in_words(self.disk)} of disk and {in_words(self.memory)} of memory.",
        ]
        if self.seconds is None:
            told.append("The run time will be known after a few steps: no earlier run is similar.")
        return [*told, *self.notes]

    def divided(self) -> str:
        """Which steps train what; empty where all train the network."""
        if self.learning is None or self.learning >= self.steps:
            return ""
        if self.learning == 0:
            return ", all of them for the probes"
        probes = self.steps - self.learning
        return f": {self.learning:,} for the network, then {probes:,} for the probes"


def estimate(order: Order, *, cache: Path, out: Path, paces: Iterable[Pace] = ()) -> Estimate:
    """Work out what a run will need.

    Args:
        order: the run.
        cache: the folder of cached features.
        out: where the run will be kept; need not exist.
        paces: of runs like it, the newest first.

    Raises:
        DataError, BackboneError, CacheError, SettingError: it could not even begin.
    """
    config = order.config
    share = None if order.slurm is not None else wanted(config)
    splits = open_splits(config, order.data)
    images = len(splits.training)
    per_epoch = steps_in_epoch(images, config.batch)
    stretches = config.stretches(per_epoch)
    steps = stretches.total
    backbone, own_weights = backbone_for(config.backbone)
    check_size(backbone, "size", config.size)
    check_size(backbone, "eval_size", config.eval_size)
    plan = plan_cache(splits.training, backbone, size=config.size, root=cache)
    classes = class_list_of(splits.training, config.unnamed_classes)
    check_start(config, backbone, images, len(classes))
    trained = trained_bytes(backbone, config, len(classes))
    checkpoints = trained * (1 + MOMENTS) * (config.keep + 3) + SMALL_FILES
    stored, notes, refusal = cache_needs(config, plan, own_weights=own_weights)
    count = 1 if share is None else share.count
    parts = memory_parts(
        own_part(config, share),
        plan,
        backbone,
        trained,
        loss=memory_of_loss(config, plan, backbone, count),
        # Cached features are read without them; and there are no more than batches.
        readers=0 if is_cached(config, plan) else min(config.workers, per_epoch),
    )
    on_gpus = share is None or share.on_gpus
    memory = parts.on_gpu if on_gpus else count * (parts.device + parts.main)
    notes += [*few_steps(config, stretches.main)]
    notes += [*label_notes(config, splits), *shared_notes(config, share)]
    free_disk = free_bytes(out)
    if checkpoints + RESERVE_BYTES > free_disk:
        refusal = (
            f"Checkpoints need about {in_words(checkpoints)}, but {out} has only "
            f"{in_words(free_disk)} free, of which {in_words(RESERVE_BYTES)} must stay free. "
            "Delete old runs, or keep fewer checkpoints."
        )
    elif share is not None and not refusal:  # what the nodes of a cluster have, SLURM knows
        refusal = too_much(
            parts,
            config,
            count=count,
            on_gpus=on_gpus,
            free_device=least_free(share),
            free_main=main_memory().available,
            device=share.title,
        )
    seconds = None
    for pace in paces:
        seconds = steps * config.batch / pace.images_per_second
        notes.append(f"At the pace of {pace.run}, about {time_in_words(seconds)} plus validations.")
        break
    return Estimate(
        images,
        steps,
        "SLURM" if share is None else share.title,
        checkpoints,
        stored,
        memory,
        seconds,
        refusal,
        notes,
        among=() if share is None else share.among,
        count=1 if share is None else share.needed,
        learning=0 if config.rule == FROZEN else stretches.main,
    )


def own_part(config: Config, share: Share | None) -> Config:
    """The settings of one process of several, with its part of the batch."""
    return replace(config, batch=config.batch // (1 if share is None else share.count), devices="1")


def few_steps(config: Config, learning: int) -> list[str]:
    """What to do where so few images leave the network hardly any steps."""
    if config.rule == FROZEN or config.max_steps or not 0 < learning < FEW_STEPS:
        return []
    word = "step trains" if learning == 1 else "steps train"
    return [f"Only {learning} {word} the network: with so few images, raise epochs."]


def label_notes(config: Config, splits: Splits) -> list[str]:
    """What a run does without that has no labels, or no images with labels to evaluate."""
    found = []
    if not len(splits.training.class_list):
        found.append(
            f"The images have no classes: {config.unnamed_classes} clusters are learnt "
            "(unnamed_classes)."
        )
    if not has_labels(splits.training):
        found.append("They have no label maps, so the linear probe cannot be trained.")
    if splits.no_evaluation:
        found.append("No images with label maps to evaluate: the run ends without scores.")
    return found


def shared_notes(config: Config, share: Share | None) -> list[str]:
    """What to know of a batch that is shared."""
    if share is None or share.count == 1:
        return []
    each = config.batch // share.count
    images = "1 image" if each == 1 else f"{each} images"
    return [f"{share.count} processes share each batch, {images} each."]


@functools.lru_cache(maxsize=2)
def backbone_for(name: str) -> tuple[Backbone, bool]:
    """A backbone to measure, and whether its weights are its own: nothing is downloaded for it."""
    if is_embedded(name) or file_of(name) is not None:
        return load_backbone(name), True
    return build_vit(TIMM_NAMES.get(name, name)), False


def trained_bytes(backbone: Backbone, config: Config, classes: int) -> int:
    """Head and probes."""
    segmenter = Segmenter(backbone, classes, extra_clusters=config.extra_clusters, head=config.head)
    frozen = {id(parameter) for parameter in backbone.parameters()}
    parts = [p for p in segmenter.parameters() if id(p) not in frozen]
    return sum(p.numel() * p.element_size() for p in parts)


def cache_needs(
    config: Config, plan: CachePlan, *, own_weights: bool
) -> tuple[int, list[str], str]:
    """Bytes still to be written of cached features, what to know of it, and why it cannot be."""
    if config.cache == "off":
        return 0, [], ""
    why_not = plan.why_not(config.cache_gb * GIGABYTE)
    if why_not is None:
        notes = [] if own_weights else ["Existing cached features are not included."]
        return plan.bytes_missing, notes, ""
    if config.cache == "on" and own_weights:
        return 0, [], f"{why_not} Use cache=off, or a larger cache_gb."
    return 0, [f"{why_not} Without a cache, features are computed again in every epoch."], ""


def is_cached(config: Config, plan: CachePlan) -> bool:
    """Whether a run reads its features from disk."""
    off = config.cache == "off" or Protocol.of(config.protocol).half
    return not off and plan.why_not(config.cache_gb * GIGABYTE) is None


def memory_parts(
    config: Config,
    plan: CachePlan,
    backbone: Backbone,
    trained: int,
    *,
    loss: int,
    readers: int,
) -> Parts:
    """Bytes that each process takes, with its part of the batch, about."""
    frozen = sum(p.numel() * p.element_size() for p in backbone.parameters())
    row = plan.row
    assert row.names is not None
    parts = [row[name] for name in row.names if name != "labels"]
    # Rows are kept in half precision.
    inputs = 2 * sum(part.itemsize for part in parts) * config.batch
    gradients = trained * (1 + MOMENTS + GRADIENTS)
    return Parts(frozen + gradients, KEPT_ACTIVATIONS * inputs, loss, readers=readers)


def memory_of_loss(config: Config, plan: CachePlan, backbone: Backbone, processes: int) -> int:
    """Bytes more that each process takes for comparing the patches of all, about."""
    if config.rule in (FROZEN, STEGO) or config.batch < processes:
        return 0
    step = Step(
        config.batch,
        processes,
        plan.grid.rows * plan.grid.columns,
        backbone.dim,
        config.steps,
        config.anchors,
        config.candidates,
        config.exchange,
    )
    return int(loss_memory(step))


def memory_free(device: torch.device) -> int:
    """Bytes free on the device; on the CPU as far as this process may use them."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return main_memory().available


def least_free(share: Share) -> int:
    """Bytes free on each of as many devices as are needed."""
    free = sorted((memory_free(torch.device(one)) for one in share.among), reverse=True)
    return free[share.needed - 1]


def as_reply(found: Estimate) -> dict[str, Any]:
    """For JSON."""
    return {
        "images": found.images,
        "steps": found.steps,
        "device": found.device,
        "disk_bytes": found.disk,
        "memory_bytes": found.memory,
        "seconds": found.seconds,
        "headline": found.headline(),
        "sentences": found.sentences(),
        "refusal": found.refusal,
    }
