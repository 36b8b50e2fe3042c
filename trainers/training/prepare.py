"""Everything that a run stands on: data, backbone, cached features, made before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Backbone, load_backbone
from ppap.contrast import nearest_images
from ppap.data import ClassList, Dataset
from ppap.evaluation.source import EvaluationBatch, batches_of, labelled
from ppap.propagation import unit
from ppap.protocol import Protocol
from ppap.rivals.pool import draw_evenly
from ppap.segmenter import Segmenter
from ppap.settings import SettingError
from trainers.cache import CachePlan, FeatureCache, open_cache, plan_cache, trim
from trainers.config import FROZEN, STEGO, Config
from trainers.progress import Progress
from trainers.training.chance import generator
from trainers.training.distributed import World, broadcast_object, first_alone
from trainers.training.loading import CachedSource, DecodedSource, Source, steps_in_epoch
from trainers.training.objective import GROUP
from trainers.training.probing import NOISE, patches_to_start, require_patches
from trainers.training.splits import Splits, class_list_of, has_labels, open_splits

logger = logging.getLogger("trainers")

GIGABYTE = 10**9
EVALUATION_BATCH = 8


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run trains on and is validated with."""

    segmenter: Segmenter
    class_list: ClassList
    splits: Splits
    source: Source
    """Training images."""
    cached: bool
    pool: Tensor | None
    """For hidden positives: unit vectors ``(M, D)``."""
    near: Tensor | None
    """For STEGO: nearest images of every image, int64 ``(N, k)``."""
    cache_root: Path

    def close(self) -> None:
        """Let go of the cached features."""
        if isinstance(self.source, CachedSource):
            self.source.cache.close()


def prepare(
    config: Config,
    folder: Path | None,
    *,
    world: World,
    cache_root: Path,
    stopped: Callable[[], bool],
    precut: bool | None = None,
) -> Prepared:
    """Open the data and the backbone, build what is cached, and make the untrained segmenter.

    Args:
        config: of the run.
        folder: the data set's; None for the sample photos.
        world: this process among all.
        cache_root: where all cached features are kept.
        stopped: asked while features are computed; True ends that.
        precut: see ``open_splits``.

    Raises:
        DataError, BackboneError, CacheError, SettingError: something is missing or does not fit.
        CacheStoppedError: ``stopped`` said so.
    """
    splits = open_splits(config, folder, precut=precut)
    check_batch(config, len(splits.training), world)
    class_list = class_list_of(splits.training, config.unnamed_classes)
    backbone = load_backbone(config.backbone, device=world.device, progress=_download)
    check_size(backbone, "size", config.size)
    check_size(backbone, "eval_size", config.eval_size)
    check_start(config, backbone, len(splits.training), len(class_list))
    check_groups(config, backbone, world)
    check_exchange(config)
    torch.manual_seed(config.seed)
    segmenter = Segmenter(
        backbone, len(class_list), extra_clusters=config.extra_clusters, head=config.head
    )
    cache = cached_features(
        config,
        splits.training,
        backbone,
        size=config.size,
        root=cache_root,
        world=world,
        stopped=stopped,
    )
    source: Source
    if cache is None:
        source = DecodedSource(splits.training, config.size, has_labels(splits.training))
    else:
        source = CachedSource(cache)
    pool = hp_pool(config, segmenter, source) if config.rule == "hp" else None
    near = near_images(config, segmenter, source) if config.rule == STEGO else None
    return Prepared(
        segmenter, class_list, splits, source, cache is not None, pool, near, cache_root
    )


def check_batch(config: Config, images: int, world: World) -> None:
    """SettingError where there are no such batches, or they do not divide among the processes."""
    steps_in_epoch(images, config.batch)
    if config.batch % world.size:
        raise SettingError(
            "batch",
            f"A batch of {config.batch} images does not divide among {world.size} processes: use "
            f"a multiple of {world.size}.",
        )
    if config.rule == STEGO and config.batch // world.size < 2:
        raise SettingError(
            "batch",
            "STEGO compares images with others in their batch, so it needs 2 or more in every "
            "process.",
        )


