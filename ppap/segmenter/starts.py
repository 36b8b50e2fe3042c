"""Where the centroids of a cluster probe start."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count, check_vectors
from ppap.rivals.neighbours import cluster_patches_unit

# What float32 may leave of 1 − f · f.
NO_DISTANCE = 1e-6


@torch.no_grad()
def spread_start(features: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Centroids that are patches far from each other, chosen as k-means++ does.

    The published cluster probe starts from noise. In hundreds of dimensions noise is about equally
    far from every patch, so the few centroids that happen to be nearest win them all, and the
    others never move. Which ones win differs from seed to seed.

    Args:
        features: of some patches, ``(N, D)``, any scale.
        count: how many centroids, 1 to N.
        generator: source of chance, on the CPU.

    Returns:
        Unit vectors ``(count, D)``, on the device of ``features``.

    Raises:
        TypeError, ValueError: features are not finite ``(N, D)``, or fewer than ``count``.
    """
    check_vectors("features", features, "N")
    check_count("count", count, 1, len(features))
    return spread_start_unit(F.normalize(features.float(), dim=1), count, generator)


def spread_start_unit(
    f: Tensor,
    count: int,
    generator: torch.Generator,
    rest: Callable[[], object] = lambda: None,
) -> Tensor:
    """``spread_start`` for unit features and a count known to be in range: no checks.

    ``rest`` is called after every centroid, for others to have their turn.
    """
    chosen = [int(torch.randint(len(f), (1,), generator=generator))]
    distance = 1 - f @ f[chosen[0]]
    while len(chosen) < count:
        # ½ |a − b|² = 1 − a · b: k-means++ draws by the squared distance.
        weight = distance.where(distance > NO_DISTANCE, 0).double().cpu()
        if not weight.any():  # no patch differs from those chosen
            weight.fill_(1)
        weight[chosen] = 0
        chosen.append(int(torch.multinomial(weight, 1, generator=generator)))
        distance = torch.minimum(distance, 1 - f @ f[chosen[-1]])
        rest()
    return f[chosen]


# k-means pieces that ``merged_start`` begins with, for each centroid wanted, and at least.
PIECES_EACH, PIECES = 3, 40


@torch.no_grad()
def merged_start(features: Tensor, count: int, seed: int, pieces: int | None = None) -> Tensor:
    """Centroids of clusters that grew together from smaller ones, the most alike first.

    k-means makes clusters of about equal spread, so with as many of them as there are classes it
    cuts the frequent ones (road, sky) into several and has none left for the others. Here k-means
    finds more pieces than wanted, which are merged by average linkage: always the two whose patches
    have the highest mean cosine with each other. Clusters may become as large as they are uniform.

    Args:
        features: of some patches, ``(N, D)``, any scale.
        count: how many centroids, 1 to N.
        seed: of k-means.
        pieces: how many it finds first; left out, PIECES, or three for each centroid if more.

    Returns:
        Unit vectors ``(count, D)``, on the device of ``features``.

    Raises:
        TypeError, ValueError: features are not finite ``(N, D)``, or fewer than ``count``.
    """
    check_vectors("features", features, "N")
    check_count("count", count, 1, len(features))
    wanted = max(PIECES, PIECES_EACH * count) if pieces is None else pieces
    check_count("pieces", wanted, count)
    f = F.normalize(features.float(), dim=1)
    labels = cluster_patches_unit(f, min(wanted, len(f)), seed)
    number = int(labels.max()) + 1
    sums = f.new_zeros(number, f.shape[1]).index_add_(0, labels, f)
    sizes = torch.bincount(labels, minlength=number).to(f)
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    while len(sums) > count:
        # Σ over all pairs of patches of their cosine is the product of the sums.
        alike = (sums @ sums.T) / (sizes.unsqueeze(1) * sizes)
        alike.fill_diagonal_(-torch.inf)
        one, other = sorted(divmod(int(alike.argmax()), len(sums)))
        sums[one] += sums[other]
        sizes[one] += sizes[other]
        keep = torch.arange(len(sums), device=sums.device) != other
        sums, sizes = sums[keep], sizes[keep]
    if len(sums) < count:  # fewer different patches than centroids
        extra = spread_start(f, count - len(sums), torch.Generator().manual_seed(seed))
        sums = torch.cat([sums, extra])
    return F.normalize(sums, dim=1)
