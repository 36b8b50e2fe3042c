"""Where the centroids of a cluster probe start."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count, check_vectors


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
    f = F.normalize(features.float(), dim=1)
    chosen = [int(torch.randint(len(f), (1,), generator=generator))]
    distance = 1 - f @ f[chosen[0]]
    while len(chosen) < count:
        # ½ |a − b|² = 1 − a · b: k-means++ draws by the squared distance.
        weight = distance.clamp(min=0).double().cpu()
        weight[chosen] = 0
        if float(weight.sum()) <= 0:  # no patch differs from those chosen
            weight.fill_(1)
        chosen.append(int(torch.multinomial(weight, 1, generator=generator)))
        distance = torch.minimum(distance, 1 - f @ f[chosen[-1]])
    return f[chosen]
