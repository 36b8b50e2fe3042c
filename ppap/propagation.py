"""Progressive proxy anchor propagation: patch features and anchors → three sets per anchor.

One function per equation of the paper (Seong et al., ECCV 2024, section 3). The paper's symbols
are kept inside: ``f`` patch features, ``v`` proxies, ``phi`` and ``psi`` the positiveness and
ambiguity criteria. Everything works on L2-normalised vectors, so that ``·`` is the cosine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_features, check_settings

# One (anchors × patches) similarity block; three or four such blocks live at a time.
CHUNK_BYTES = 128 * 2**20
# This many anchors keep the cosines of every step, so that looking at the steps costs no further
# products; more would fill the memory.
FEW_ANCHORS = 8
# A mean of positives shorter than this has no direction worth normalising.
SHORTEST_MEAN = 1e-6
# On a CPU: below this share of positives, or of all others, their sum is faster than a product.
SPARSE = 0.05


class Partition(NamedTuple):
    """The three sets of every anchor at one step, each bool ``(A, N)``."""

    positive: Tensor
    ambiguous: Tensor
    negative: Tensor


def initial_positives(f: Tensor, anchors: Tensor, phi0: Tensor) -> Tensor:
    """Eq. 1: P⁰ = {j | f_i · f_j > Φ⁰}, the anchor included.

    Args:
        f: L2-normalised features ``(N, D)``.
        anchors: indices into ``f``, int64 ``(A,)``.
        phi0: initial positiveness criterion, ``(A,)``, cosines in [−1, 1].

    Returns:
        bool ``(A, N)``.
    """
    return positives(cosines(f[anchors], f), phi0)


def relocate(f: Tensor, positive: Tensor, previous: Tensor) -> Tensor:
    """Eq. 2: v^t = the mean of the positives' features, L2-normalised again.

    The paper leaves the normalisation open; the published implementation does it. The anchor
    counts while it is among its own positives. A positive set that is empty, or whose mean
    vanishes, keeps the previous proxy (the published code gives a zero vector there).

    Args:
        f: L2-normalised features ``(N, D)``.
        positive: P^{t−1}, bool ``(A, N)``.
        previous: v^{t−1}, ``(A, D)``.

    Returns:
        ``(A, D)``, each row of unit length.
    """
    sizes = positive.sum(dim=1, keepdim=True)
    return proxy_of(sum_of_members(f, positive, sizes), sizes, previous)


def proxy_of(total: Tensor, sizes: Tensor, previous: Tensor) -> Tensor:
    """Eq. 2 from the sum over the positives ``(A, D)`` and their numbers, int64 ``(A, 1)``."""
    mean = total / sizes.clamp(min=1)
    length = mean.norm(dim=1, keepdim=True)
    return torch.where(length > SHORTEST_MEAN, mean / length.clamp(min=SHORTEST_MEAN), previous)


def sum_of_members(f: Tensor, members: Tensor, sizes: Tensor) -> Tensor:
    """The numerator of Eq. 2: Σ f_j over every row's members.

    Args:
        f: ``(N, D)``.
        members: bool ``(A, N)``.
        sizes: how many they are, int64 ``(A, 1)``.

    Returns:
        ``(A, D)``.
    """
    if f.device.type == "cpu" and members.numel():
        share = int(sizes.sum()) / members.numel()
        if share < SPARSE:
            return _sum_of_few(f, members, sizes)
        if share > 1 - SPARSE:
            return f.sum(dim=0) - _sum_of_few(f, ~members, len(f) - sizes)
    # The 0/1 mask times the features is the sum: no (A, N, D) tensor is needed.
    return product(members.to(f.dtype), f)


def _sum_of_few(f: Tensor, members: Tensor, sizes: Tensor) -> Tensor:
    """``sum_of_members``, member by member."""
    before = (sizes.cumsum(dim=0) - sizes).flatten()
    columns = members.nonzero()[:, 1]
    return torch.nn.functional.embedding_bag(columns, f, before, mode="sum")


def distance_moved(previous: Tensor, current: Tensor) -> Tensor:
    """1 − v^{t−1} · v^t of Eq. 3 and 5: ``(A, D)``, ``(A, D)`` → ``(A,)`` in [0, 2].

    Written as ½ |v^{t−1} − v^t|², the same for vectors of length 1, because it is exactly 0 for
    a proxy that stayed. 1 − v · v is not: a zero vector would count as moved, lower its Φ below
    0 step by step, and take the whole batch for positive.
    """
    return ((previous - current).square().sum(dim=1) / 2).clamp(max=2)


def positiveness_criterion(phi: Tensor, moved: Tensor, sigma_pos: float) -> Tensor:
    """Eq. 3: Φ^t = Φ^{t−1} − (1 − v^{t−1} · v^t) / σ_pos, all ``(A,)``."""
    return phi - moved / sigma_pos


def positives(similarity: Tensor, phi: Tensor) -> Tensor:
    """Eq. 4: P^t = {j | v^t · f_j > Φ^t}; ``(A, N)`` and ``(A,)`` → bool ``(A, N)``."""
    return similarity > phi.unsqueeze(-1)


def ambiguity_criterion(psi: Tensor, moved: Tensor, sigma_amb: float) -> Tensor:
    """Eq. 5: Ψ^t = Ψ^{t−1} + (1 − v^{t−1} · v^t) / σ_amb, all ``(A,)``."""
    return psi + moved / sigma_amb


def ambiguous(similarity: Tensor, phi: Tensor, psi: Tensor) -> Tensor:
    """Eq. 6: A = {j | v · f_j > Ψ and v · f_j < Φ}; empty where Ψ has overtaken Φ."""
    return (similarity > psi.unsqueeze(-1)) & (similarity < phi.unsqueeze(-1))


def negatives(positive: Tensor, ambiguous: Tensor) -> Tensor:
    """Eq. 7: N = everything that is neither in P nor in A.

    Where Ψ^T has overtaken Φ^T the published code counts patches between them as positive *and*
    negative; Eq. 7 read literally, as here, keeps the sets apart.
    """
    return ~(positive | ambiguous)


def partition(similarity: Tensor, phi: Tensor, psi: Tensor) -> Partition:
    """Eq. 4, 6 and 7 together: ``(A, N)`` similarities → the three sets, anchors still in them."""
    p = positives(similarity, phi)
    a = ambiguous(similarity, phi, psi)
    return Partition(p, a, negatives(p, a))


def without_anchors(sets: Partition, anchors: Tensor) -> Partition:
    """Take every anchor out of its own three sets (in place; returns the same tensors)."""
    rows = torch.arange(len(anchors), device=anchors.device)
    for members in sets:
        members[rows, anchors] = False
    return sets


@dataclass(frozen=True, eq=False)
class PatchSets:
    """What a rule gathered for each of A anchors among N patches.

    The anchor itself is in none of its sets; every other patch is in exactly one, except under
    rules that leave patches out of both P and N by design (they count as ambiguous).
    """

    features: Tensor
    """L2-normalised features ``(N, D)``."""
    anchors: Tensor
    """Indices into ``features``, int64 ``(A,)``."""
    proxies: Tensor
    """v^0 … v^T, ``(T+1, A, D)``, unit length; v^0 is the anchor."""
    phi: Tensor
    """Positiveness criterion Φ^t, ``(T+1, A)``."""
    psi: Tensor
    """Ambiguity criterion Ψ^t, ``(T+1, A)``."""
    moved: Tensor
    """1 − v^{t−1} · v^t for t = 1 … T, ``(T, A)``."""
    positive: Tensor
    """P after T steps, bool ``(A, N)``."""
    ambiguous: Tensor
    """A after T steps, bool ``(A, N)``."""
    negative: Tensor
    """N after T steps, bool ``(A, N)``."""
    kept: Tensor | None = None
    """``similarity`` of every step, ``(T+1, A, N)``, where there are few anchors."""

    @property
    def steps(self) -> int:
        """T, the number of relocations."""
        return len(self.proxies) - 1

    def similarity(self, t: int) -> Tensor:
        """Cosines v^t · f_j, ``(A, N)``; ``t`` from 0 to T (negative counts from the end)."""
        t = self._step(t)
        if self.kept is not None:
            return self.kept[t]
        v = self.proxies[t]
        out = v.new_empty(len(v), len(self.features))
        for rows in chunks(self.features, len(v)):
            out[rows] = cosines(v[rows], self.features)
        return out

    def at(self, t: int) -> Partition:
        """The three sets at step ``t``: Eq. 4, 6, 7 with v^t, Φ^t, Ψ^t (t = 0: Eq. 1 with Ψ⁰)."""
        t = self._step(t)
        if t == self.steps:
            return Partition(self.positive, self.ambiguous, self.negative)
        return without_anchors(
            partition(self.similarity(t), self.phi[t], self.psi[t]), self.anchors
        )

    def _step(self, t: int) -> int:
        if not -self.steps - 1 <= t <= self.steps:
            raise IndexError(f"step {t} does not exist: these sets have steps 0 to {self.steps}")
        return t % (self.steps + 1)


def chunks(features: Tensor, anchors: int) -> Iterator[slice]:
    """Slices over the anchors, each small enough that one ``(chunk, N)`` block fits CHUNK_BYTES."""
    size = max(1, CHUNK_BYTES // (len(features) * features.element_size()))
    return (slice(start, min(start + size, anchors)) for start in range(0, anchors, size))


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` in its own precision, also inside autocast.

    Training runs under autocast, whose half-precision products would blur cosines by up to 1e-3
    (bfloat16: 1e-2) and with them every comparison with a criterion.
    """
    with torch.autocast(a.device.type, enabled=False):
        return a @ b


