"""Every patch as an anchor: what its sets would be, and whether they deserve trust.

The same sets as ``propagate``'s, counted and thrown away a few hundred anchors at a time, so that
memory does not grow with the square of the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_features, check_labels
from ppap.evaluation.trust import VOID
from ppap.propagation import (
    ambiguity_criterion,
    distance_moved,
    positiveness_criterion,
    positives,
    relocate,
    unit,
)
from ppap.settings import Settings
from ppap.study.anchor_table import MEASURES, AnchorTable, Measure

__all__ = [
    "MEASURES",
    "AnchorTable",
    "Measure",
    "Stopped",
    "anchor_parts",
    "every_anchor",
    "every_anchor_unit",
    "spread",
]

# Anchors that are worked on together: three blocks of (anchors × patches) live at a time, 75 MB
# with 12,500 patches. As quick as more, and a click never waits for longer than one part.
ANCHORS_AT_ONCE = 500
# With very many patches fewer anchors: no block is larger than this.
BLOCK_BYTES = 64 * 2**20

Progress = Callable[[float], None]
Stop = Callable[[], bool]


class Stopped(Exception):
    """``stop`` said so."""


def spread(patches: int, most: int, *, seed: int = 0) -> Tensor:
    """At most ``most`` of ``patches`` indices, one at random from each stretch of equal length.

    Neighbours in the batch are neighbours in the image, so that the sample lies evenly over all
    images. int64, ascending; all where they are few.
    """
    if most >= patches:
        return torch.arange(patches)
    edges = torch.arange(most + 1) * patches // most
    chance = torch.rand(most, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return edges[:-1] + (chance * edges.diff()).long()


def every_anchor(
    features: Tensor,
    settings: Settings,
    *,
    labels: Tensor | None = None,
    anchors: Tensor | None = None,
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> AnchorTable:
    """Measure the sets of every patch as an anchor.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        settings: Φ⁰, Ψ⁰, σ and T.
        labels: class of every patch, int64 ``(N,)``, −1 where void.
        anchors: some patches only, int64 ``(A,)``, without repeats; such as ``spread`` draws.
        stop: asked before each part; what it says ends the work.
        progress: called with the share done, 0 to 1, after each part.

    Returns:
        A row for each anchor; the same numbers as ``propagate`` and ``trust`` give.

    Raises:
        Stopped: ``stop`` returned True.
        TypeError, ValueError, IndexError: as ``propagate`` and ``trust``; an anchor comes twice.
    """
    given = torch.arange(len(features)) if anchors is None else anchors
    check_features(features, given)
    if given.unique().numel() < given.numel():
        raise ValueError("anchors must not hold a patch twice")
    if labels is not None:
        check_labels(labels, len(features))
    return every_anchor_unit(
        unit(features), settings, labels=labels, anchors=given, stop=stop, progress=progress
    )


def every_anchor_unit(
    f: Tensor,
    settings: Settings,
    *,
    labels: Tensor | None = None,
    anchors: Tensor | None = None,
    stop: Stop | None = None,
    progress: Progress | None = None,
    at_once: int | None = None,
) -> AnchorTable:
    """``every_anchor`` of vectors known to be finite and of unit length: no checks."""
    total = len(f) if anchors is None else len(anchors)
    parts: list[AnchorTable] = []
    done = 0
    coming = anchor_parts(f, settings, labels=labels, anchors=anchors, at_once=at_once)
    while True:
        if stop is not None and stop():
            raise Stopped
        part = next(coming, None)
        if part is None:
            break
        parts.append(part)
        done += len(part.anchors)
        if progress is not None:
            progress(done / total)
    return AnchorTable.joined(parts)


def anchor_parts(
    f: Tensor,
    settings: Settings,
    *,
    labels: Tensor | None = None,
    anchors: Tensor | None = None,
    at_once: int | None = None,
) -> Iterator[AnchorTable]:
    """The table part by part, of ``at_once`` anchors each; with labels class by class.

    Nothing is worked on between two parts, so that the caller may yield to what is more urgent.
    Left out, ``at_once`` is a few hundred; more than fit in memory are never taken together.
    """
    if anchors is None:
        anchors = torch.arange(len(f))
    patches = _sorted(f, anchors.to(f.device, torch.int64), labels)
    fit = BLOCK_BYTES // (len(f) * f.element_size())
    size = max(1, min(at_once or ANCHORS_AT_ONCE, fit))
    block = f.new_empty(min(size, len(anchors)), len(f))
    for own in patches.anchors.split(size):
        yield _part(patches, own, settings, block[: len(own)])


class _Patches(NamedTuple):
    """Patches sorted by class, those without one first: one class is then a slice."""

    f: Tensor
    ft: Tensor
    """The same as ``(D, N)``: products with it are faster."""
    anchors: Tensor
    """Places of the anchors in this order, ascending."""
    original: Tensor
    """What index each patch had before."""
    ends: Tensor | None
    """Where each class ends, the first one void (perhaps empty); None without labels."""


def _sorted(f: Tensor, anchors: Tensor, labels: Tensor | None) -> _Patches:
    if labels is None:
        every = torch.arange(len(f), device=f.device)
        return _Patches(f, f.T.contiguous(), anchors.sort().values, every, None)
    labels = labels.to(f.device)
    void = labels == VOID
    order = torch.where(void, labels.min() - 1, labels).argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=f.device)
    sizes = labels[order][int(void.sum()) :].unique_consecutive(return_counts=True)[1]
    ends = torch.cat([void.sum().unsqueeze(0), sizes]).cumsum(dim=0)
    f = f[order]
    return _Patches(f, f.T.contiguous(), place[anchors].sort().values, order, ends)


class _End(NamedTuple):
    """Where the proxies of a part stand after the last step."""

    similarity: Tensor
    phi: Tensor
    psi: Tensor
    moved: Tensor
    crossed: Tensor


def _propagated(patches: _Patches, own: Tensor, settings: Settings, out: Tensor) -> _End:
    """Eq. 1 to 5 for some anchors; their last cosines are written into ``out``."""
    first = v = patches.f[own]
    phi = v.new_full((len(v),), settings.phi0)
    psi = v.new_full((len(v),), settings.psi0)
    _cosines(v, patches.ft, out)
    for _ in range(settings.steps):
        after = relocate(patches.f, positives(out, phi), v)
        moved = distance_moved(v, after)
        phi = positiveness_criterion(phi, moved, settings.sigma_pos)
        psi = ambiguity_criterion(psi, moved, settings.sigma_amb)
        v = after
        _cosines(v, patches.ft, out)
    # Φ never rises and Ψ never falls: where they crossed they stay crossed.
    return _End(out, phi, psi, distance_moved(first, v), psi > phi)


def _cosines(v: Tensor, ft: Tensor, out: Tensor) -> None:
    with torch.autocast(v.device.type, enabled=False):
        torch.mm(v, ft, out=out)


@torch.no_grad()
def _part(patches: _Patches, own: Tensor, settings: Settings, block: Tensor) -> AnchorTable:
    """The rows of some anchors."""
    end = _propagated(patches, own, settings, block)
    rows = torch.arange(len(own), device=own.device)
    at_home = end.similarity[rows, own]
    p, a, n = _counted(end, at_home, slice(None), slice(None))
    nowhere = torch.full((len(own),), torch.nan, dtype=torch.float64, device=own.device)
    shares = (nowhere, nowhere, nowhere)
    if patches.ends is not None:
        shares = _shares(patches.ends.tolist(), own, end, at_home)
    # Last, because it needs the cosines' memory.
    cohesion = _over(_inside(end, at_home, p), p)
    original = patches.original[own]
    order = original.argsort()
    others = max(1, len(patches.f) - 1)
    table = AnchorTable(
        original, p, a, n, end.moved, a.double() / others, p == 0, end.crossed, cohesion, *shares
    )
    return AnchorTable(*(column[order] for column in table))


class _Counted(NamedTuple):
    """Sizes of the sets among some patches, without the anchors, each ``(A,)``."""

    p: Tensor
    a: Tensor
    n: Tensor


def _counted(end: _End, own: Tensor, rows: slice, columns: slice) -> _Counted:
    """Eq. 4, 6 and 7 counted without building the sets; ``own``: each anchor's own cosine."""
    similarity, own = end.similarity[rows, columns], own[rows]
    phi, psi = end.phi[rows], end.psi[rows]
    buffer = torch.empty_like(similarity)

    def count(comparison: Callable[..., Tensor], criterion: Tensor) -> Tensor:
        # Ones and zeros as floats, in place, are several times faster than bools; their sum is
        # exact up to 2²⁴ patches.
        members = comparison(similarity, criterion.unsqueeze(1), out=buffer).sum(dim=1)
        return members.to(torch.int64) - comparison(own, criterion).to(torch.int64)

    p, below = count(torch.gt, phi), count(torch.lt, phi)
    # A = {Ψ < s < Φ}: what is below Φ without what is at or below Ψ; empty where Ψ ≥ Φ.
    a = torch.where(psi < phi, below - count(torch.le, psi), 0)
    return _Counted(p, a, similarity.shape[1] - 1 - p - a)


