"""Hidden positives (Seong et al., CVPR 2023): closer than anything in a pool of other images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ppap.checks import check_count, check_features, check_share, check_vectors, described
from ppap.propagation import PatchSets, chunks, cosines, unit
from ppap.rivals.collect import Chosen, collect


def sample_pool(
    features: Tensor, *, size: int = 2048, generator: torch.Generator | None = None
) -> Tensor:
    """Random patches of many images, spread evenly over them.

    HP takes one patch from each of 2,048 training images. Deviation: where there are fewer images
    than the pool has places, each gives several different patches (never more than it has, so a
    small batch gives a smaller pool).

    Args:
        features: patch features by image, ``(B, h, w, D)``.
        size: M, how many patches to draw, 1 or more.
        generator: source of chance; without one, a fresh one with seed 0.

    Returns:
        ``(min(M, B·h·w), D)``, as scaled as they came.

    Raises:
        TypeError: features are not floating point.
        ValueError: a wrong shape, empty or non-finite features, or a size below 1.
    """
    if not isinstance(features, Tensor) or features.ndim != 4:
        shape = described(features, "shape")
        raise ValueError(f"features must be a tensor of the shape (B, h, w, D), not {shape}")
    check_vectors("features", features.flatten(0, 2), "B·h·w")
    check_count("size", size, 1)
    images, patches = len(features), features.shape[1] * features.shape[2]
    drawn = draw_evenly([patches] * images, size, generator or seeded(0))
    return features.flatten(0, 2)[drawn.to(features.device)]


def draw_evenly(counts: Sequence[int], size: int, generator: torch.Generator) -> Tensor:
    """Indices of ``size`` different patches, one of each image before a second of any.

    ``counts`` are the patches of each image, 1 or more.
    """
    device = generator.device
    patches = torch.tensor(counts, device=device)
    starts = patches.cumsum(0) - patches
    # Columns of `order` hold every image's patches in a random order of its own; reading column
    # by column takes one patch from each image before a second from any.
    chance = torch.rand(len(counts), max(counts), generator=generator, device=device)
    alike = min(counts) == max(counts)
    if not alike:  # what an image with fewer patches does not have goes to the end of its row
        beyond = torch.arange(max(counts), device=device) >= patches.unsqueeze(1)
        chance.masked_fill_(beyond, 2)
    turn = torch.randperm(len(counts), generator=generator, device=device)
    found = (chance.argsort(1)[turn] + starts[turn].unsqueeze(1)).T.reshape(-1)
    return (found if alike else found[~beyond[turn].T.reshape(-1)])[:size]


@torch.no_grad()
def pool_similarity(features: Tensor, pool: Tensor) -> Tensor:
    """R of every patch: its highest cosine with the pool.

    A patch that is in the pool itself gets 1, as in HP.

    Args:
        features: ``(N, D)``, any scale.
        pool: ``(M, D)``, any scale.

    Returns:
        ``(N,)``.

    Raises:
        TypeError: either is not floating point.
        ValueError: a wrong shape, different D, empty or non-finite.
    """
    check_vectors("features", features, "N")
    check_pool(pool, features)
    return pool_similarity_unit(unit(features), unit(pool))


def pool_similarity_unit(f: Tensor, pool: Tensor) -> Tensor:
    """``pool_similarity`` of vectors known to be finite and of unit length: no checks."""
    pool = pool.to(f)
    out = f.new_empty(len(f))
    for rows in chunks(pool, len(f)):
        out[rows] = cosines(f[rows], pool).amax(dim=1)
    return out


@torch.no_grad()
def other_images_similarity_unit(
    f: Tensor, *, counts: Sequence[int], size: int, generator: torch.Generator
) -> Tensor:
    """R of every patch with a pool drawn from the batch itself: only other images' patches count.

    Deviation: HP's pool holds one patch from each of 2,048 training images, nearly all of them
    other images. Drawn from a few, it would often hold a patch's near-duplicates from its own
    image, or the patch itself (R = 1: nothing is closer). So each image leaves its own patches
    out of the pool; what it compares with is that much smaller.

    Args:
        f: L2-normalised features ``(N, D)``, image by image: not checked.
        counts: patches of each image, 2 images or more, N together: not checked.
        size: M, how many patches to draw from all images together, 2 to N: not checked. They are
            spread evenly as by ``sample_pool``, so that every image has others in the pool.
        generator: source of chance.

    Returns:
        ``(N,)``.
    """
    drawn = draw_evenly(counts, size, generator).to(f.device)
    owners = torch.arange(len(counts), device=f.device)
    owner = owners.repeat_interleave(torch.tensor(counts, device=f.device))[drawn]
    return torch.cat(
        [
            pool_similarity_unit(own, f[drawn[owner != image]])
            for image, own in enumerate(f.split(list(counts)))
        ]
    )


def hidden_positives(
    features: Tensor,
    anchors: Tensor,
    *,
    pool: Tensor,
    rho: float = 0.02,
    generator: torch.Generator | None = None,
) -> PatchSets:
    """HP's sets: j is positive when sim(i, j) > R_i or sim(i, j) > R_j; R: ``pool_similarity``.

    Of all other patches a random share ρ is negative, each drawn by itself; the rest is left out
    and counts as ambiguous. ρ = 1 makes everything else negative, the count of Table 6.

    Deviations: only the rule on frozen features (HP adds a second pool of projected features while
    it trains), and every anchor has a draw of its own (HP repeats one over blocks of anchors).

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        anchors: indices into ``features``, int64 ``(A,)``.
        pool: features of patches from elsewhere, ``(M, D)``, any scale; see ``sample_pool``.
        rho: ρ in [0, 1].
        generator: source of chance; without one, a fresh one with seed 0.

    Returns:
        Sets without steps (T = 0); Φ = Ψ = the similarity of the farthest positive, 1 where none.

    Raises:
        TypeError, ValueError, IndexError: as ``propagate``, or for ``pool`` and ``rho``.
    """
    check_features(features, anchors)
    check_pool(pool, features)
    check_share("rho", rho)
    f = unit(features.detach())
    nearest = pool_similarity_unit(f, unit(pool.detach()))
    anchors = anchors.to(f.device, torch.int64)
    return hidden_positives_unit(f, anchors, nearest=nearest, rho=rho, generator=generator)


def hidden_positives_unit(
    f: Tensor,
    anchors: Tensor,
    *,
    nearest: Tensor,
    rho: float,
    generator: torch.Generator | None = None,
) -> PatchSets:
    """``hidden_positives`` for unit features and ``nearest``, their R ``(N,)``: no checks."""
    chance = generator or seeded(0)
    # Where the pool shares patches with the batch, the nearest of them is exactly as close as R
    # says, and must not become positive by the rounding of two matrix products.
    bar = nearest.to(f.device) + 16 * torch.finfo(f.dtype).eps

    def choose(similarity: Tensor, own: Tensor) -> Chosen:
        positive = (similarity > bar[own].unsqueeze(1)) | (similarity > bar)
        drawn = torch.rand(similarity.shape, generator=chance, device=chance.device) < rho
        return Chosen(positive, drawn.to(f.device) & ~positive)

    return collect(f, anchors, choose)


def check_pool(pool: Tensor, features: Tensor) -> None:
    """The pool must hold finite vectors as long as the features'."""
    check_vectors("pool", pool, "M")
    if pool.shape[1] != features.shape[1]:
        raise ValueError(
            f"pool must have the features' D = {features.shape[1]}, not {pool.shape[1]}"
        )


def seeded(seed: int) -> torch.Generator:
    """A source of chance of its own, on the CPU."""
    return torch.Generator().manual_seed(seed)