def check_start(config: Config, backbone: Backbone, images: int, classes: int) -> None:
    """SettingError where the images have fewer patches than centroids are to start from.

    The probes may start only after the network has been trained: too late to say so.
    """
    if config.cluster_start != NOISE:
        rows, columns = backbone.grid(config.size, config.size)
        patches = patches_to_start(images, rows * columns)
        require_patches(patches, classes + config.extra_clusters)


def check_groups(config: Config, backbone: Backbone, world: World) -> None:
    """SettingError where the published groups of anchors do not fit into a process's images."""
    if not Protocol.of(config.protocol).anchor_groups or config.rule in (FROZEN, STEGO):
        return
    rows, columns = backbone.grid(config.size, config.size)
    patches = config.batch // world.size * rows * columns
    if patches < GROUP or (world.size > 1 and patches % GROUP):
        raise SettingError(
            "batch",
            f"protocol={config.protocol} draws anchors from groups of {GROUP} patches, and a batch "
            f"has {patches} in every process: use a "
            f"{'larger batch' if patches < GROUP else 'batch that divides into such groups'}.",
        )


def check_exchange(config: Config) -> None:
    """SettingError where the candidates are too few, or a ring or a choice of them does not fit."""
    if config.rule in (FROZEN, STEGO):
        return
    protocol = Protocol.of(config.protocol)
    if 0 < config.candidates < 2 * config.batch:
        raise SettingError(
            "candidates",
            f"{config.candidates} candidates are fewer than two patches for each of the "
            f"{config.batch} images in a batch: use {2 * config.batch} or more, or 0 for all.",
        )
    if config.candidates and protocol.anchor_groups:
        raise SettingError(
            "candidates",
            f"protocol={config.protocol} draws anchors from groups of {GROUP} patches, which need "
            "all of them: use candidates=0.",
        )
    if config.exchange == "ring" and (config.rule != "ppap" or protocol.half_loss):
        what = f"protocol={config.protocol}" if protocol.half_loss else f"rule={config.rule}"
        raise SettingError(
            "exchange",
            f"exchange=ring works only with PPAP's own loss in float32, not with {what}: use "
            "gather.",
        )


def check_size(backbone: Backbone, name: str, size: int) -> None:
    """SettingError where a square of ``size`` does not divide into the backbone's patches."""
    try:
        backbone.grid(size, size)
    except ValueError as error:
        raise SettingError(name, f"{name}: {error}") from None


def _download(text: str, share: float) -> None:
    if share in (0, 1):
        logger.info("%s", text)


def cached_features(
    config: Config,
    dataset: Dataset,
    backbone: Backbone,
    *,
    size: int,
    root: Path,
    world: World,
    stopped: Callable[[], bool],
    frozen: bool | None = None,
) -> FeatureCache | None:
    """The cache of a split, built where it is missing; None where it is off or does not fit.

    Args:
        config: whether to, and how large all caches may be.
        dataset: the split.
        backbone: on its device.
        size: side of the squares, in pixels.
        root: where all caches are kept.
        world: the first of its processes builds, the others find it complete.
        stopped: asked while it is built.
        frozen: whether to keep the backbone's own features; see ``plan_cache``.

    Raises:
        SettingError: it does not fit, and the configuration insists on it.
        CacheError: it cannot be built.
        CacheStoppedError: ``stopped`` said so.
    """
    if config.cache == "off" or Protocol.of(config.protocol).half:
        return None
    plan = plan_cache(dataset, backbone, size=size, root=root, frozen=frozen)
    if world.rank == 0:
        logger.info("%s", plan.sentence())
        trim(root, config.cache_gb * GIGABYTE, keep=[plan])
    # The first decides for all: the others may look at the disk when it is fuller.
    why_not = broadcast_object(plan.why_not(config.cache_gb * GIGABYTE), world)
    if why_not:
        if config.cache == "on":
            raise SettingError("cache", f"{why_not} Use cache=off, or a larger cache_gb.")
        logger.info("%s Features are computed again in every epoch.", why_not)
        return None
    return _built(plan, dataset, backbone, config, world, stopped)