def cosines(v: Tensor, f: Tensor) -> Tensor:
    """v · f of unit vectors: ``(A, D)`` and ``(N, D)`` → ``(A, N)``."""
    return product(v, f.T)


def unit(features: Tensor) -> Tensor:
    """L2-normalise ``(N, D)``; halves become float32, where sums over many patches stay exact.

    A zero vector stays zero: its cosine with everything is 0.
    """
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    return directions(features.detach()).unit


class Directions(NamedTuple):
    """Vectors as direction and length."""

    unit: Tensor
    """``(N, D)``, of length 1, or 0 where there is no direction."""
    length: Tensor
    """``(N, 1)``."""


def directions(x: Tensor) -> Directions:
    """Unit vectors and lengths of ``(N, D)``, of any scale.

    Divided by its largest entry first, a row's squares neither overflow to infinity nor vanish.
    """
    largest = torch.maximum(x.amax(dim=1, keepdim=True), -x.amin(dim=1, keepdim=True))
    z = x / torch.where(largest > 0, largest, 1)
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    # With 1 as its largest entry a row is at least 1 long; only a zero row is shorter.
    return Directions(z.div_(length.clamp(min=0.5)), largest * length)


def propagate(
    features: Tensor,
    anchors: Tensor,
    *,
    phi0: float = 0.55,
    psi0: float = 0.15,
    sigma_pos: float = 3,
    sigma_amb: float = 4,
    steps: int = 2,
) -> PatchSets:
    """Gather the positive, ambiguous and negative patches of every anchor (Eq. 1–7).

    The defaults are the paper's for COCO-Stuff with ViT-S/16 (Table 7).

    Args:
        features: patch features ``(N, D)``, floating point, any scale (normalised inside).
        anchors: indices into ``features``, int64 ``(A,)``.
        phi0: initial positiveness criterion Φ⁰, cosine in [−1, 1].
        psi0: initial ambiguity criterion Ψ⁰, cosine in [−1, 1].
        sigma_pos: σ_pos > 0; larger lowers Φ more slowly.
        sigma_amb: σ_amb > 0; larger raises Ψ more slowly.
        steps: T ≥ 0, how often the proxy is relocated.

    Returns:
        The sets after T steps with the whole trajectory, on the device of ``features``; float32
        for half-precision features, else their own precision.

    Raises:
        TypeError: features are not floating point, or anchors not integers.
        ValueError: a wrong shape, empty or non-finite features, or a setting out of range.
        IndexError: an anchor outside the features.
    """
    check_features(features, anchors)
    check_settings(phi0=phi0, psi0=psi0, sigma_pos=sigma_pos, sigma_amb=sigma_amb, steps=steps)
    return propagate_unit(
        unit(features),
        anchors.to(features.device, torch.int64),
        phi0=phi0,
        psi0=psi0,
        sigma_pos=sigma_pos,
        sigma_amb=sigma_amb,
        steps=steps,
    )


