"""Many settings at once: how large and how right the sets are at each (Fig. 4's settings).

What settings share is computed once. The cosines with the anchors are the same for all; the first
step is the same for all with one Φ⁰; P and the proxies depend on Φ⁰, σ_pos and T alone, so that
cells that differ in Ψ⁰ or σ_amb only count anew, and a smaller T is a stop on the way to a larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_anchors, check_features, check_labels
from ppap.evaluation.trust import VOID
from ppap.propagation import (
    ambiguity_criterion,
    distance_moved,
    positiveness_criterion,
    positives,
    product,
    relocate,
    unit,
)
from ppap.settings import Settings

# Anchors that are worked on together: their cosines with 12,500 patches take 25 MB. Fewer would
# make the products slower, more the counting.
ANCHORS_AT_ONCE = 500

Progress = Callable[[float], None]


class Measured(NamedTuple):
    """What one choice of settings gives, averaged over the anchors that have a class.

    Sizes and shares as ``ppap.evaluation.trust``; NaN where nothing was measured.
    """

    settings: Settings
    positives: float
    """Mean |P|."""
    ambiguous: float
    """Mean |A|."""
    negatives: float
    """Mean |N|."""
    empty: float
    """Share of the anchors whose P is empty."""
    moved: float
    """Mean of the sum of 1 − v^{t−1} · v^t over the steps."""
    precision: float
    recall: float
    f1: float
    """Mean of every anchor's 2 TP / (|P| + all others of its class); 0 where P is empty."""
    purity: float
    """Share of A that is of the anchor's class."""
    false_negatives: float
    """Share of N that is of the anchor's class."""


class _Counts(NamedTuple):
    """One row of numbers per anchor, each ``(A,)``."""

    p: Tensor
    p_same: Tensor
    a: Tensor
    a_same: Tensor
    whole: Tensor
    same: Tensor
    moved: Tensor