def _built(
    plan: CachePlan,
    dataset: Dataset,
    backbone: Backbone,
    config: Config,
    world: World,
    stopped: Callable[[], bool],
) -> FeatureCache:
    def built() -> FeatureCache:
        quiet = world.rank > 0
        with Progress("Caching features", len(dataset), "images", quiet=quiet) as progress:
            return open_cache(
                plan,
                dataset,
                backbone,
                workers=config.workers or None,
                progress=progress.at,
                stopped=stopped,
            )

    # One process builds, the others find it complete.
    cache = first_alone(built, world)
    return built() if cache is None else cache


@torch.no_grad()
def frozen_features(segmenter: Segmenter, source: Source, indices: list[int]) -> Tensor:
    """The backbone's own features of some images, ``(B, h, w, D)`` float32."""
    batch = source.batch(indices)
    if batch.frozen is not None:
        return batch.frozen.float().to(segmenter.backbone.mean.device)
    inputs = batch.inputs
    trunk = segmenter.trunk(inputs.float() / 255) if isinstance(inputs, Tensor) else inputs
    return segmenter.backbone.finish(segmenter.placed(trunk))


def hp_pool(config: Config, segmenter: Segmenter, source: Source) -> Tensor:
    """The pool of hidden positives: one random patch of each of ``pool_size`` training images.

    Fewer images give several patches each.
    """
    chance = generator(config.seed, "pool")
    count = min(len(source), config.pool_size)
    chosen = torch.randperm(len(source), generator=chance)[:count].sort().values.tolist()
    patches = frozen_features(segmenter, source, chosen[:1])[0, :, :, 0].numel()
    drawn = draw_evenly([patches] * count, min(config.pool_size, count * patches), chance)
    rows = []
    with Progress("Hidden positives: pool", count, "images") as progress:
        for start in range(0, count, EVALUATION_BATCH):
            some = list(range(start, min(start + EVALUATION_BATCH, count)))
            features = frozen_features(segmenter, source, [chosen[i] for i in some]).flatten(0, 2)
            own = drawn[(drawn >= some[0] * patches) & (drawn < (some[-1] + 1) * patches)]
            rows.append(unit(features[(own - some[0] * patches).to(features.device)]))
            progress.at(some[-1] + 1, count)
    return torch.cat(rows)


def near_images(config: Config, segmenter: Segmenter, source: Source) -> Tensor:
    """STEGO's nearest images of every image, int64 ``(N, k)`` on the CPU."""
    means = []
    with Progress("STEGO: near images", len(source), "images") as progress:
        for start in range(0, len(source), EVALUATION_BATCH):
            some = list(range(start, min(start + EVALUATION_BATCH, len(source))))
            means.append(frozen_features(segmenter, source, some).mean(dim=(1, 2)).cpu())
            progress.at(some[-1] + 1, len(source))
    return nearest_images(torch.cat(means), config.near_images)


def evaluation_batches(
    dataset: Dataset, cache: FeatureCache | None, *, size: int, workers: int
) -> Iterator[EvaluationBatch]:
    """The labelled images of a split, from its cache where there is one."""
    chosen = labelled(dataset)
    if cache is None:
        yield from batches_of(dataset, chosen, size=size, batch=EVALUATION_BATCH, workers=workers)
        return
    for start in range(0, len(chosen), EVALUATION_BATCH):
        some = chosen[start : start + EVALUATION_BATCH]
        kept = cache.batch(some)
        assert kept.labels is not None
        rgb: np.ndarray | None = None if kept.rgb is None else kept.rgb.numpy()
        names = tuple(dataset.items[index].name for index in some)
        yield EvaluationBatch(kept.trunk, rgb, kept.labels, tuple(some), names)