def _inside(end: _End, own: Tensor, p: Tensor) -> Tensor:
    """Σ s over P as Σ max(s − Φ, 0) + |P| Φ, without the anchors, float64; ends ``similarity``."""
    above = end.similarity.sub_(end.phi.unsqueeze(1)).clamp_(min=0).sum(dim=1)
    return (above - (own - end.phi).clamp(min=0)).double() + p * end.phi.double()


def _shares(
    ends: list[int], own: Tensor, end: _End, at_home: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and false negatives, class by class; NaN for anchors without a class."""
    precision, recall, wrong = (
        torch.full((len(own),), torch.nan, dtype=torch.float64, device=own.device) for _ in range(3)
    )
    # The first anchor of every class; those before it have none.
    firsts = torch.searchsorted(own, torch.tensor(ends, device=own.device)).tolist()
    known = _counted(end, at_home, slice(firsts[0], None), slice(ends[0], None))
    for at, (start, stop) in enumerate(itertools.pairwise(ends)):
        rows = slice(firsts[at], firsts[at + 1])
        if rows.start == rows.stop:
            continue
        same = _counted(end, at_home, rows, slice(start, stop))
        of_p, of_n = (whole[rows.start - firsts[0] : rows.stop - firsts[0]] for whole in known[::2])
        precision[rows] = _over(same.p, of_p)
        recall[rows] = _over(same.p, torch.full_like(same.p, stop - start - 1))
        wrong[rows] = _over(same.n, of_n)
    return precision, recall, wrong


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """A share as float64; NaN of nothing."""
    return torch.where(whole > 0, part.double() / whole, torch.nan)
