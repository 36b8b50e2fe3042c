"""Table 5: what is left of propagation when its positives or its negatives are taken away."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from ppap.checks import check_settings
from ppap.propagation import Partition, PatchSets, propagate, without_anchors


def tps_only(
    features: Tensor,
    anchors: Tensor,
    *,
    phi0: float = 0.55,
    psi0: float = 0.15,
    sigma_pos: float = 3,
    sigma_amb: float = 4,
    steps: int = 2,
) -> PatchSets:
    """Trustworthy positives alone: P^T, and everything else negative.

    Arguments and errors are those of ``propagate``. ``psi0`` and ``sigma_amb`` are checked but
    change nothing: there is no ambiguous zone, so the result's Ψ^t equals its Φ^t.
    """
    return without_ambiguity(
        propagate(
            features,
            anchors,
            phi0=phi0,
            psi0=psi0,
            sigma_pos=sigma_pos,
            sigma_amb=sigma_amb,
            steps=steps,
        )
    )


def ans_only(
    features: Tensor,
    anchors: Tensor,
    *,
    phi0: float = 0.55,
    psi0: float = 0.15,
    sigma_pos: float = 3,
    sigma_amb: float = 4,
    steps: int = 2,
) -> PatchSets:
    """Ambiguity-excluded negatives alone: P⁰, and N of Eq. 7 after T steps.

    Arguments and errors are those of ``propagate``. What is in neither counts as ambiguous: the
    zone of Eq. 6, and the patches of P^T that are not in P⁰. The paper does not say what becomes
    of the latter; with P⁰ in place of P^T, Eq. 7 would make negatives of the patches propagation
    trusts most. Nor does it speak of a patch both in P⁰ and in N: it stays positive.
    """
    return with_initial_positives(
        propagate(
            features,
            anchors,
            phi0=phi0,
            psi0=psi0,
            sigma_pos=sigma_pos,
            sigma_amb=sigma_amb,
            steps=steps,
        )
    )


def baseline(
    features: Tensor,
    anchors: Tensor,
    *,
    phi0: float = 0.55,
    psi0: float = 0.15,
    sigma_pos: float = 3,
    sigma_amb: float = 4,
    steps: int = 2,
) -> PatchSets:
    """Neither: P⁰, and everything else negative.

    Arguments and errors are those of ``propagate``. All settings but ``phi0`` are checked and
    change nothing: no proxy moves, so the result has T = 0 whatever ``steps`` says.
    """
    check_settings(phi0=phi0, psi0=psi0, sigma_pos=sigma_pos, sigma_amb=sigma_amb, steps=steps)
    return without_ambiguity(propagate(features, anchors, phi0=phi0, steps=0))


def without_ambiguity(sets: PatchSets) -> PatchSets:
    """The same positives at every step, with everything else negative."""
    # Ψ = Φ leaves no room between them, so that at() finds no ambiguous patch at any step.
    return replace(
        sets,
        psi=sets.phi,
        ambiguous=torch.zeros_like(sets.ambiguous),
        negative=sets.negative | sets.ambiguous,
    )


def with_initial_positives(sets: PatchSets) -> PatchSets:
    """The same negatives at every step, with P⁰ as the positives of all of them."""
    parts = _mixed(sets, sets.steps)
    kept = {field.name: getattr(sets, field.name) for field in fields(sets)}
    return _InitialPositives(**{**kept, **parts._asdict()})


class _InitialPositives(PatchSets):
    """ANS at step t: P⁰ with N of Eq. 7 for v^t, Φ^t and Ψ^t."""

    def at(self, t: int) -> Partition:
        t = self._step(t)
        return super().at(t) if t == self.steps else _mixed(self, t)


def _mixed(sets: PatchSets, t: int) -> Partition:
    positive = PatchSets.at(sets, 0).positive
    negative = PatchSets.at(sets, t).negative & ~positive
    return without_anchors(
        Partition(positive.clone(), ~(positive | negative), negative), sets.anchors
    )