@torch.no_grad()
def propagate_unit(
    f: Tensor,
    anchors: Tensor,
    *,
    phi0: float,
    psi0: float,
    sigma_pos: float,
    sigma_amb: float,
    steps: int,
) -> PatchSets:
    """``propagate`` for features that are known to be finite and of unit length: no checks."""
    count, dtype, device = len(anchors), f.dtype, f.device
    proxies = torch.empty(steps + 1, count, f.shape[1], dtype=dtype, device=device)
    phi = torch.full((steps + 1, count), phi0, dtype=dtype, device=device)
    psi = torch.full((steps + 1, count), psi0, dtype=dtype, device=device)
    moved = torch.zeros(steps, count, dtype=dtype, device=device)
    final = Partition(
        *(torch.empty(count, len(f), dtype=torch.bool, device=device) for _ in range(3))
    )
    proxies[0] = f[anchors]
    kept = f.new_empty(steps + 1, count, len(f)) if count <= FEW_ANCHORS else None
    for rows in chunks(f, count):
        for t in range(steps + 1):
            similarity = cosines(proxies[t, rows], f)
            if kept is not None:
                kept[t, rows] = similarity
            if t == steps:
                break
            v = proxies[t, rows]
            proxies[t + 1, rows] = relocate(f, positives(similarity, phi[t, rows]), v)
            moved[t, rows] = distance_moved(v, proxies[t + 1, rows])
            phi[t + 1, rows] = positiveness_criterion(phi[t, rows], moved[t, rows], sigma_pos)
            psi[t + 1, rows] = ambiguity_criterion(psi[t, rows], moved[t, rows], sigma_amb)
        sets = partition(similarity, phi[steps, rows], psi[steps, rows])
        for whole, part in zip(final, without_anchors(sets, anchors[rows]), strict=True):
            whole[rows] = part
    return PatchSets(f, anchors, proxies, phi, psi, moved, *final, kept)