def sweep(
    features: Tensor,
    anchors: Tensor,
    settings: Sequence[Settings],
    *,
    labels: Tensor | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """Measure PPAP's sets at every one of ``settings``.

    The numbers equal those of ``propagate`` and ``trust`` at each setting.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        anchors: indices into ``features``, int64 ``(A,)``.
        settings: which; those that share Φ⁰ and σ_pos cost little more than one.
        labels: class of every patch, int64 ``(N,)``, −1 where void. Patches without a class count
            nowhere, as in ``trust``. Without labels only sizes and distances are measured.
        progress: called with the share done, 0 to 1; what it raises ends the sweep.

    Returns:
        One measurement for each of ``settings``, in their order.

    Raises:
        TypeError, ValueError, IndexError: as ``propagate`` and ``trust``.
    """
    check_features(features, anchors)
    if labels is not None:
        check_labels(labels)
        check_anchors(anchors, len(labels))
        if len(labels) != len(features):
            raise ValueError(
                f"labels must have one class for each of the {len(features)} patches, "
                f"not {len(labels)}"
            )
    f = unit(features)
    return sweep_unit(
        f, anchors.to(f.device, torch.int64), settings, labels=labels, progress=progress
    )


@torch.no_grad()
def sweep_unit(
    f: Tensor,
    anchors: Tensor,
    settings: Sequence[Settings],
    *,
    labels: Tensor | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """``sweep`` of vectors known to be finite and of unit length: no checks."""
    found: list[list[_Counts]] = [[] for _ in settings]
    patches = _sorted(f, anchors, labels)
    parts = patches.anchors.split(ANCHORS_AT_ONCE)
    done, total = 0, len(anchors) * len({(s.phi0, s.sigma_pos) for s in settings})
    for part in parts:
        for indices, counts in _of_anchors(patches, part, settings):
            for index, one in zip(indices, counts, strict=True):
                found[index].append(one)
            done += len(part)
            if progress:
                progress(done / total)
    known = patches.anchors >= patches.void
    labelled = labels is not None
    return [_mean(s, counts, known, labelled) for s, counts in zip(settings, found, strict=True)]


class _Patches(NamedTuple):
    """Patches sorted by class, those without one first: what is counted is then a slice."""

    f: Tensor
    ft: Tensor
    """The same as ``(D, N)``: products with it are faster."""
    anchors: Tensor
    labels: Tensor
    void: int
    """How many have no class."""


class _Run(NamedTuple):
    """Neighbouring rows of one class, and where the patches of that class are."""

    rows: slice
    same: slice


def _sorted(f: Tensor, anchors: Tensor, labels: Tensor | None) -> _Patches:
    """Without labels, all patches are of one class."""
    if labels is None:
        labels = torch.zeros(len(f), dtype=torch.int64, device=f.device)
    labels = labels.to(f.device)
    void = labels == VOID
    first = torch.where(void, labels.min() - 1, labels)
    order = first.argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=f.device)
    f = f[order]
    anchors = place[anchors].sort().values
    return _Patches(f, f.T.contiguous(), anchors, labels[order], int(void.sum()))


def _runs(patches: _Patches, own: Tensor) -> list[_Run]:
    """The rows of some sorted anchors by class."""
    runs, start = [], 0
    for size in patches.labels.unique_consecutive(return_counts=True)[1].tolist():
        first, end = torch.searchsorted(own, torch.tensor([start, start + size]).to(own)).tolist()
        if end > first:
            runs.append(_Run(slice(first, end), slice(start, start + size)))
        start += size
    return runs


class _Plan(NamedTuple):
    """What is to be counted along one trajectory: T → indices of settings."""

    sigma_pos: float
    stops: dict[int, list[int]]


def _plans(settings: Sequence[Settings]) -> dict[float, list[_Plan]]:
    """Φ⁰ → its trajectories."""
    plans: dict[float, dict[float, dict[int, list[int]]]] = {}
    for index, s in enumerate(settings):
        stops = plans.setdefault(s.phi0, {}).setdefault(s.sigma_pos, {})
        stops.setdefault(s.steps, []).append(index)
    return {phi0: [_Plan(*one) for one in by.items()] for phi0, by in plans.items()}


class _Step(NamedTuple):
    """Where the anchors' proxies stand."""

    v: Tensor
    similarity: Tensor
    phi: Tensor
    travelled: Tensor


def _of_anchors(
    patches: _Patches, own: Tensor, settings: Sequence[Settings]
) -> Iterator[tuple[list[int], list[_Counts]]]:
    """Indices of settings and their counts, one trajectory after the other."""
    counter = _Counter(patches, own)
    v = patches.f[own]
    zero = v.new_zeros(len(v))
    similarity = product(v, patches.ft)
    for phi0, plans in _plans(settings).items():
        start = _Step(v, similarity, torch.full_like(zero, phi0), zero)
        # The first step does not depend on σ_pos, except for the Φ that follows it.
        longest = max(max(plan.stops) for plan in plans)
        second = _moved(patches, start) if longest else start
        for plan in plans:
            indices: list[int] = []
            counts: list[_Counts] = []
            at = start
            for t in range(max(plan.stops) + 1):
                if t:
                    at = _with_phi(at, second if t == 1 else _moved(patches, at), plan.sigma_pos)
                if t in plan.stops:
                    indices += plan.stops[t]
                    counts += counter.count(at, [settings[i] for i in plan.stops[t]])
            yield indices, counts


def _moved(patches: _Patches, at: _Step) -> _Step:
    """Eq. 2 and its distance; Φ is still that of the step before."""
    v = relocate(patches.f, positives(at.similarity, at.phi), at.v)
    return _Step(v, product(v, patches.ft), at.phi, distance_moved(at.v, v))


def _with_phi(before: _Step, after: _Step, sigma_pos: float) -> _Step:
    """Eq. 3 on a step of ``_moved``."""
    moved = after.travelled
    phi = positiveness_criterion(before.phi, moved, sigma_pos)
    return _Step(after.v, after.similarity, phi, before.travelled + moved)


class _Counter:
    """Counts members of sets; the anchor itself and void patches are in none."""

    def __init__(self, patches: _Patches, own: Tensor) -> None:
        self.own, self.void, self.runs = own, patches.void, _runs(patches, own)
        self.rows = torch.arange(len(own), device=own.device)
        self.buffer = patches.f.new_empty(len(own), len(patches.f))

    def count(self, at: _Step, settings: Sequence[Settings]) -> list[_Counts]:
        """Counts for settings that differ in Ψ⁰ and σ_amb only."""
        criteria = [
            ambiguity_criterion(torch.full_like(at.phi, s.psi0), at.travelled, s.sigma_amb)
            for s in settings
        ]
        own = at.similarity[self.rows, self.own]
        of_all = self._split(at.similarity[:, self.void :], own, at.phi, criteria)
        of_class = _joined(
            [
                self._split(
                    at.similarity[rows, same], own[rows], at.phi[rows], [c[rows] for c in criteria]
                )
                for rows, same in self.runs
            ]
        )
        return [
            _Counts(of_all.p, of_class.p, a, b, of_all.whole, of_class.whole, at.travelled)
            for a, b in zip(of_all.a, of_class.a, strict=True)
        ]

    def _split(
        self, similarity: Tensor, own: Tensor, phi: Tensor, criteria: Sequence[Tensor]
    ) -> _Split:
        """Count Eq. 4 and 6 without building the sets."""
        buffer = self.buffer[: len(similarity), : similarity.shape[1]]

        def count(comparison: Callable[..., Tensor], criterion: Tensor) -> Tensor:
            # Ones and zeros as floats, in place, are several times faster than bools; their sum
            # is exact up to 2²⁴ patches.
            members = comparison(similarity, criterion.unsqueeze(1), out=buffer).sum(dim=1)
            return members.to(torch.int64) - comparison(own, criterion).to(torch.int64)

        p, below = count(torch.gt, phi), count(torch.lt, phi)
        whole = torch.full_like(p, similarity.shape[1] - 1)
        ambiguous = []
        for psi in criteria:
            # A = {Ψ < s < Φ}: what is below Φ without what is at or below Ψ; empty where Ψ ≥ Φ.
            ambiguous.append(torch.where(psi < phi, below - count(torch.le, psi), 0))
        return _Split(p, ambiguous, whole)


class _Split(NamedTuple):
    """Sizes of P, of A for every Ψ, and of everything."""

    p: Tensor
    a: list[Tensor]
    whole: Tensor


def _joined(parts: Sequence[_Split]) -> _Split:
    """The same for more rows."""
    p, a, whole = zip(*parts, strict=True)
    return _Split(torch.cat(p), [torch.cat(one) for one in zip(*a, strict=True)], torch.cat(whole))


def _mean(settings: Settings, parts: Sequence[_Counts], known: Tensor, labelled: bool) -> Measured:
    """Averages over the anchors that have a class, of each share where it exists."""
    p, p_same, a, a_same, whole, same, moved = (
        torch.cat([getattr(part, name) for part in parts])[known].double()
        for name in _Counts._fields
    )
    n, n_same = whole - p - a, same - p_same - a_same

    def over(values: Tensor) -> float:
        return float(values.nanmean())

    def share(part: Tensor, of: Tensor) -> float:
        return over(torch.where(of > 0, part / of, torch.nan)) if labelled else float("nan")

    return Measured(
        settings=settings,
        positives=over(p),
        ambiguous=over(a),
        negatives=over(n),
        empty=over((p == 0).double()),
        moved=over(moved),
        precision=share(p_same, p),
        recall=share(p_same, same),
        f1=share(2 * p_same, p + same),
        purity=share(a_same, a),
        false_negatives=share(n_same, n),
    )
